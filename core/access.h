/* The one doorkeeper: who may say, hear and do what, with the rule that decided.
 *
 * Used by the plugin for topics, by the service for requests and sockets, and by `parlorctl why`. The matrix
 * of contract.md 3a is one table in access.c; tests are generated from it.
 *
 * Flow:   topic or operation + who asks + membership -> struct verdict.
 * Thread: any; pure. Allocates nothing. */
#ifndef PARLOR_CORE_ACCESS_H
#define PARLOR_CORE_ACCESS_H

#include "core/config.h"
#include "core/members.h"
#include "core/token.h"
#include "core/topic.h"

#include <stdbool.h>

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_SUBSCRIBE };

enum rule {
    RULE_OUTSIDE_PREFIX, /* not ours: the broker's other rules decide */
    RULE_UNKNOWN_TOPIC,  /* no such topic under the prefix */
    RULE_SYSTEM_SPEAKS,  /* canonical topics are written by the plugin alone */
    RULE_OWN_VOICE,      /* one publishes only as oneself */
    RULE_MEMBER,         /* members of the room */
    RULE_NOT_MEMBER,     /* ... and nobody else */
    RULE_OWN_TOPIC,      /* users/{user}/... is that user's */
    RULE_NOT_OWN_TOPIC,
    RULE_NOBODY_READS,  /* what a client says is read by the plugin alone */
    RULE_WILDCARD,      /* + or # in place of room, user or call is for service and operator */
    RULE_SHARED,        /* $share under the prefix */
    RULE_SHARES_ROOM,   /* presence: users who share a room */
    RULE_NOT_CONNECTED, /* a will: a client that is not connected says nothing */
    RULE_SERVICE,       /* the service role */
    RULE_SERVICE_ONLY,
    RULE_OPERATOR, /* operators hear everything */
    RULE_STALE,    /* the membership mirror is too old for new grants */
    RULE_UNREAD,   /* memberships were never read yet: a subscription on credit, for READ decides */
    RULE_CALL,     /* calls: not served yet by this broker */
    RULE_MATRIX,   /* contract 3a: the table of rooms and roles */
    RULE_SENDER,   /* a message that another one sent, or nobody */
    RULE_HISTORY,  /* a member whose history begins behind the message */
    RULE_COUNT
};

struct verdict {
    bool allowed;
    enum rule rule;
};

struct subject {
    const char *user; /* zero-terminated; SERVICE_USER for the service */
    size_t user_size;
    enum role role;
    bool connected; /* false for a will's publisher */
};

/* What a verdict rests upon. */
struct grounds {
    const struct members *members;
    bool stale;               /* the members are too old for new grants */
    size_t presence_room_max; /* larger rooms show nobody's presence */
    bool unread;              /* the members were never read yet */
};

/* May `who` do `access` on the topic? When stale, no new grant to hear is given (subscribe) and writes go on:
 * the writer checks again in its transaction. When unread, what only members could tell is granted on credit
 * (subscribe, RULE_UNREAD): nothing is delivered by it until they are read. The verdict on TOPIC_OUTSIDE is
 * allowed with RULE_OUTSIDE_PREFIX: the caller defers or allows. SUBSCRIBE takes what filter_parse gave, READ
 * and WRITE what topic_parse gave. A filter with wildcards below one's own room or user may be granted
 * although it covers topics that one may not read: READ decides on each delivery. Of the call topics users
 * get only the subscription to their own signals; all else there is refused with RULE_CALL. */
struct verdict access_topic(const struct subject *who, enum access access, const struct topic *topic,
                            const struct grounds *grounds);

/* Does `outside_prefix allow` open this topic, or for ACCESS_SUBSCRIBE filter, outside the prefix? It never
 * opens those that begin with $ ($SYS, $CONTROL), in a shared subscription neither. What it does not open is
 * deferred, and so is all with `outside_prefix defer`. */
bool access_opens_outside(enum outside_prefix option, enum access access, const char *text);

/* May the user hear of the message of the room with that seq, new, edited or deleted? Asked for each message
 * beside the topic's verdict; a room where access_reaches_all is true needs not ask. */
struct verdict access_message(const char *user, size_t user_size, const struct uuid *room, int64_t seq,
                              const struct members *members);
bool access_reaches_all(const struct uuid *room, const struct members *members);

/* Operations on a room (contract.md 3a). */
enum operation {
    OPERATION_SEE,  /* that it exists */
    OPERATION_READ, /* its messages */
    OPERATION_SEND,
    OPERATION_ADD_MEMBER,
    OPERATION_REMOVE_MEMBER,
    OPERATION_LEAVE,
    OPERATION_SET_ROLE,
    OPERATION_RENAME,
    OPERATION_SET_HISTORY,
    OPERATION_SET_STATUS,
    OPERATION_EDIT_OWN,
    OPERATION_DELETE_OWN,
    OPERATION_DELETE_OTHERS,
    OPERATION_COUNT
};

/* `target` is the role of the one acted upon: the one it has, for ADD_MEMBER the one it shall get
 * (MEMBER_NONE where nobody is). Refusals: RULE_NOT_MEMBER, to a stranger, who is told that nothing is there
 * (404); RULE_MATRIX to one who may know the room (403). An agent who has not joined a support room may add
 * only itself: that the one added is the asker is the caller's to check. */
struct verdict access_room(enum operation operation, enum room_type type, enum member_role member,
                           enum role role, enum member_role target);

const char *rule_name(enum rule rule); /* stable word, as not_member */
const char *rule_text(enum rule rule); /* one sentence */
const char *rule_hint(enum rule rule); /* what would change it */
const char *operation_name(enum operation operation);

#endif
