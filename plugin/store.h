/* One batch of messages into PostgreSQL: locked, checked, numbered and inserted in one round trip,
 * committed in another: only a commit under way is ever uncertain.
 *
 * Per batch and in one transaction: the rooms' rows are locked in id order; then, with a snapshot taken under
 * those locks, membership, replay (room, sender, clientMessageId), replyTo and attachments are checked,
 * accepted messages get the room's next seq in the order of the batch, and are inserted; rejected ones leave
 * no trace and use no seq.
 *
 * Flow:   writer -> store_begin, store_execute, store_complete -> PostgreSQL -> outcomes -> writer.
 * Thread: the writer's; it may wait here, up to the deadline.
 * Owns:   its connection. */
#ifndef PARLOR_PLUGIN_STORE_H
#define PARLOR_PLUGIN_STORE_H

#include "core/config.h"
#include "core/message.h"

struct store;

enum store_outcome {
    STORE_STORED,   /* by this batch, or by an earlier try of it whose commit was uncertain (same id) */
    STORE_REPLAYED, /* the same clientMessageId and body was stored before: `message` is the first */
    STORE_REJECTED  /* `error` says why: room_not_found, conflict, reply_not_found, attachment_not_found */
};

struct store_item {
    /* in */
    struct uuid room;
    const char *user;
    const struct draft *draft; /* client_message_id set: the writer makes one where the client gave none */
    struct uuid id;            /* made once, kept over retries */
    int64_t created_at_ms;
    /* out */
    enum store_outcome outcome;
    struct message message; /* when not rejected; its texts live in the draft, or in the store until the next
                               batch is executed */
    struct error error;
};

/* No two items of a batch may have the same room, user and clientMessageId (the writer keeps the second for
 * the next). Connects (and checks the database, db_check) when there is no connection. Returns 0 when
 * committed and all outcomes are set; -1 with UNAVAILABLE (nothing was stored: `database_unavailable` away or
 * hung, `busy` a lock or statement timeout, schema words of db_check), UNCERTAIN (the connection broke or the
 * deadline passed while the commit was under way: try again with the same items), or INVALID `poison` (the
 * server refused the data of some item: halve). */
int store_batch(struct store *store, struct store_item *items, size_t count, int64_t deadline_ns,
                struct error *e);

/* The same in three steps, so that the database has the next batch while the one before commits:
 *
 * - store_begin sends a batch's statements; the batch before it may be committing. 0, or -1 as store_batch.
 * - store_execute waits until they have run and lets the commit begin. By then the batch before must be
 *   complete, and well. 0, or -1 as store_batch.
 * - store_complete waits for the commit. 0: all outcomes are set. -1 as store_batch: the connection is gone,
 *   and with it a batch that was begun behind this one: it was not stored.
 *
 * e is never NULL. Items and their texts stay where they are in between. Nothing else may be asked of the
 * store while a commit is under way. */
int store_begin(struct store *store, struct store_item *items, size_t count, int64_t deadline_ns,
                struct error *e);
int store_execute(struct store *store, struct store_item *items, size_t count, int64_t deadline_ns,
                  struct error *e);
int store_complete(struct store *store, struct store_item *items, size_t count, int64_t deadline_ns,
                   struct error *e);

/* True when a batch can begin at once: the connection is there, and nothing is to be written before. */
bool store_ready(struct store *store);

/* Whose rows does somebody else keep locked at the moment? Sets locked_out for each room; one that there is
 * not counts as free. 0, or -1 as store_batch. */
int store_locked(struct store *store, const struct uuid *rooms, size_t count, bool *locked_out,
                 int64_t deadline_ns, struct error *e);

/* True when something has waited long enough to be written before the next batch: let the one that commits
 * be complete first. */
bool store_flush_due(const struct store *store);

/* Writes the senders' own read watermarks (to send is to have read), which store_batch only remembers: when
 * the last write was a second ago or more, else it does nothing. To be called after a batch's acks are on
 * their way, and about once a second while there are none. Nothing is lost when it fails: it is tried again,
 * and after a crash the newest messages tell. 0, or -1 as store_batch. */
int store_flush(struct store *store, int64_t deadline_ns, struct error *e);

/* Reads past_file, if the configuration has one: a small file that may be waited for. */
struct store *store_create(const struct config *config);
/* Nothing will be stored any more: writes past_file, which is else written about once a second by whatever is
 * called here. On the writer's thread, before store_destroy. */
void store_end(struct store *store);
void store_destroy(struct store **store); /* flushes, for a second at most */

/* True when connected and checked; store_connect tries to, within the deadline. */
bool store_connected(const struct store *store);
int store_connect(struct store *store, int64_t deadline_ns, struct error *e);
void store_disconnect(struct store *store);

#endif
