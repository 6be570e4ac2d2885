/* The topic table of contract.md, read and written in one place.
 *
 * Flow:   text -> topic_parse (names) or filter_parse (subscriptions) -> access; ids -> topic_format_* ->
 * publish. Thread: any; pure. Nothing is allocated: a struct topic points into the text that it was parsed
 * from. */
#ifndef PARLOR_CORE_TOPIC_H
#define PARLOR_CORE_TOPIC_H

#include "core/ids.h"

#include <stdbool.h>
#include <stddef.h>

#define TOPIC_TEXT_MAX 512 /* bytes of any topic under the prefix */
#define PREFIX_MAX     64

enum topic_kind {
    TOPIC_OUTSIDE, /* not under the prefix: none of our business */
    TOPIC_UNKNOWN, /* under the prefix, but of no known shape */
    /* rooms/{room}/... */
    TOPIC_ROOM_SEND,
    TOPIC_ROOM_READ,
    TOPIC_ROOM_DELIVERED,
    TOPIC_ROOM_TYPING,
    TOPIC_ROOM_MESSAGES,
    TOPIC_ROOM_RECEIPTS,
    TOPIC_ROOM_EVENTS,
    /* calls/{call}/... */
    TOPIC_CALL_SIGNAL,
    TOPIC_CALL_MEDIA,
    TOPIC_CALL_EVENTS,
    /* users/{user}/... */
    TOPIC_USER_EVENTS,
    TOPIC_USER_ACKS,
    TOPIC_USER_INBOX,
    TOPIC_USER_PRESENCE,
    TOPIC_USER_TOKEN,
    TOPIC_USER_API,
    TOPIC_USER_REPLIES,
    /* service/in/{node} and service/out/{node}: the packed link of parlord (core/wire.h) */
    TOPIC_SERVICE_IN,
    TOPIC_SERVICE_OUT,
    TOPIC_PRIVATE /* where consumed messages go: nobody reads it */
};

/* The topic that a consumed message is moved to; no longer than any topic that a client may send to. */
#define TOPIC_PRIVATE_TEXT "$parlor"

struct topic_part {
    const char *text; /* not zero-terminated */
    size_t size;
};

struct topic {
    enum topic_kind kind;
    struct uuid id;            /* of the room or call, when the kind has one and `id_wild` is false */
    struct topic_part owner;   /* users/{owner}; calls/.../signal/{owner}: whom it is for */
    struct topic_part speaker; /* the last level: who says it */
    struct topic_part request; /* users/{user}/api/{request}, replies/{request}; service/in/{request} */
    /* only from filter_parse */
    bool wild;            /* has + or # anywhere */
    bool id_wild;         /* + or # stands for room, user or call (or above them) */
    bool shared;          /* $share/group/...; the rest is parsed as if without it */
    bool overlaps_prefix; /* not under the prefix literally, but able to match below it, as # or +/v1/#; the
                             kind is TOPIC_OUTSIDE then, and id_wild is set */
};

/* A topic name as published. Kind UNKNOWN for a malformed one under the prefix: rooms' and calls' ids must be
 * UUIDs in canonical lower case (one room, one topic: the broker compares bytes), user levels, requests and
 * nodes valid user ids. */
struct topic topic_parse(const char *prefix, const char *text);

/* A subscription's filter. For a filter with wildcards `kind` is that of the part that is fixed:
 * rooms/{room}/# has ROOM_MESSAGES with wild; users/{user}/# has USER_EVENTS with wild;
 * calls/+/signal/{user}/+ has CALL_SIGNAL with id_wild and owner set; {prefix}/# and {prefix}/+/... have
 * UNKNOWN with id_wild. UNKNOWN without id_wild is malformed, or can match no topic that there is. */
struct topic filter_parse(const char *prefix, const char *text);

/* Each writes a zero-terminated topic into out and returns its length. */
size_t topic_format_room(char out[TOPIC_TEXT_MAX], const char *prefix, const struct uuid *room,
                         enum topic_kind kind, const char *speaker /* NULL for canonical topics */);
size_t topic_format_user(char out[TOPIC_TEXT_MAX], const char *prefix, const char *user, enum topic_kind kind,
                         const char *request /* api and replies, else NULL */);
size_t topic_format_service(char out[TOPIC_TEXT_MAX], const char *prefix, enum topic_kind kind,
                            const char *node);

const char *topic_kind_name(enum topic_kind kind);

bool topic_part_is(const struct topic_part *part, const char *text);

#endif
