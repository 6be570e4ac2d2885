/* The highest seq for each (room, user), between one write of them and the next.
 *
 * Flow:   store -> watermarks_raise -> watermarks_at, by store_flush -> watermarks_clear.
 * Thread: one owner.
 * Owns:   everything in it. */
#ifndef PARLOR_PLUGIN_WATERMARKS_H
#define PARLOR_PLUGIN_WATERMARKS_H

#include "core/ids.h"

#include <stdbool.h>

struct watermarks;

struct watermark {
    struct uuid room;
    char user[USER_ID_MAX + 1];
    int64_t seq;
};

struct watermarks *watermarks_create(size_t max); /* at most so many entries */
void watermarks_destroy(struct watermarks **w);

/* Raises the entry to seq, or adds it. A new entry is left out when there are max already: false then. */
bool watermarks_raise(struct watermarks *w, const struct uuid *room, const char *user, int64_t seq);

size_t watermarks_count(const struct watermarks *w);
const struct watermark *watermarks_at(const struct watermarks *w, size_t i); /* i < count */
void watermarks_clear(struct watermarks *w);

#endif
