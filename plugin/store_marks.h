/* Read and delivered watermarks into PostgreSQL: many in one transaction, only forward, never past the room's
 * last seq; whoever has read a message has received it too.
 *
 * Flow:   receipts -> store_marks -> PostgreSQL -> outcomes -> receipts.
 * Thread: the writer's; it may wait here, up to the deadline.
 * Owns:   nothing. */
#ifndef PARLOR_PLUGIN_STORE_MARKS_H
#define PARLOR_PLUGIN_STORE_MARKS_H

#include "core/error.h"
#include "core/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* Up to where, by seq, by a message's id, or by both: the further one counts. */
struct mark_target {
    int64_t seq; /* 0: none */
    bool has_message;
    struct uuid message;
    bool missing; /* out: there is no such message, or none that this participant may see */
};

struct store_mark {
    struct uuid room;
    const char *user;
    struct mark_target read, delivered;
    /* out */
    bool member;                     /* false: all below is unset */
    bool moved;                      /* by this transaction */
    int64_t read_seq, delivered_seq; /* that hold now */
};

/* The marks stand in the order of room and user, each pair once. at_ms goes into the history of what was
 * read. 0 when committed and all outcomes are set, or -1 as store_batch; to try again does no harm. */
int store_marks(struct store *store, struct store_mark *marks, size_t count, int64_t at_ms,
                int64_t deadline_ns, struct error *e);

#endif
