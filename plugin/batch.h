/* The items of a batch as parameters, sorted by room and, within a room, by arrival.
 *
 * Sorted, so that all writers lock rooms in one order and cannot deadlock.
 *
 * Flow:   store_begin -> batch_fill -> params of two statements (store_sql.h).
 * Thread: one owner.
 * Owns:   its buffers, until batch_finish. */
#ifndef PARLOR_PLUGIN_BATCH_H
#define PARLOR_PLUGIN_BATCH_H

#include "plugin/params.h"
#include "plugin/store.h"

/* Zeroed is ready for use. */
struct batch {
    size_t *order; /* items by room, then by arrival */
    size_t order_capacity;
    struct params lock;  /* what the locking statement takes */
    struct params items; /* what the inserting statement takes */
    uint32_t item_oid;   /* of the type parlor_item; asked for at each connection */
};

void batch_finish(struct batch *b);

/* Sorts; b->order holds until the next call. */
void batch_sort(struct batch *b, const struct store_item *items, size_t count);

/* Fills both parameter lists, for the careful statements or the fast ones. */
void batch_fill(struct batch *b, const struct store_item *items, size_t count, bool careful);

/* Where the run of one room that begins at `start` ends, both as indexes into the order. */
size_t batch_run_end(const struct batch *b, const struct store_item *items, size_t count, size_t start);

/* True when the draft names somebody. */
bool batch_has_mentions(const struct draft *d);

#endif
