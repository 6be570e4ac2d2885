/* The outbox of events: read in the order of their ids, held until their membership version is read too,
 * deleted once published.
 *
 * Flow:   event_outbox -> outbox_read -> outbox_give -> batch -> (the owner publishes) -> outbox_published ->
 * outbox_clean. Thread: the follower's, but for outbox_published, which is for any.
 * Owns:   events that wait. */
#ifndef PARLOR_CORE_OUTBOX_H
#define PARLOR_CORE_OUTBOX_H

#include "core/db.h"
#include "core/memberlog_batch.h"

struct outbox;

struct outbox *outbox_create(void);
void outbox_destroy(struct outbox **o);

/* Reads the events behind the last one read. 1 when there may be more, 0, or -1 with e. */
int outbox_read(struct outbox *o, PGconn *conn, int64_t timeout_ms, struct error *e);

/* Moves the events that may be told at the batch's version into the batch. */
void outbox_give(struct outbox *o, struct memberlog_batch *batch);

/* The batch's events have been published. */
void outbox_published(struct outbox *o, const struct memberlog_batch *batch);

/* Deletes, at most once a second, what was published a second ago or more: what a broker that is killed may
 * not have sent on yet is published again. 0, or -1 with e. */
int outbox_clean(struct outbox *o, PGconn *conn, int64_t timeout_ms, struct error *e);

/* Another database, or one that went back: everything in it is read again. */
void outbox_forget(struct outbox *o);

#endif
