/* What a file remembers of a database: whose it is, and the newest number seen in each of many rooms.
 *
 *     parlor-past 1
 *     identity 7312345678901234567/00000001
 *     0193587a-6b00-7000-8000-3f5a5f1b2c3d 41
 *     rooms 1
 *
 * The first line tells the version, the last one that nothing is cut off.
 *
 * Flow:   store_past -> past_print -> file -> past_parse -> store_past.
 * Thread: any; pure.
 * Owns:   nothing. */
#ifndef PARLOR_PLUGIN_PAST_H
#define PARLOR_PLUGIN_PAST_H

#include "core/buf.h"
#include "core/error.h"
#include "plugin/watermarks.h"

#define PAST_IDENTITY_SIZE 64 /* with its zero byte */
#define PAST_ROOMS_MAX     4096
#define PAST_BYTES_MAX     (256 * 1024) /* of a whole file: a room has 57 at most */

/* Appends the file's text; the identity is not empty, and the users of `seen` are not told. */
void past_print(struct buf *out, const char *identity, const struct watermarks *seen);

/* Fills both from a file's text; `seen` is empty before. 0; or -1 with INVALID `bad_past`, both empty then:
 * another version, cut off, or nothing of ours. */
int past_parse(const char *text, size_t size, char identity_out[PAST_IDENTITY_SIZE], struct watermarks *seen,
               struct error *e);

#endif
