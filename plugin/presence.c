/* The grace is the same for all, so those whose grace ends first stand first in a list. */
#include "plugin/presence.h"

#include "core/buf.h"
#include "core/table.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)

struct entry {
    struct table_link link;
    struct entry *older, *newer; /* among those who are leaving */
    int64_t due_ns, since_ms;
    uint32_t sources; /* 0: leaving */
    bool shown;       /* its status was published */
    uint8_t size;
    char user[];
};

struct kept {
    struct table_link link;
    struct kept *older, *newer;
    int64_t since_ms;
    uint8_t size;
    char user[];
};

struct presence {
    struct table users, kept;
    struct kept *kept_oldest, *kept_newest;
    struct entry *oldest, *newest;
    int64_t grace_ns;
    presence_fn on_changed;
    void *context;
};

struct presence *presence_create(int64_t grace_ms, presence_fn on_changed, void *context)
{
    struct presence *p = mem_zalloc(1, sizeof *p);
    p->grace_ns = grace_ms * NS_PER_MS;
    p->on_changed = on_changed;
    p->context = context;
    return p;
}

/* ---- Who went offline unseen. ---- */

static struct kept *kept_find(const struct presence *p, const char *user, size_t size)
{
    struct table_link *link = table_first(&p->kept, bytes_hash(user, size));
    for (; link != NULL; link = table_next(link)) {
        struct kept *kept = table_entry(link, struct kept, link);
        if (kept->size == size && memcmp(kept->user, user, size) == 0)
            return kept;
    }
    return NULL;
}

static void kept_remove(struct presence *p, struct kept *kept)
{
    if (kept->older != NULL)
        kept->older->newer = kept->newer;
    else
        p->kept_oldest = kept->newer;
    if (kept->newer != NULL)
        kept->newer->older = kept->older;
    else
        p->kept_newest = kept->older;
    table_remove(&p->kept, &kept->link);
    free(kept);
}

void presence_keep(struct presence *p, const char *user, size_t size, int64_t since_ms)
{
    struct kept *kept = mem_zalloc(1, sizeof *kept + size + 1);
    kept->since_ms = since_ms;
    kept->size = (uint8_t)size;
    memcpy(kept->user, user, size);
    kept->older = p->kept_newest;
    if (p->kept_newest != NULL)
        p->kept_newest->newer = kept;
    else
        p->kept_oldest = kept;
    p->kept_newest = kept;
    table_put(&p->kept, &kept->link, bytes_hash(user, size));
    if (p->kept.count > PRESENCE_KEPT_MAX)
        kept_remove(p, p->kept_oldest);
}

bool presence_take_kept(struct presence *p, const char *user, size_t size, int64_t *since_ms_out)
{
    struct kept *kept = kept_find(p, user, size);
    if (kept == NULL)
        return false;
    *since_ms_out = kept->since_ms;
    kept_remove(p, kept);
    return true;
}

/* ---- */

void presence_destroy(struct presence **presence)
{
    if (presence == NULL || *presence == NULL)
        return;
    struct presence *p = *presence;
    struct table_link *link;
    while ((link = table_take(&p->users)) != NULL)
        free(table_entry(link, struct entry, link));
    table_finish(&p->users);
    while (p->kept_oldest != NULL)
        kept_remove(p, p->kept_oldest);
    table_finish(&p->kept);
    free(p);
    *presence = NULL;
}

static struct entry *entry_find(const struct presence *p, const char *user, size_t size)
{
    struct table_link *link = table_first(&p->users, bytes_hash(user, size));
    for (; link != NULL; link = table_next(link)) {
        struct entry *entry = table_entry(link, struct entry, link);
        if (entry->size == size && memcmp(entry->user, user, size) == 0)
            return entry;
    }
    return NULL;
}

static void leaving_add(struct presence *p, struct entry *entry)
{
    entry->older = p->newest;
    entry->newer = NULL;
    if (p->newest != NULL)
        p->newest->newer = entry;
    else
        p->oldest = entry;
    p->newest = entry;
}

static void leaving_remove(struct presence *p, struct entry *entry)
{
    if (entry->older != NULL)
        entry->older->newer = entry->newer;
    else
        p->oldest = entry->newer;
    if (entry->newer != NULL)
        entry->newer->older = entry->older;
    else
        p->newest = entry->older;
}

static void arrive(struct presence *p, const char *user, size_t size, uint32_t source, int64_t wall_ms)
{
    struct entry *entry = mem_zalloc(1, sizeof *entry + size + 1);
    struct kept *kept = kept_find(p, user, size);
    if (kept != NULL)
        kept_remove(p, kept);
    entry->sources = source;
    entry->since_ms = wall_ms;
    entry->size = (uint8_t)size;
    memcpy(entry->user, user, size);
    table_put(&p->users, &entry->link, bytes_hash(user, size));
    p->on_changed(p->context, entry->user, true, wall_ms);
}

static void take_source(struct presence *p, struct entry *entry, uint32_t source, int64_t now_ns,
                        int64_t wall_ms)
{
    if ((entry->sources & source) == 0)
        return;
    entry->sources &= ~source;
    if (entry->sources != 0)
        return;
    entry->due_ns = now_ns + p->grace_ns;
    entry->since_ms = wall_ms;
    leaving_add(p, entry);
}

void presence_set(struct presence *p, const char *user, size_t size, unsigned source, bool here,
                  int64_t now_ns, int64_t wall_ms)
{
    uint32_t bit = UINT32_C(1) << source;
    struct entry *entry = entry_find(p, user, size);
    if (entry == NULL && here) {
        arrive(p, user, size, bit, wall_ms);
    } else if (entry != NULL && here) {
        if (entry->sources == 0)
            leaving_remove(p, entry);
        entry->sources |= bit;
    } else if (entry != NULL) {
        take_source(p, entry, bit, now_ns, wall_ms);
    }
}

void presence_drop_source(struct presence *p, unsigned source, int64_t now_ns, int64_t wall_ms)
{
    for (size_t i = 0; i < p->users.slot_count; i++)
        for (struct table_link *link = p->users.slots[i]; link != NULL; link = link->next)
            take_source(p, table_entry(link, struct entry, link), UINT32_C(1) << source, now_ns, wall_ms);
}

void presence_due(struct presence *p, int64_t now_ns)
{
    while (p->oldest != NULL && p->oldest->due_ns <= now_ns) {
        struct entry *entry = p->oldest;
        leaving_remove(p, entry);
        p->on_changed(p->context, entry->user, false, entry->since_ms);
        table_remove(&p->users, &entry->link);
        free(entry);
    }
}

bool presence_take_unshown(struct presence *p, const char *user, size_t size, int64_t *since_ms_out)
{
    struct entry *entry = entry_find(p, user, size);
    if (entry == NULL || entry->shown)
        return false;
    entry->shown = true;
    *since_ms_out = entry->since_ms;
    return true;
}

bool presence_is_shown(const struct presence *p, const char *user, size_t size)
{
    const struct entry *entry = entry_find(p, user, size);
    return entry != NULL && entry->shown;
}

void presence_each(const struct presence *p, presence_fn fn, void *context)
{
    for (size_t i = 0; i < p->users.slot_count; i++) {
        for (struct table_link *link = p->users.slots[i]; link != NULL; link = link->next) {
            const struct entry *entry = table_entry(link, struct entry, link);
            fn(context, entry->user, true, entry->since_ms);
        }
    }
}

size_t presence_count(const struct presence *p)
{
    return p->users.count;
}
