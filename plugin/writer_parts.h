/* The inside of a writer, shared by its three files: writer.c (the thread, who comes and who is told),
 * writer_batch.c (messages stored) and writer_live.c (receipts, presence).
 *
 * Flow:   included by plugin/writer*.c alone.
 * Thread: the writer's.
 * Owns:   see writer.h. */
#ifndef PARLOR_PLUGIN_WRITER_PARTS_H
#define PARLOR_PLUGIN_WRITER_PARTS_H

#include "plugin/attendance.h"
#include "plugin/parked.h"
#include "plugin/receipts.h"
#include "plugin/store.h"
#include "plugin/store_attendance.h"
#include "plugin/writer.h"

#include <pthread.h>
#include <stdatomic.h>

#define NS_PER_MS INT64_C(1000000)

#define PAUSE_MS 50 /* between tries */
#define FLIGHTS  2  /* batches: one that commits, one behind it */

struct flight {
    struct item **items;
    struct store_item *rows;
    size_t count;
    int64_t from_ns, deadline_ns;
};

struct writer {
    pthread_t thread;
    const struct config *config;
    struct config store_config; /* a shorter lock_timeout_ms: see above */
    struct store *store;
    struct queue *items, *results;
    writer_wake_fn wake;
    void *context;
    atomic_bool up, stopping;
    atomic_uint refusals;
    _Atomic int64_t stop_ns;
    int64_t commit_ns;
    struct writer_stats stats;
    /* the thread's */
    struct item_list waiting; /* oldest first */
    struct parked parked;
    struct receipts *receipts;
    struct attendance *attendance;
    struct flight flights[FLIGHTS], *committing; /* NULL: none commits */
    struct kinds kinds;                          /* of the batch that is being made */
    struct kinds doubts;                         /* of the uncertain ones */
    size_t doubtful;                             /* uncertain items that there are */
    struct kinds held;                           /* of a batch that is tried again */
    struct kinds again;                          /* of those behind them that are not yet to be rejected */
    int64_t looked_ns; /* when that was looked at: what "yet" means until the next look */
    size_t batch_max;
    struct uuid *rooms; /* of one batch: */
    bool *locked;
    struct queue_node *answers, **answers_end;
    int64_t committed_ns; /* the last batch */
    struct buf body, ack;
    char complaint[ERROR_WORD_MAX];
    size_t abandoned;
};

/* writer.c */
void writer_item_done(struct writer *w, struct item *item);
void writer_answer(struct writer *w, struct result *result); /* collects it for the next push */
void writer_push(struct writer *w);
void writer_reject(struct writer *w, struct item *item, const struct error *why); /* the item is gone then */
/* The same for one that may be sent again: silently where it was already, and that one will be tried (as of
 * the last writer_look_again), for then one answer is for both. A parlord is told in any case. */
void writer_turn_away(struct writer *w, struct item *item, const char *word, const char *text);
void writer_reject_unavailable(struct writer *w, struct item *item); /* so, for a database that is away */
/* Parses the item's payload, once. 0, or -1 with e. */
int writer_prepare(struct writer *w, struct item *item, struct error *e);
void writer_doubt(struct writer *w, struct item *item); /* marks it as uncertain */
/* May this message have been stored, by an earlier try of the item or of one like it? Then it is uncertain
 * from here on: nobody is told that it was rejected. */
bool writer_in_doubt(struct writer *w, struct item *item);
/* Looks at what waits or is parked for what will be tried; in trouble that is not all that waits. */
void writer_look_again(struct writer *w, bool in_trouble);
/* Is one like it in a batch that is tried again? */
bool writer_is_held(struct writer *w, struct item *item);
void writer_intake(struct writer *w); /* takes over what has arrived; refused items are answered at once */
void writer_database_is_up(struct writer *w);
void writer_database_is_down(struct writer *w, const struct error *e);
/* It did not answer: before anything else is tried, what has waited for too long is rejected. */
void writer_in_trouble(struct writer *w, const struct error *e);
bool writer_out_of_time(const struct writer *w);
int64_t writer_commit_deadline(const struct writer *w);

/* writer_batch.c */
void writer_init_batches(struct writer *w);
void writer_finish_batches(struct writer *w);
/* Makes the next batch of what waits and stores it, but for its commit, which is left under way; the one
 * before is complete then, and answered. False when there was neither. */
bool writer_store_next(struct writer *w);
void writer_land(struct writer *w); /* waits for the commit under way, if there is one */
void writer_pause(void);            /* PAUSE_MS */
bool writer_parked_too_long(const struct writer *w, const struct item *item);
int64_t writer_parked_due_ns(const struct writer *w); /* INT64_MAX: none is parked */
void writer_retry_parked(struct writer *w); /* those whose time has come; forgets rooms with nothing left */
void writer_abandon(struct writer *w, struct item **items, size_t count); /* at the end, without an answer */

/* writer_live.c */
struct receipts *writer_make_receipts(struct writer *w);
void writer_take_presence(struct writer *w, struct item *item);
void writer_store_receipts(struct writer *w);
void writer_store_presence(struct writer *w);
void writer_end_presence(struct writer *w);
void writer_finish_receipts(struct writer *w);

#endif
