/* The writer: one thread, one connection; what has arrived when a batch is committed is the next batch.
 *
 * Flow:   ingress -> writer_submit -> store -> PostgreSQL -> results -> fanout.
 * Thread: the functions are for the broker's; the work is done on a thread of its own.
 * Owns:   items from writer_submit or writer_refuse on, until they have become results; its store. */
#ifndef PARLOR_PLUGIN_WRITER_H
#define PARLOR_PLUGIN_WRITER_H

#include "core/config.h"
#include "core/metrics.h"
#include "plugin/item.h"
#include "plugin/queue.h"

struct writer;

/* Called on the writer's thread after results were pushed. */
typedef void (*writer_wake_fn)(void *context);

/* Tries the database for at most connect_ms, then starts the thread, signals blocked. 0, or -1 with INVALID
 * when the database answers and is not one that we may write to (a wrong schema, fsync off); that it is away
 * is no error. */
int writer_start(const struct config *config, int64_t connect_ms, struct queue *results, writer_wake_fn wake,
                 void *context, struct writer **out, struct error *e);

/* Stores what was accepted, for at most timeout_ms, and joins the thread. */
void writer_stop(struct writer **writer, int64_t timeout_ms);

/* For the next writer_wake. False, and the item stays the caller's, when queue_messages_max or
 * queue_bytes_max is reached. */
bool writer_submit(struct writer *writer, struct item *item);

/* Wakes the writer for what was submitted, refused or noted since: once for all that one turn of the loop
 * read, so that it becomes one batch. */
void writer_wake(struct writer *writer);

/* Hands a refused item (its word is set) over to be answered; it is dropped when too many wait. */
void writer_refuse(struct writer *writer, struct item *item);

/* The user is online or offline since then (1970): for chat_presence. */
void writer_note_presence(struct writer *writer, const char *user, bool online, int64_t since_ms);

/* What its thread counts. */
struct writer_stats {
    struct metric_histogram batch, commit; /* messages of a committed batch; how long that took */
    struct metric_counter failed;          /* tries without a commit */
};
const struct writer_stats *writer_stats(const struct writer *writer);
size_t writer_queued(const struct writer *writer); /* items that are not answered */

/* False while the database is away, hung or not fit for use. */
bool writer_database_up(const struct writer *writer);

#endif
