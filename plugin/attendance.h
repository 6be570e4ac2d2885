/* Changes of presence on their way to the database, the newest of each user: a lone one goes at once, so that
 * a room that is made in the next moment shows it; what comes soon behind is collected.
 *
 * Before the first of them, rows that an earlier run of the broker left online are set offline.
 *
 * Flow:   writer -> attendance_note -> attendance_store -> store_attendance.
 * Thread: the writer's; attendance_store may wait, up to the deadline.
 * Owns:   what is not yet written. */
#ifndef PARLOR_PLUGIN_ATTENDANCE_H
#define PARLOR_PLUGIN_ATTENDANCE_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

#define ATTENDANCE_DELAY_MS 100  /* between two statements */
#define ATTENDANCE_ROWS_MAX 1000 /* in one statement */

struct attendance;
struct store;

struct attendance *attendance_create(void);
void attendance_destroy(struct attendance **a);

void attendance_note(struct attendance *a, const char *user, bool online, int64_t since_ms);
/* When attendance_store is to be called (clock_mono_ns); INT64_MAX when nothing waits. */
int64_t attendance_due_ns(const struct attendance *a);
/* 0, or -1 with the store's error: what was not stored stays for a later call. */
int attendance_store(struct attendance *a, struct store *store, int64_t deadline_ns, struct error *e);

#endif
