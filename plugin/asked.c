#include "plugin/asked.h"

#include "core/buf.h"
#include "core/ids.h"

#include <stdlib.h>
#include <string.h>

struct asked_request {
    struct table_link link; /* first */
    struct asked_request *older, *newer;
    uint32_t node;
    int64_t at_ns;
    char user[ASKED_TEXT_SIZE], request_id[ASKED_TEXT_SIZE];
};

static uint64_t hash_of(const char *user, const char *request_id)
{
    return bytes_hash(user, strlen(user)) * 31 + bytes_hash(request_id, strlen(request_id));
}

static void forget(struct asked *a, struct asked_request *request)
{
    *(request->older != NULL ? &request->older->newer : &a->oldest) = request->newer;
    *(request->newer != NULL ? &request->newer->older : &a->newest) = request->older;
    table_remove(&a->table, &request->link);
    a->count--;
    free(request);
}

void asked_finish(struct asked *asked)
{
    while (asked->oldest != NULL)
        forget(asked, asked->oldest);
    table_finish(&asked->table);
}

bool asked_note(struct asked *asked, uint32_t link, const char *user, const char *request_id, int64_t now_ns)
{
    size_t user_size = strlen(user), id_size = strlen(request_id);
    if (asked->count >= ASKED_MAX || user_size >= ASKED_TEXT_SIZE || id_size >= ASKED_TEXT_SIZE)
        return false;
    struct asked_request *request = mem_zalloc(1, sizeof *request);
    request->node = link;
    request->at_ns = now_ns;
    memcpy(request->user, user, user_size);
    memcpy(request->request_id, request_id, id_size);
    request->older = asked->newest;
    *(asked->newest != NULL ? &asked->newest->newer : &asked->oldest) = request;
    asked->newest = request;
    table_put(&asked->table, &request->link, hash_of(user, request_id));
    asked->count++;
    return true;
}

bool asked_take(struct asked *asked, const char *user, const char *request_id)
{
    struct asked_request *found = NULL;
    struct table_link *link = table_first(&asked->table, hash_of(user, request_id));
    for (; link != NULL; link = table_next(link)) {
        struct asked_request *request = table_entry(link, struct asked_request, link);
        bool same = strcmp(request->user, user) == 0 && strcmp(request->request_id, request_id) == 0;
        if (same && (found == NULL || request->at_ns < found->at_ns))
            found = request;
    }
    if (found != NULL)
        forget(asked, found);
    return found != NULL;
}

void asked_give_up(struct asked *asked, uint32_t link, int64_t now_ns, asked_fn fn, void *context)
{
    struct asked_request *newer;
    for (struct asked_request *request = asked->oldest; request != NULL; request = newer) {
        newer = request->newer;
        if (link == 0 && now_ns - request->at_ns < ASKED_WAIT_NS)
            return; /* those behind it are younger */
        if (link != 0 && request->node != link)
            continue;
        fn(context, request->user, request->request_id);
        forget(asked, request);
    }
}
