/* A hash table whose links live in the caller's structs: no allocation per entry, growth by doubling.
 *
 * Thread: one table belongs to one thread.
 * Owns:   its slots; entries are the caller's. */
#ifndef PARLOR_CORE_TABLE_H
#define PARLOR_CORE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_link {
    struct table_link *next;
    uint64_t hash;
};

/* A zeroed struct table is an empty one. */
struct table {
    struct table_link **slots;
    size_t slot_count, count;
    size_t taken; /* slots below this one are empty */
};

#define table_entry(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

void table_put(struct table *t, struct table_link *link, uint64_t hash);
void table_remove(struct table *t, struct table_link *link);

/* The links with exactly this hash, one after the other; the caller compares the keys. */
struct table_link *table_first(const struct table *t, uint64_t hash);
struct table_link *table_next(const struct table_link *link);

/* Takes any entry out, for tearing down; NULL when empty. All are taken in one walk over the slots. */
struct table_link *table_take(struct table *t);
void table_finish(struct table *t);

#endif
