/* An entry lives for TYPING_ENDS_MS from its last beginning, so those that end first stand first in a list.
 * One whose user has left the room is put before them. */
#include "plugin/typing.h"

#include "core/buf.h"
#include "core/json.h"
#include "core/table.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)

struct entry {
    struct table_link link;
    struct entry *older, *newer;
    struct uuid room;
    int64_t began_ns;
    bool on, left;
    int qos;
    size_t size;
    char user[];
};

struct typing {
    struct table entries;
    struct entry *oldest, *newest;
};

struct typing *typing_create(void)
{
    return mem_zalloc(1, sizeof(struct typing));
}

static uint64_t entry_hash(const struct uuid *room, const char *user, size_t size)
{
    return uuid_hash(room) ^ bytes_hash(user, size);
}

static struct entry *entry_find(const struct typing *t, const struct uuid *room, const char *user,
                                size_t size)
{
    struct table_link *link = table_first(&t->entries, entry_hash(room, user, size));
    for (; link != NULL; link = table_next(link)) {
        struct entry *entry = table_entry(link, struct entry, link);
        if (uuid_equal(&entry->room, room) && entry->size == size && memcmp(entry->user, user, size) == 0)
            return entry;
    }
    return NULL;
}

static void list_add(struct typing *t, struct entry *entry)
{
    entry->older = t->newest;
    entry->newer = NULL;
    if (t->newest != NULL)
        t->newest->newer = entry;
    else
        t->oldest = entry;
    t->newest = entry;
}

static void list_add_first(struct typing *t, struct entry *entry)
{
    entry->older = NULL;
    entry->newer = t->oldest;
    if (t->oldest != NULL)
        t->oldest->older = entry;
    else
        t->newest = entry;
    t->oldest = entry;
}

static void list_remove(struct typing *t, struct entry *entry)
{
    if (entry->older != NULL)
        entry->older->newer = entry->newer;
    else
        t->oldest = entry->newer;
    if (entry->newer != NULL)
        entry->newer->older = entry->older;
    else
        t->newest = entry->older;
}

static struct entry *entry_add(struct typing *t, const struct uuid *room, const char *user, size_t size)
{
    struct entry *entry = mem_zalloc(1, sizeof *entry + size + 1);
    entry->room = *room;
    entry->size = size;
    memcpy(entry->user, user, size);
    table_put(&t->entries, &entry->link, entry_hash(room, user, size));
    list_add(t, entry);
    return entry;
}

static int note_end(struct entry *entry, int qos)
{
    if (entry == NULL || !entry->on)
        return -1;
    entry->on = false;
    return qos > entry->qos ? qos : entry->qos;
}

int typing_note(struct typing *t, const struct typing_said *said, bool limited, int64_t now_ns)
{
    struct entry *entry = entry_find(t, said->room, said->user, said->size);
    if (!said->on)
        return note_end(entry, said->qos);
    if (entry == NULL && t->entries.count >= TYPING_MAX)
        return -1;
    if (entry != NULL && limited && now_ns - entry->began_ns < TYPING_EVERY_MS * NS_PER_MS)
        return -1;
    if (entry == NULL) {
        entry = entry_add(t, said->room, said->user, said->size);
    } else {
        list_remove(t, entry);
        list_add(t, entry);
    }
    if (!entry->on || said->qos > entry->qos)
        entry->qos = said->qos;
    entry->began_ns = now_ns;
    entry->on = true;
    entry->left = false;
    return said->qos;
}

void typing_leave(struct typing *t, const struct uuid *room, const char *user, size_t size)
{
    struct entry *entry = entry_find(t, room, user, size);
    if (entry == NULL)
        return;
    list_remove(t, entry);
    list_add_first(t, entry);
    entry->left = true;
}

static bool is_over(const struct entry *entry, int64_t now_ns)
{
    return entry->left || now_ns - entry->began_ns >= TYPING_ENDS_MS * NS_PER_MS;
}

bool typing_expired(struct typing *t, int64_t now_ns, struct typing_end *out)
{
    while (t->oldest != NULL && is_over(t->oldest, now_ns)) {
        struct entry *entry = t->oldest;
        bool on = entry->on;
        out->room = entry->room;
        out->qos = entry->qos;
        memcpy(out->user, entry->user, entry->size + 1);
        list_remove(t, entry);
        table_remove(&t->entries, &entry->link);
        free(entry);
        if (on)
            return true;
    }
    return false;
}

void typing_destroy(struct typing **typing)
{
    if (typing == NULL || *typing == NULL)
        return;
    struct typing *t = *typing;
    struct table_link *link;
    while ((link = table_take(&t->entries)) != NULL)
        free(table_entry(link, struct entry, link));
    table_finish(&t->entries);
    free(t);
    *typing = NULL;
}

static bool take(const char **at, const char *end, const char *token)
{
    size_t size = strlen(token);
    while (*at < end && (**at == ' ' || **at == '\t' || **at == '\r' || **at == '\n'))
        ++*at;
    if ((size_t)(end - *at) < size || memcmp(*at, token, size) != 0)
        return false;
    *at += size;
    return true;
}

int typing_parse(const char *payload, size_t size)
{
    const char *at = payload, *end = payload + size;
    if (size == 0 || !take(&at, end, "{") || !take(&at, end, "\"isTyping\"") || !take(&at, end, ":"))
        return -1;
    int on = take(&at, end, "true") ? 1 : take(&at, end, "false") ? 0 : -1;
    return on >= 0 && json_check(payload, size, NULL) == 0 ? on : -1;
}
