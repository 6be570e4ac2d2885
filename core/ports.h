/* The service's edges as small interfaces: requests, database, broker, clock. http and bridge know the world
 * only as these; service/ fills them with libmicrohttpd, libpq, paho and libuv, tests and simulations with
 * their own.
 *
 * Thread: everything here is called on the service's loop.
 * Owns:   said at each. */
#ifndef PARLOR_CORE_PORTS_H
#define PARLOR_CORE_PORTS_H

#include "core/buf.h"
#include "core/error.h"
#include "core/ids.h"
#include "core/shared.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Requests and replies: what the router and the polling transport know of HTTP (or of the `api` topic).
 * ---- */

struct request;

struct reply {
    int status;
    const char *content_type; /* NULL: no body */
    const char *body;         /* copied by answer */
    size_t body_size;
    const char *const *headers; /* name, value, name, value, ..., NULL; copied; may be NULL */
};

struct stream;
typedef void (*request_stream_fn)(void *context,
                                  struct stream *stream); /* stream NULL: the client had gone */

struct request_ops {
    /* Answers 101 with these headers (name, value, ..., NULL; after Upgrade: websocket) and turns the
     * connection into a stream, given to on_stream on the loop. The request is gone when it returns. NULL
     * where there is no connection to turn (the `api` topic). */
    void (*upgrade)(struct request *request, const char *const *headers, request_stream_fn on_stream,
                    void *context);
    /* Answers once; the request is gone afterwards. Body and headers are copied before it returns. */
    void (*answer)(struct request *request, const struct reply *reply);
};

/* Called when the client has gone before the answer; the request must still be answered (the answer goes
 * nowhere). */
typedef void (*request_gone_fn)(struct request *request);

struct token;

/* One request with its whole body in memory. Made by its source (http/listener, the `api` topic), valid until
 * it is answered. */
struct request {
    const struct request_ops *ops;
    const char *method; /* upper case */
    const char *path;   /* decoded, begins with a slash, no query; never holds %00 */
    const char *query;  /* raw, without the question mark; "" when none */
    const char *body;   /* NULL when none */
    size_t body_size;
    const char *address;    /* of the client, as text */
    const char *request_id; /* for logs and errors */
    /* Header's value by case-insensitive name; NULL when absent. */
    const char *(*header)(const struct request *request, const char *name);
    /* Who asks, when its source has checked that already (the `api` topic): no header is looked at then.
     * NULL: the token in `Authorization` says. */
    const struct token *who;
    request_gone_fn on_gone; /* set by whoever holds the request; may stay NULL */
    void *holder;            /* for whoever holds it */
};

/* ---- Streams: an upgraded connection, bytes both ways. ---- */

struct stream_ops {
    /* Queues the bytes (takes its own hold). What a turn of the loop queued goes out gathered at its end. */
    void (*write)(struct stream *stream, struct shared *bytes);
    /* Sends what is queued, at most for a few seconds, then closes; on_closed is not called any more. */
    void (*close)(struct stream *stream);
    /* Closes at once, queue dropped; on_closed is not called any more. */
    void (*abort)(struct stream *stream);
};

struct stream {
    const struct stream_ops *ops;
    void *holder; /* these three are set in on_stream by whoever takes it */
    void (*on_data)(struct stream *stream, const uint8_t *bytes, size_t size);
    void (*on_closed)(struct stream *stream); /* the other end is gone; the stream is freed when it returns */
    size_t unsent_bytes;                      /* queued and not yet taken by the kernel */
};

/* ---- The database: prepared statements, answered on the loop in the order of their connection. ---- */

struct db_answer {
    bool ok;
    struct error error; /* when not ok */
    char sqlstate[6];   /* when the server refused it, else "" */
    int rows, columns;
    /* Text of a cell; NULL for NULL. */
    const char *(*cell)(const struct db_answer *answer, int row, int column);
    size_t (*cell_size)(const struct db_answer *answer, int row, int column);
};

typedef void (*db_done_fn)(void *context,
                           const struct db_answer *answer); /* the answer lives until it returns */

struct db_port {
    /* Runs `sql` (a string constant: it is prepared once a connection and known by its address) with text
     * parameters, copied before it returns. done is always called later, once; with UNAVAILABLE when the
     * database is away, with UNCERTAIN when the connection broke after a statement that may have written. */
    void (*query)(struct db_port *port, const char *sql, int count, const char *const *values,
                  db_done_fn done, void *context);
};

