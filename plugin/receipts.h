/* Read and delivered marks on their way to the database: collected for a moment, many for one user and room
 * becoming one.
 *
 * Flow:   writer -> receipts_add -> (RECEIPTS_DELAY_MS) -> receipts_store -> store_marks -> the owner's
 * functions. Thread: the writer's.
 * Owns:   items from receipts_add on, until they are given back to the owner's functions. */
#ifndef PARLOR_PLUGIN_RECEIPTS_H
#define PARLOR_PLUGIN_RECEIPTS_H

#include "plugin/item.h"
#include "plugin/store_marks.h"

#define RECEIPTS_DELAY_MS 100
#define RECEIPTS_ROWS_MAX 1000 /* (room, user) pairs in one statement */

struct receipts;

/* Each item is given back once, to on_refused or to on_marked. */
struct receipts_owner {
    void *self;
    void (*on_refused)(void *self, struct item *item, const struct error *why);
    /* The item's mark holds now; `json` is the object of contract.md's receipts. */
    void (*on_marked)(void *self, struct item *item, const struct store_mark *mark, const struct buf *json);
    /* The watermarks of the item's user have moved; before its items are told. */
    void (*on_moved)(void *self, const struct item *item, const struct store_mark *mark,
                     const struct buf *json);
};

struct receipts *receipts_create(const struct receipts_owner *owner);
void receipts_destroy(struct receipts **r); /* must be empty */

/* Takes an ITEM_READ or ITEM_DELIVERED; one whose payload is no receipt is refused at once. */
void receipts_add(struct receipts *r, struct item *item);

bool receipts_empty(const struct receipts *r);
/* When receipts_store is to be called (clock_mono_ns); INT64_MAX when nothing waits. */
int64_t receipts_due_ns(const struct receipts *r);

/* Stores what waits. 0, or -1 with the store's error: what was not stored stays for a later call, less what
 * has waited too long, which is refused. */
int receipts_store(struct receipts *r, struct store *store, int64_t deadline_ns, struct error *e);

/* Refuses everything that waits. */
void receipts_refuse_all(struct receipts *r, const struct error *why);

#endif
