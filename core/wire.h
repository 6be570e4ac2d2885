/* The link between parlord and the plugin: many records in one MQTT packet, on two private topics of the
 * service role.
 *
 * Each record would otherwise be an MQTT message of its own, at 17 us to publish and 14 to receive; packed,
 * the cost of a packet is shared by all that was ready in one turn of the loop. A lone record goes at once,
 * in a packet of one.
 *
 * Packet: version (u8, WIRE_VERSION), number (u32, rises by 1 from 1 for each packet of a link; a jump means
 * that packets were lost), then records: type (u8), size of what follows (u32), fields. Numbers are
 * big-endian; strings have their length (u8 or u32) before them. A reader skips types it does not know and
 * fields behind those it knows, and takes what was added later and stands last (a request_id, an event's seq)
 * for empty or 0 when the record ends before it: ends with and without it understand each other, under the
 * same WIRE_VERSION.
 *
 * Flow:   service/link -> service/in/{node} -> plugin/ingress; plugin/fanout -> service/out/{node} ->
 * service/link. Thread: any; pure. Readers' strings point into the packet. */
#ifndef PARLOR_CORE_WIRE_H
#define PARLOR_CORE_WIRE_H

#include "core/buf.h"
#include "core/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION    1
#define WIRE_PACKET_MAX (256 * 1024) /* a packet is closed when it is past this size */

#define WIRE_REQUEST_ID_MAX 128 /* the longest is an `api` topic's requestId */

enum wire_type {
    /* parlord to plugin */
    WIRE_HELLO = 1, /* boot, seq: a new link; what this node watched is forgotten; it is told the events from
                       that number on (0: none) as far as they are kept; answered by STATE */
    WIRE_SEND,      /* request, room, user, fallback_id, payload, request_id: a user's message, as on
                       send/{user} */
    WIRE_WATCH,     /* room: send its messages; answered by WATCHED */
    WIRE_UNWATCH,   /* room */
    WIRE_READ,      /* request, room, user, payload, request_id: as on read/{user}; answered by RECEIPT or
                       REJECTED */
    WIRE_DELIVERED, /* request, room, user, payload, request_id: as on delivered/{user}; answered likewise */
    WIRE_TYPING,    /* room, user, on: as on typing/{user}; not answered */
    WIRE_ONLINE,    /* user, on: whether the user has a socket at this node; all again after a HELLO */
    WIRE_REPLY,     /* user, word (the requestId), payload: for users/{user}/replies/{requestId} */
    /* plugin to parlord */
    WIRE_STATE = 64, /* boot (of the plugin), version (of its members), database_up, seq (of the last EVENT,
                        0: none); at each change and once a second */
    WIRE_WATCHED,    /* room: its messages from here on come */
    WIRE_MESSAGE,    /* request (of the SEND of this node that it answers, else 0), room, seq, payload: the
                        message */
    WIRE_STORED, /* request, room, seq, payload: the answer to a replay, or for a room that is not watched */
    WIRE_REJECTED, /* request, word, payload (text): the answer to a refused SEND, READ or DELIVERED */
    WIRE_RECEIPT,  /* request, room, seq (readSeq), user, payload (the object of contract.md's receipts). With
                      a request, the answer to a mark, whether it moved anything or not; without, watermarks
                      that moved, in a watched room */
    WIRE_EVENT,    /* room (zero: none), user ("": the room's members), version, word (topic's last level:
                      events or messages), payload, seq (its number in the outbox): what the outbox made known,
                      the last ones again after a crash; room events go to nodes that watch the room or have just
                      said HELLO, a user's to all */
    WIRE_TYPED,    /* room, user, on: somebody in a watched room types, at any door */
    WIRE_PRESENCE, /* user, on, seq (lastSeenAt, ms since 1970): to all nodes at each change, and every online
                      user after a HELLO */
    WIRE_API,    /* user, seq (enum role), version (expires_at_s), word (the requestId), payload: a request by
                    the api topic; answered by REPLY */
    WIRE_METRICS /* payload: the plugin's metrics as Prometheus text, every few seconds */
};

/* One record, read or to be written; fields that its type does not have are zero. */
struct wire_record {
    enum wire_type type;
    uint64_t request;
    uint64_t boot;
    int64_t version, seq;
    bool database_up;
    bool on;
    struct uuid room;
    const char *user; /* not zero-terminated */
    size_t user_size;
    const char *fallback_id; /* clientMessageId to use when the payload has none: makes a resend safe */
    size_t fallback_id_size;
    const char *word;
    size_t word_size;
    unsigned error_code; /* enum error_code, with word */
    const char *payload;
    size_t payload_size;
    const char *request_id; /* of the request that it is made for; only logs read it */
    size_t request_id_size; /* at most WIRE_REQUEST_ID_MAX */
};

/* Starts a packet in an empty buf; adds a record. */
void wire_begin(struct buf *packet, uint32_t number);
void wire_put(struct buf *packet, const struct wire_record *record);

struct wire_reader {
    const uint8_t *at, *end;
    uint32_t number;
};

/* False when the packet is of another version or cut. */
bool wire_open(struct wire_reader *r, const void *packet, size_t size);
/* 1 and *out for the next known record, 0 at the end, -1 when it is malformed (drop the rest). */
int wire_next(struct wire_reader *r, struct wire_record *out);

#endif
