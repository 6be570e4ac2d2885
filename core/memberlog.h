/* The membership log: versioned changes in PostgreSQL, followed by a thread of its own, applied by the
 * mirror's owner; and with it the outbox of events.
 *
 * At start and after a lost connection that cannot be continued the whole membership is loaded in one
 * snapshot; then the changes since the last version are read when NOTIFY hints at them, once a second, and
 * after every reconnect. An empty batch says that the mirror was current a moment ago. Events are read before
 * the changes of the same round and come with them: whoever applies a batch and then publishes its events
 * never tells more than the mirror knows.
 *
 * Flow:   PostgreSQL -> follower thread -> batch -> (queue of the owner) -> memberlog_apply -> struct
 * members, memberlog_each_event -> memberlog_done. Thread: start, stop and done by the owner; on_batch is
 * called on the follower's thread, which may wait for the database as nobody else does.
 * Owns:   its connection and thread; a batch belongs to whoever on_batch gave it to. */
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

/* Starts the thread, signals blocked; with_events: the outbox is followed, and what was published is deleted
 * there, which one owner alone may do. The first batch is the whole membership; while the database does not
 * answer it is tried again for ever, with a line in the log. 0, or -1. */
int memberlog_start(const struct config *config, const char *application_name, bool with_events,
                    memberlog_fn on_batch, void *context, struct memberlog **out, struct error *e);
void memberlog_stop(struct memberlog **log); /* joins the thread */
void memberlog_hurry(struct memberlog *log); /* read now; any thread */

/* Called for each change that was applied, before the mirror changes it (`role` is the new one), so that the
 * owner can act on it; may be NULL. Not called for a reset. */
typedef void (*memberlog_change_fn)(void *context, const struct uuid *room, enum room_type type,
                                    const char *user, size_t user_size, enum member_role role);

/* Applies the batch to the mirror and sets its version and freshness. A reset, made as a mirror of its own,
 * is swapped in, at no cost of its size; what the mirror held is in the batch then. */
void memberlog_apply(struct memberlog_batch *batch, struct members *members, memberlog_change_fn on_change,
                     void *context);
bool memberlog_batch_is_reset(const struct memberlog_batch *batch); /* before it is applied or after */
int64_t memberlog_batch_version(const struct memberlog_batch *batch);

struct memberlog_event {
    int64_t id; /* rises */
    int64_t version;
    struct uuid room;    /* zero: none */
    const char *user;    /* zero-terminated; "": for the room, else for that user */
    bool messages;       /* for the room's messages, else its events */
    const char *payload; /* zero-terminated */
    size_t payload_size;
};

typedef void (*memberlog_event_fn)(void *context, const struct memberlog_event *event);

/* Calls fn for each event of the batch, in order; to be called when the batch has been applied. */
void memberlog_each_event(const struct memberlog_batch *batch, memberlog_event_fn fn, void *context);

/* The batch was applied and its events are published: takes it, to be freed on the follower's thread. */
void memberlog_done(struct memberlog *log, struct memberlog_batch **batch);

/* Frees a batch that will not be applied, or whose follower has ended. */
void memberlog_batch_destroy(struct memberlog_batch **batch);

#endif
