#include "core/table.h"

#include "core/buf.h"

#include <stdlib.h>

#define SLOTS_FIRST 64

static void table_grow(struct table *t)
{
    size_t count = t->slot_count == 0 ? SLOTS_FIRST : t->slot_count * 2;
    struct table_link **slots = mem_zalloc(count, sizeof *slots);
    for (size_t i = 0; i < t->slot_count; i++) {
        struct table_link *link = t->slots[i];
        while (link != NULL) {
            struct table_link *next = link->next;
            struct table_link **slot = &slots[link->hash & (count - 1)];
            link->next = *slot;
            *slot = link;
            link = next;
        }
    }
    free(t->slots);
    t->slots = slots;
    t->slot_count = count;
    t->taken = 0;
}

void table_put(struct table *t, struct table_link *link, uint64_t hash)
{
    if (t->count >= t->slot_count)
        table_grow(t);
    size_t at = hash & (t->slot_count - 1);
    link->hash = hash;
    link->next = t->slots[at];
    t->slots[at] = link;
    t->count++;
    if (at < t->taken)
        t->taken = at;
}

void table_remove(struct table *t, struct table_link *link)
{
    if (t->slot_count == 0)
        return;
    struct table_link **at = &t->slots[link->hash & (t->slot_count - 1)];
    while (*at != NULL && *at != link)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    *at = link->next;
    link->next = NULL;
    t->count--;
}

static struct table_link *same_hash(struct table_link *link, uint64_t hash)
{
    while (link != NULL && link->hash != hash)
        link = link->next;
    return link;
}

struct table_link *table_first(const struct table *t, uint64_t hash)
{
    return t->slot_count == 0 ? NULL : same_hash(t->slots[hash & (t->slot_count - 1)], hash);
}

struct table_link *table_next(const struct table_link *link)
{
    return same_hash(link->next, link->hash);
}

struct table_link *table_take(struct table *t)
{
    if (t->count == 0)
        return NULL;
    while (t->slots[t->taken] == NULL)
        t->taken++;
    struct table_link *link = t->slots[t->taken];
    t->slots[t->taken] = link->next;
    link->next = NULL;
    t->count--;
    return link;
}

void table_finish(struct table *t)
{
    free(t->slots);
    *t = (struct table){0};
}
