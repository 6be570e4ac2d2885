#include "plugin/parked.h"

#include <stdlib.h>
#include <string.h>

struct parked_room *parked_find(struct parked *parked, const struct uuid *room)
{
    for (size_t i = 0; i < parked->count; i++)
        if (uuid_equal(&parked->rooms[i].room, room))
            return &parked->rooms[i];
    return NULL;
}

struct parked_room *parked_make(struct parked *parked, const struct uuid *room)
{
    struct parked_room *found = parked_find(parked, room);
    if (found != NULL || parked->count == PARKED_MAX)
        return found;
    found = &parked->rooms[parked->count++];
    *found = (struct parked_room){.room = *room};
    return found;
}

void kinds_init(struct kinds *kinds, size_t items_max)
{
    kinds->size = 64;
    while (kinds->size < 2 * items_max)
        kinds->size *= 2;
    kinds->hashes = mem_zalloc(kinds->size, sizeof kinds->hashes[0]);
}

void kinds_finish(struct kinds *kinds)
{
    free(kinds->hashes);
    *kinds = (struct kinds){0};
}

void kinds_clear(struct kinds *kinds)
{
    memset(kinds->hashes, 0, kinds->size * sizeof kinds->hashes[0]);
    kinds->count = 0;
}

static uint64_t kind_hash(const struct item *item)
{
    const char *id = item->draft.client_message_id;
    uint64_t hash =
        bytes_hash(id, strlen(id)) ^ bytes_hash(item->user, strlen(item->user)) * 31 ^ uuid_hash(&item->room);
    return hash == 0 ? 1 : hash;
}

/* Where the hash is, or would be. */
static uint64_t *kind_slot(const struct kinds *kinds, uint64_t hash)
{
    size_t at = hash & (kinds->size - 1);
    while (kinds->hashes[at] != 0 && kinds->hashes[at] != hash)
        at = (at + 1) & (kinds->size - 1);
    return &kinds->hashes[at];
}

static void grow(struct kinds *kinds)
{
    struct kinds larger = {.size = kinds->size * 2, .count = kinds->count};
    larger.hashes = mem_zalloc(larger.size, sizeof larger.hashes[0]);
    for (size_t i = 0; i < kinds->size; i++)
        if (kinds->hashes[i] != 0)
            *kind_slot(&larger, kinds->hashes[i]) = kinds->hashes[i];
    kinds_finish(kinds);
    *kinds = larger;
}

bool kinds_add(struct kinds *kinds, const struct item *item)
{
    uint64_t hash = kind_hash(item);
    if (kinds->count >= kinds->size / 2)
        grow(kinds);
    uint64_t *slot = kind_slot(kinds, hash);
    if (*slot != 0)
        return false;
    *slot = hash;
    kinds->count++;
    return true;
}

bool kinds_has(const struct kinds *kinds, const struct item *item)
{
    return *kind_slot(kinds, kind_hash(item)) != 0;
}