/* ---- The broker: how the service speaks for users and hears rooms. ---- */

struct broker_send {
    const char *user;
    struct uuid room;
    const char *payload; /* the draft as on send/{user}: JSON object */
    size_t payload_size;
    const char *request_id; /* for the logs of all it passes, at most WIRE_REQUEST_ID_MAX bytes; NULL: none */
};

struct broker_answer {
    bool stored;
    struct error error; /* when not stored: the plugin's word, or UNCERTAIN `no_answer` */
    struct uuid room;
    int64_t seq;
    const char *message; /* when stored: the object `message` as JSON, valid until the callback returns */
    size_t message_size;
};

typedef void (*broker_answer_fn)(void *context, const struct broker_answer *answer);
typedef void (*broker_barrier_fn)(void *context, bool reached);

struct broker_port {
    /* Sends for a user; done is always called later, once, and never before the commit when it says stored. A
     * link that broke is no reason to fail: the send is repeated under the same clientMessageId until
     * answer_timeout_ms. */
    void (*send)(struct broker_port *port, const struct broker_send *send, broker_answer_fn done,
                 void *context);
    /* From the moment on_watched is told, every message of the room comes by on_message, until unwatch. Calls
     * don't nest: the bridge watches a room once. After a reconnect of the link all watches are set again,
     * on_watched is told again, and what came between is the bridge's to fill. */
    void (*watch)(struct broker_port *port, const struct uuid *room);
    void (*unwatch)(struct broker_port *port, const struct uuid *room);
    /* done(true) when plugin and service have applied membership `version`, done(false) after timeout_ms. */
    void (*barrier)(struct broker_port *port, int64_t version, int64_t timeout_ms, broker_barrier_fn done,
                    void *context);
    /* Marks for a user how far it has read (or received): `payload` as on read/{user}. The answer's seq is
     * the readSeq (deliveredSeq) that holds now; its message is the receipt as JSON. Repeated like a send. */
    void (*mark)(struct broker_port *port, bool delivered, const struct broker_send *mark,
                 broker_answer_fn done, void *context);
    /* The user types, or no longer does; lost when the link is down. */
    void (*typing)(struct broker_port *port, const struct uuid *room, const char *user, bool on);
    /* The user has sockets here, or its last one has gone: one who was told to be here twice is so until
     * twice gone. Told again by the link after a reconnect. */
    void (*online)(struct broker_port *port, const char *user, bool on);
    bool (*ready)(struct broker_port *port); /* linked, and the plugin reports a database */
};

/* What the link tells the bridge. */
struct broker_events {
    void *self;
    void (*on_watched)(void *self, const struct uuid *room);
    void (*on_message)(void *self, const struct uuid *room, int64_t seq, const char *json, size_t size);
    /* A user's watermarks in a watched room moved: the object of contract.md's receipts. */
    void (*on_receipt)(void *self, const struct uuid *room, const char *user, int64_t read_seq,
                       const char *json, size_t size);
    /* What the outbox made known: to a room (user ""), or to one user (room may be zero). `topic` is
     * "events", or "messages" for an edit or deletion, whose json is the message. */
    void (*on_event)(void *self, const struct uuid *room, const char *user, const char *topic,
                     const char *json, size_t size);
    void (*on_typing)(void *self, const struct uuid *room, const char *user, bool on);
    void (*on_presence)(void *self, const char *user, bool on, int64_t last_seen_ms);
    void (*on_lost)(void *self); /* messages may have been lost: fill every room */
};

/* ---- The clock. ---- */

typedef void (*timer_fn)(void *context);
struct timer; /* opaque */

struct clock_port {
    int64_t (*wall_ms)(struct clock_port *port);
    int64_t (*mono_ns)(struct clock_port *port);
    /* Calls fn once after delay_ms; the timer is gone then. */
    struct timer *(*start)(struct clock_port *port, int64_t delay_ms, timer_fn fn, void *context);
    void (*cancel)(struct clock_port *port, struct timer **timer); /* NULL is fine; sets it to NULL */
};

/* ---- All of them, as http and bridge get them. ---- */

struct config;
struct members;
struct token_keys;

struct ports {
    const struct config *config;
    struct db_port *db;
    struct broker_port *broker;
    struct clock_port *clock;
    const struct members *members; /* the mirror, kept current by service/ */
    struct token_keys *tokens;
};

#endif
