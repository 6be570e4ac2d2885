/* Who is online: a set of users, each with the number of the round in which it was last named, or how many
 * times it is held.
 *
 * Flow:   broker, twice: users with sockets here, told to the plugin; and who is online at any door, as the
 * plugin tells it.
 * Thread: the service's loop.
 * Owns:   its users. */
#ifndef PARLOR_SERVICE_ONLINES_H
#define PARLOR_SERVICE_ONLINES_H

#include "core/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct onlines;

struct onlines *onlines_create(void);
void onlines_destroy(struct onlines **onlines);

/* True when the user was not in it. */
bool onlines_add(struct onlines *onlines, const char *user, size_t size, uint32_t round);
/* True when the user was in it. */
bool onlines_remove(struct onlines *onlines, const char *user, size_t size);
/* Of a set whose users are counted: true for the first hold of the user, and when its last one is dropped. */
bool onlines_hold(struct onlines *onlines, const char *user, size_t size);
bool onlines_drop(struct onlines *onlines, const char *user, size_t size);
size_t onlines_count(const struct onlines *onlines);

typedef void (*onlines_fn)(void *context, const char *user);
/* fn must not change the set. */
void onlines_each(const struct onlines *onlines, onlines_fn fn, void *context);
/* Takes out, one at a time, those that were last named in another round: true and the user in `out`. */
bool onlines_take_stale(struct onlines *onlines, uint32_t round, char out[USER_ID_MAX + 1]);

#endif
