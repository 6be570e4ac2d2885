/* The writer's small memories: rooms that are busy, with the messages that wait for them, and kinds of
 * message (room, sender, clientMessageId): those of the open batch, those whose fate is unknown, those that
 * are tried again or come again.
 *
 * Flow:   writer.
 * Thread: the writer's.
 * Owns:   nothing but its arrays; the items are the writer's. */
#ifndef PARLOR_PLUGIN_PARKED_H
#define PARLOR_PLUGIN_PARKED_H

#include "plugin/item.h"

#define PARKED_MAX 512 /* rooms at once; the messages of more than these are rejected as busy */

struct parked_room {
    struct uuid room;
    struct item_list items;
    int64_t retry_ns;
};

/* Zeroed: none. Rooms move when one is taken out: a pointer is good until then. */
struct parked {
    struct parked_room rooms[PARKED_MAX];
    size_t count;
};

struct parked_room *parked_find(struct parked *parked, const struct uuid *room); /* NULL: not parked */
struct parked_room *parked_make(struct parked *parked, const struct uuid *room); /* NULL at PARKED_MAX */

struct kinds {
    uint64_t *hashes;
    size_t size, count;
};

void kinds_init(struct kinds *kinds, size_t items); /* with room for so many; grows with more */
void kinds_finish(struct kinds *kinds);
void kinds_clear(struct kinds *kinds);

/* Notes the item's kind; false when there was one like it. Two different ones whose 64 bits of a seeded hash
 * are alike count as the same. */
bool kinds_add(struct kinds *kinds, const struct item *item);
bool kinds_has(const struct kinds *kinds, const struct item *item);

#endif
