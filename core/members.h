/* The membership mirror: which users are in which rooms, in memory, as of one version of the log.
 *
 * Ids are interned; a pair costs about 24 bytes, a look-up one hash probe. Both directions can be walked: the
 * members of a room and the rooms of a user. Its interface also allows loading users one at a time
 * (members_forget_user).
 *
 * Flow:   memberlog -> members_apply -> members_role, by access.
 * Thread: one mirror belongs to one thread (the broker's, or the service's loop).
 * Owns:   everything in it, until members_destroy. */
#ifndef PARLOR_CORE_MEMBERS_H
#define PARLOR_CORE_MEMBERS_H

#include "core/ids.h"
#include "core/roles.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct members;

struct members *members_create(void);
void members_destroy(struct members **m);

/* Sets the role of user in room (MEMBER_NONE removes). Applying the same change twice is harmless. */
void members_apply(struct members *m, const struct uuid *room, enum room_type type, const char *user,
                   size_t user_size, enum member_role role);

/* What user is in room; MEMBER_NONE for a stranger. *type_out (may be NULL) is set for a member. */
enum member_role members_role(const struct members *m, const struct uuid *room, const char *user,
                              size_t user_size, enum room_type *type_out);

/* What kind of room it is, whoever asks; false when nobody is in it. */
bool members_room_type(const struct members *m, const struct uuid *room, enum room_type *type_out);

/* The history of a member: it sees the room's messages past this seq. 0, from the start, is what it has until
 * it is told otherwise; nothing happens when the user is not in the room. Few members have a limit: theirs
 * are kept aside, and a room where nobody has one costs no look-up for it. */
void members_set_history(struct members *m, const struct uuid *room, const char *user, size_t user_size,
                         int64_t history_seq);
/* Is the user in the room, and does its history reach that message? */
bool members_sees(const struct members *m, const struct uuid *room, const char *user, size_t user_size,
                  int64_t seq);
/* False when everybody in the room sees all of it. */
bool members_room_limited(const struct members *m, const struct uuid *room);

/* True when the two users are in some room together that has at most size_max users; walks the shorter list.
 */
bool members_share_room(const struct members *m, const char *a, size_t a_size, const char *b, size_t b_size,
                        size_t size_max);
/* True when the user shares such a room with anybody. */
bool members_has_company(const struct members *m, const char *user, size_t user_size, size_t size_max);

typedef void (*members_room_fn)(void *context, const struct uuid *room, enum room_type type,
                                enum member_role role);
typedef void (*members_user_fn)(void *context, const char *user, enum member_role role);
/* Call fn for each room of the user, each user of the room; fn must not change the mirror. Return how many.
 */
size_t members_each_room(const struct members *m, const char *user, size_t user_size, members_room_fn fn,
                         void *context);
size_t members_each_user(const struct members *m, const struct uuid *room, members_user_fn fn, void *context);
size_t members_user_rooms(const struct members *m, const char *user,
                          size_t user_size);                                /* how many it is in */
size_t members_room_size(const struct members *m, const struct uuid *room); /* how many users are in it */

void members_clear(struct members *m);
void members_swap(struct members *a, struct members *b); /* all that they hold, versions too */
void members_forget_user(struct members *m, const char *user, size_t user_size);
size_t members_pairs(const struct members *m); /* how many pairs it holds */
size_t members_bytes(const struct members *m); /* memory it takes */

/* The log's version that it stands for, and when it was last known to be current (clock_mono_ns). */
int64_t members_version(const struct members *m);
void members_set_version(struct members *m, int64_t version, int64_t now_ns);
int64_t members_fresh_ns(const struct members *m);

#endif
