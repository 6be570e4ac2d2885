/* The grace is the same for all, so those whose grace ends first stand first in a list. */
#include "plugin/presence.h"

#include "core/buf.h"
#include "core/table.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)

struct entry {
    struct table_link link;
    struct entry *older, *newer; /* in its line */
    int64_t due_ns, since_ms;
    uint32_t sources; /* 0: leaving, or kept */
    bool shown;       /* its status was published */
    uint8_t size;
    char user[];
};

struct line {
    struct entry *oldest, *newest;
};

struct presence {
    struct table users, kept; /* who is online or leaving; who went offline unseen */
    struct line leaving, kept_line;
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

static void free_all(struct table *table)
{
    struct table_link *link;
    while ((link = table_take(table)) != NULL)
        free(table_entry(link, struct entry, link));
    table_finish(table);
}

void presence_destroy(struct presence **presence)
{
    if (presence == NULL || *presence == NULL)
        return;
    struct presence *p = *presence;
    free_all(&p->users);
    free_all(&p->kept);
    free(p);
    *presence = NULL;
}

static struct entry *entry_find(const struct table *table, const char *user, size_t size)
{
    struct table_link *link = table_first(table, bytes_hash(user, size));
    for (; link != NULL; link = table_next(link)) {
        struct entry *entry = table_entry(link, struct entry, link);
        if (entry->size == size && memcmp(entry->user, user, size) == 0)
            return entry;
    }
    return NULL;
}

static struct entry *entry_add(struct table *table, const char *user, size_t size, int64_t since_ms)
{
    struct entry *entry = mem_zalloc(1, sizeof *entry + size + 1);
    entry->since_ms = since_ms;
    entry->size = (uint8_t)size;
    memcpy(entry->user, user, size);
    table_put(table, &entry->link, bytes_hash(user, size));
    return entry;
}

static void line_add(struct line *line, struct entry *entry)
{
    entry->older = line->newest;
    entry->newer = NULL;
    if (line->newest != NULL)
        line->newest->newer = entry;
    else
        line->oldest = entry;
    line->newest = entry;
}

static void line_remove(struct line *line, struct entry *entry)
{
    if (entry->older != NULL)
        entry->older->newer = entry->newer;
    else
        line->oldest = entry->newer;
    if (entry->newer != NULL)
        entry->newer->older = entry->older;
    else
        line->newest = entry->older;
}

/* ---- Who went offline unseen. ---- */

static void kept_remove(struct presence *p, struct entry *entry)
{
    line_remove(&p->kept_line, entry);
    table_remove(&p->kept, &entry->link);
    free(entry);
}

void presence_keep(struct presence *p, const char *user, size_t size, int64_t since_ms)
{
    line_add(&p->kept_line, entry_add(&p->kept, user, size, since_ms));
    if (p->kept.count > PRESENCE_KEPT_MAX)
        kept_remove(p, p->kept_line.oldest);
}

bool presence_take_kept(struct presence *p, const char *user, size_t size, int64_t *since_ms_out)
{
    struct entry *entry = entry_find(&p->kept, user, size);
    if (entry == NULL)
        return false;
    *since_ms_out = entry->since_ms;
    kept_remove(p, entry);
    return true;
}

/* ---- Who comes and goes. ---- */

static void arrive(struct presence *p, const char *user, size_t size, uint32_t source, int64_t wall_ms)
{
    struct entry *kept = entry_find(&p->kept, user, size);
    if (kept != NULL)
        kept_remove(p, kept);
    struct entry *entry = entry_add(&p->users, user, size, wall_ms);
    entry->sources = source;
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
    line_add(&p->leaving, entry);
}

void presence_set(struct presence *p, const char *user, size_t size, unsigned source, bool here,
                  int64_t now_ns, int64_t wall_ms)
{
    uint32_t bit = UINT32_C(1) << source;
    struct entry *entry = entry_find(&p->users, user, size);
    if (entry == NULL && here) {
        arrive(p, user, size, bit, wall_ms);
    } else if (entry != NULL && here) {
        if (entry->sources == 0)
            line_remove(&p->leaving, entry);
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
    while (p->leaving.oldest != NULL && p->leaving.oldest->due_ns <= now_ns) {
        struct entry *entry = p->leaving.oldest;
        line_remove(&p->leaving, entry);
        p->on_changed(p->context, entry->user, false, entry->since_ms);
        table_remove(&p->users, &entry->link);
        free(entry);
    }
}

bool presence_take_unshown(struct presence *p, const char *user, size_t size, int64_t *since_ms_out)
{
    struct entry *entry = entry_find(&p->users, user, size);
    if (entry == NULL || entry->shown)
        return false;
    entry->shown = true;
    *since_ms_out = entry->since_ms;
    return true;
}

bool presence_is_shown(const struct presence *p, const char *user, size_t size)
{
    const struct entry *entry = entry_find(&p->users, user, size);
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
