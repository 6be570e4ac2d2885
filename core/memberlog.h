/* The membership log: versioned changes in PostgreSQL, followed by a thread of its own, applied by the
 * mirror's owner.
 *
 * At start and after a lost connection that cannot be continued the whole membership is loaded in one
 * snapshot; then the changes since the last version are read when NOTIFY hints at them, once a second, and
 * after every reconnect. An empty batch says that the mirror was current a moment ago.
 *
 * Flow:   PostgreSQL -> follower thread -> batch -> (queue of the owner) -> memberlog_apply -> struct
 * members. Thread: start and stop by the owner; on_batch is called on the follower's thread, which may wait
 * for the database as nobody else does. Owns:   its connection and thread; a batch belongs to whoever
 * on_batch gave it to. */
#ifndef PARLOR_CORE_MEMBERLOG_H
#define PARLOR_CORE_MEMBERLOG_H

#include "core/config.h"
#include "core/error.h"
#include "core/members.h"

#include <stdbool.h>
#include <stdint.h>

struct memberlog;       /* the follower */
struct memberlog_batch; /* changes up to one version */

/* Called on the follower's thread; the batch is the receiver's, for memberlog_batch_destroy. */
typedef void (*memberlog_fn)(void *context, struct memberlog_batch *batch);

/* Starts the thread, signals blocked. The first batch is the whole membership; while the database does not
 * answer it is tried again for ever, with a line in the log. 0, or -1. */
int memberlog_start(const struct config *config, const char *application_name, memberlog_fn on_batch,
                    void *context, struct memberlog **out, struct error *e);
void memberlog_stop(struct memberlog **log); /* joins the thread */
void memberlog_hurry(struct memberlog *log); /* read now; any thread */

/* Called for each change that was applied, before the mirror changes it (`role` is the new one), so that the
 * owner can act on it; may be NULL. Not called for a reset. */
typedef void (*memberlog_change_fn)(void *context, const struct uuid *room, enum room_type type,
                                    const char *user, size_t user_size, enum member_role role);

/* Applies the batch to the mirror (a reset empties it first) and sets its version and freshness. */
void memberlog_apply(const struct memberlog_batch *batch, struct members *members,
                     memberlog_change_fn on_change, void *context);
bool memberlog_batch_is_reset(const struct memberlog_batch *batch);
int64_t memberlog_batch_version(const struct memberlog_batch *batch);
void memberlog_batch_destroy(struct memberlog_batch **batch);

#endif
