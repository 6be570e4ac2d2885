/* Rows of chat_presence into PostgreSQL.
 *
 * Flow:   attendance -> store_attendance -> PostgreSQL.
 * Thread: the writer's; it may wait here, up to the deadline.
 * Owns:   nothing. */
#ifndef PARLOR_PLUGIN_STORE_ATTENDANCE_H
#define PARLOR_PLUGIN_STORE_ATTENDANCE_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SQL_ATTENDANCE                                                                                       \
    "insert into chat_presence (user_id, online, last_seen_at) select i.id, i.online <> 0, i.at "            \
    "from unnest($1::text[], $2::int8[], $3::timestamptz[]) i (id, online, at) "                             \
    "on conflict (user_id) do update set online = excluded.online, last_seen_at = excluded.last_seen_at"
#define SQL_NOBODY "update chat_presence set online = false, last_seen_at = now() where online"

struct store;

struct store_attendee {
    const char *user;
    bool online;
    int64_t since_ms; /* 1970 */
};

/* In the order of the users, each once. 0 when committed, or -1 as store_batch; to try again does no harm. */
int store_attendance(struct store *store, const struct store_attendee *attendees, size_t count,
                     int64_t deadline_ns, struct error *e);
/* Everybody is offline. */
int store_nobody(struct store *store, int64_t deadline_ns, struct error *e);

#endif
