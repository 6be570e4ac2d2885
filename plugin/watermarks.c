#include "plugin/watermarks.h"

#include "core/buf.h"

#include <stdlib.h>
#include <string.h>

#define EMPTY 0

/* Entries lie densely in the order they came; slots hold their index plus one, probed linearly, at most half
 * of them used. */
struct watermarks {
    struct watermark *entries;
    size_t count, max, capacity;
    uint32_t *slots;
    size_t slot_mask;
};

struct watermarks *watermarks_create(size_t max)
{
    struct watermarks *w = mem_zalloc(1, sizeof(*w));
    size_t slots = 16;
    while (slots < max * 2) {
        slots *= 2;
    }
    w->slots = mem_zalloc(slots, sizeof(*w->slots));
    w->slot_mask = slots - 1;
    w->max = max;
    return w;
}

void watermarks_destroy(struct watermarks **w)
{
    if (w == NULL || *w == NULL) {
        return;
    }
    free((*w)->entries);
    free((*w)->slots);
    free(*w);
    *w = NULL;
}

static uint32_t *find_slot(const struct watermarks *w, const struct uuid *room, const char *user)
{
    size_t at = (uuid_hash(room) ^ bytes_hash(user, strlen(user))) & w->slot_mask;
    while (w->slots[at] != EMPTY) {
        const struct watermark *entry = &w->entries[w->slots[at] - 1];
        if (uuid_equal(&entry->room, room) && strcmp(entry->user, user) == 0) {
            break;
        }
        at = (at + 1) & w->slot_mask;
    }
    return &w->slots[at];
}

bool watermarks_raise(struct watermarks *w, const struct uuid *room, const char *user, int64_t seq)
{
    uint32_t *slot = find_slot(w, room, user);
    if (*slot != EMPTY) {
        struct watermark *entry = &w->entries[*slot - 1];
        entry->seq = entry->seq > seq ? entry->seq : seq;
        return true;
    }
    if (w->count == w->max) {
        return false;
    }
    if (w->count == w->capacity) {
        w->capacity = w->capacity == 0 ? 16 : w->capacity * 2;
        w->entries = mem_realloc(w->entries, w->capacity * sizeof(*w->entries));
    }
    struct watermark *entry = &w->entries[w->count++];
    *entry = (struct watermark){.room = *room, .seq = seq};
    memcpy(entry->user, user, strnlen(user, USER_ID_MAX));
    *slot = (uint32_t)w->count;
    return true;
}

size_t watermarks_count(const struct watermarks *w)
{
    return w->count;
}

const struct watermark *watermarks_at(const struct watermarks *w, size_t i)
{
    return &w->entries[i];
}

void watermarks_clear(struct watermarks *w)
{
    w->count = 0;
    memset(w->slots, 0, (w->slot_mask + 1) * sizeof(*w->slots));
}
