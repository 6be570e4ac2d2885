/* The inside of a writer, shared by its two files: writer.c (messages, the thread) and writer_live.c
 * (receipts, presence).
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
    struct item **batch;
    struct store_item *rows;
    struct kinds kinds; /* of the open batch */
    size_t batch_max;
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
void writer_database_is_up(struct writer *w);
void writer_database_is_down(struct writer *w, const struct error *e);
bool writer_out_of_time(const struct writer *w);
int64_t writer_commit_deadline(const struct writer *w);

/* writer_live.c */
struct receipts *writer_make_receipts(struct writer *w);
void writer_take_presence(struct writer *w, struct item *item);
void writer_store_receipts(struct writer *w);
void writer_store_presence(struct writer *w);
void writer_end_presence(struct writer *w);
void writer_finish_receipts(struct writer *w);

#endif
