#include "plugin/inboxes.h"

#include "core/buf.h"
#include "core/ids.h"
#include "core/table.h"

#include <stdlib.h>
#include <string.h>

/* A user with a listener. */
struct inbox {
    struct table_link link;
    struct inbox *previous, *next;
    unsigned listeners;
    size_t size;
    char user[];
};

/* One client's subscriptions to one inbox; those of a client hash alike. */
struct listener {
    struct table_link link;
    struct inbox *inbox;
    unsigned shapes;
    char client_id[];
};

struct inboxes {
    struct table users, listeners;
    struct inbox *first;
};

static struct inbox *inbox_find(const struct inboxes *x, const char *user, size_t size)
{
    struct table_link *link = table_first(&x->users, bytes_hash(user, size));
    for (; link != NULL; link = table_next(link)) {
        struct inbox *inbox = table_entry(link, struct inbox, link);
        if (inbox->size == size && memcmp(inbox->user, user, size) == 0)
            return inbox;
    }
    return NULL;
}

static struct inbox *inbox_hold(struct inboxes *x, const char *user, size_t size)
{
    struct inbox *inbox = inbox_find(x, user, size);
    if (inbox == NULL) {
        inbox = mem_zalloc(1, sizeof *inbox + size + 1);
        inbox->size = size;
        memcpy(inbox->user, user, size);
        table_put(&x->users, &inbox->link, bytes_hash(user, size));
        inbox->next = x->first;
        if (x->first != NULL)
            x->first->previous = inbox;
        x->first = inbox;
    }
    inbox->listeners++;
    return inbox;
}

static void inbox_drop(struct inboxes *x, struct inbox *inbox)
{
    if (--inbox->listeners > 0)
        return;
    if (inbox->previous != NULL)
        inbox->previous->next = inbox->next;
    else
        x->first = inbox->next;
    if (inbox->next != NULL)
        inbox->next->previous = inbox->previous;
    table_remove(&x->users, &inbox->link);
    free(inbox);
}

/* The client's first listener, or with inbox not NULL its one there. */
static struct listener *listener_find(const struct inboxes *x, const char *client_id,
                                      const struct inbox *inbox)
{
    struct table_link *link = table_first(&x->listeners, bytes_hash(client_id, strlen(client_id)));
    for (; link != NULL; link = table_next(link)) {
        struct listener *listener = table_entry(link, struct listener, link);
        if (strcmp(listener->client_id, client_id) == 0 && (inbox == NULL || listener->inbox == inbox))
            return listener;
    }
    return NULL;
}

static void listener_remove(struct inboxes *x, struct listener *listener)
{
    table_remove(&x->listeners, &listener->link);
    inbox_drop(x, listener->inbox);
    free(listener);
}

/* The client's listener at the user's inbox. */
static struct listener *find(const struct inboxes *x, const char *client_id, const char *user,
                             size_t user_size)
{
    struct inbox *inbox = inbox_find(x, user, user_size);
    return inbox == NULL ? NULL : listener_find(x, client_id, inbox);
}

bool inboxes_holds(const struct inboxes *x, const char *client_id, const char *user, size_t user_size)
{
    return find(x, client_id, user, user_size) != NULL;
}

void inboxes_add(struct inboxes *x, const char *client_id, const char *user, size_t user_size, unsigned shape)
{
    struct listener *listener = find(x, client_id, user, user_size);
    if (listener == NULL) {
        size_t size = strlen(client_id);
        listener = mem_zalloc(1, sizeof *listener + size + 1);
        memcpy(listener->client_id, client_id, size);
        listener->inbox = inbox_hold(x, user, user_size);
        table_put(&x->listeners, &listener->link, bytes_hash(client_id, size));
    }
    listener->shapes |= shape;
}

void inboxes_remove(struct inboxes *x, const char *client_id, const char *user, size_t user_size,
                    unsigned shape)
{
    struct listener *listener = find(x, client_id, user, user_size);
    if (listener == NULL)
        return;
    listener->shapes &= ~shape;
    if (listener->shapes == 0)
        listener_remove(x, listener);
}

void inboxes_forget(struct inboxes *x, const char *client_id)
{
    struct listener *listener;
    while (x->first != NULL && (listener = listener_find(x, client_id, NULL)) != NULL)
        listener_remove(x, listener);
}

size_t inboxes_count(const struct inboxes *x)
{
    return x->users.count;
}

bool inboxes_has(const struct inboxes *x, const char *user)
{
    return inbox_find(x, user, strlen(user)) != NULL;
}

void inboxes_each(const struct inboxes *x, inboxes_fn fn, void *context)
{
    for (const struct inbox *inbox = x->first; inbox != NULL; inbox = inbox->next)
        fn(context, inbox->user, inbox->size);
}

struct inboxes *inboxes_create(void)
{
    return mem_zalloc(1, sizeof(struct inboxes));
}

void inboxes_destroy(struct inboxes **inboxes)
{
    if (inboxes == NULL || *inboxes == NULL)
        return;
    struct inboxes *x = *inboxes;
    struct table_link *link;
    while ((link = table_take(&x->listeners)) != NULL)
        free(table_entry(link, struct listener, link));
    while ((link = table_take(&x->users)) != NULL)
        free(table_entry(link, struct inbox, link));
    table_finish(&x->listeners);
    table_finish(&x->users);
    free(x);
    *inboxes = NULL;
}
