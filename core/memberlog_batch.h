/* What is in a batch: changes, or a whole mirror, and the events that may be told once those are applied.
 *
 * Flow:   memberlog, outbox (the follower's thread) -> batch -> memberlog_apply, memberlog_each_event (the
 * owner's). Thread: one at a time.
 * Owns:   its buffers, and the mirror it holds. For core/memberlog*.c and core/outbox.c alone. */
#ifndef PARLOR_CORE_MEMBERLOG_BATCH_H
#define PARLOR_CORE_MEMBERLOG_BATCH_H

#include "core/buf.h"
#include "core/memberlog.h"

struct memberlog_batch {
    struct memberlog_batch *next; /* among the retired ones */
    struct members *loaded;       /* of a reset: built by the follower, swapped in by the owner */
    int64_t version;
    int64_t read_ns; /* before the read: what it says was true then */
    size_t count;
    struct buf records; /* struct record, then the user's bytes, and again */
    size_t event_count;
    struct buf events;   /* struct batch_event, then its texts, and again */
    int64_t last_event;  /* id, when there are events */
    unsigned generation; /* of the outbox that the ids are of */
};

/* Behind it: the user and a zero byte, the payload and a zero byte. */
struct batch_event {
    int64_t id, version;
    struct uuid room;
    uint32_t payload_size;
    uint8_t user_size;
    bool messages; /* the topic is messages, else events */
};

struct memberlog_batch *batch_create(bool reset);

/* One membership: a change, or of a reset one that there is (role not NULL). history_seq: see
 * members_set_history. False when it is malformed. */
bool batch_add(struct memberlog_batch *b, const struct uuid *room, const char *type, const char *user,
               size_t user_size, const char *role, int64_t history_seq);

#endif
