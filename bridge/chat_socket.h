/* What chat.c (sockets and delivery), chat_live.c (what else happens in rooms), chat_events.c (what clients
 * ask) and join.c (catching up) know of each other.
 *
 * Thread: the service's loop.
 * Owns:   a chat_socket its joins; a question outlives its socket, which it then no longer names. */
#ifndef PARLOR_BRIDGE_CHAT_SOCKET_H
#define PARLOR_BRIDGE_CHAT_SOCKET_H

#include "bridge/chat.h"
#include "bridge/deadlines.h"
#include "bridge/recent.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/json.h"
#include "core/request_id.h"
#include "core/token.h"

struct join;

/* One event as its handler gets it. */
struct asked {
    const struct event *event;
    const char *pattern; /* its name, a constant */
    struct slice data;   /* the first argument */
    const struct json *object;
    struct uuid room; /* chatRoomId */
    struct request_number request;
};

/* An event that waits for its answer from elsewhere. */
struct question {
    struct chat_socket *socket; /* NULL: gone */
    struct question *next, *previous;
    struct ack_id ack;
    struct buf data; /* what was asked, kept to be named in `exception`: only when there is no ack */
    const char *pattern;
    struct request_number request;
};

struct chat_socket {
    struct chat *chat;
    struct socket *socket;
    struct person *person;
    struct chat_socket *next; /* of the same person */
    struct question *questions;
    struct join *joins;
    unsigned joins_started;
    size_t joins_size;         /* what their answers may take, about */
    struct timer *joins_timer; /* to look again whether the reader has taken what was sent */
    struct uuid *open;         /* rooms that it has joined */
    uint32_t open_count, open_capacity;
    struct deadline deadline; /* until CONNECT must be answered, then when the token expires */
    int64_t expires_at_s;
    uint8_t role; /* enum role */
    bool accepted;
};

struct chat {
    struct ports ports;
    struct sockets *sockets;
    struct audience *audience;
    struct deadlines *deadlines;
    struct chat_stats stats;
    struct recent *recent;
    struct request_ids requests; /* an id for each event */
    struct lookup *lookups;      /* chat_live.c: receipts whose message is asked for */
    size_t lookup_count;
    uint32_t announcements; /* of presence, so far */
};

/* ---- chat.c ---- */

/* For `about`: whoever is in the room; for `place`: one who catches up gets it behind its answer in any case.
 */
#define CHAT_ALWAYS INT64_MAX

/* The frame to every socket of the room whose user sees the message `about`. `place`: of a new message its
 * seq, by which those who catch up get it. */
void chat_deliver(struct chat *chat, struct room *room, int64_t about, int64_t place, struct shared *frame);

/* A socket that has joined a room hears who types in it. */
void chat_open_room(struct chat_socket *s, const struct uuid *room);
void chat_close_room(struct chat_socket *s, const struct uuid *room);
bool chat_is_open(const struct chat_socket *s, const struct uuid *room);

/* ---- chat_live.c ---- */

void chat_forget_lookups(struct chat *chat); /* answers still to come go nowhere */

/* ---- chat_events.c ---- */

void chat_on_event(void *chat, struct socket *socket, const struct event *event);

/* Answers {"status":"ok"} and `more` (JSON members with a comma before them; may be empty). */
void chat_answer(struct chat_socket *s, const struct asked *a, struct slice more);
/* Puts it on the socket's list. */
void question_open(struct question *q, struct chat_socket *s, const struct asked *a);
/* Takes it off, frees what it keeps (not itself). */
void question_close(struct question *q);
/* Nothing when the socket is gone. */
void question_fail(const struct question *q, const struct error *why);
void question_answer(const struct question *q, struct slice more);

/* Is it allowed in the room by the mirror? 0 and *type_out, or -1 with NOT_FOUND or DENIED. */
int chat_may(const struct chat_socket *s, const struct uuid *room, int operation, struct error *e);

/* ---- join.c ---- */

/* 0, or -1 with LIMIT: too many wait; to be asked before join_begin and before anything is changed. */
int join_check(const struct chat_socket *s, struct error *e);
void join_begin(struct chat_socket *s, const struct asked *a, int64_t after, bool catches_up);
/* True when the socket is catching up in the room: the frame is kept for it. */
bool join_keeps(struct chat_socket *s, const struct uuid *room, int64_t seq, struct shared *frame);
/* The room now passes messages. */
void join_ready(struct chat_socket *s);
void join_cancel(struct chat_socket *s, const struct uuid *room /* NULL: all, and say nothing */);

#endif
