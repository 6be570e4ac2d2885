/* One Engine.IO session: its transport, what waits to be sent, its heartbeat. For engine.c, session.c,
 * session_polling.c and tests; the layer above sees engine.h alone.
 *
 * Polling: one GET is held until there is something to send. Upgrade: a stream comes while polling goes on;
 * after its probe every poll is answered with NOOP and output waits; with the upgrade packet output goes to
 * the stream, and if the stream fails before it, polling just goes on.
 *
 * Flow:   engine.c (which request is whose) -> session -> handlers.
 * Thread: the service's loop.
 * Owns:   a held request until it is answered, its stream, frames that wait. */
#ifndef PARLOR_BRIDGE_SESSION_H
#define PARLOR_BRIDGE_SESSION_H

#include "bridge/deadlines.h"
#include "bridge/engine.h"
#include "bridge/engineio.h"
#include "bridge/websocket.h"

#include <stddef.h>

#define SESSION_ID_SIZE 20 /* 120 random bits in base64url */

enum transport {
    TRANSPORT_POLLING,
    TRANSPORT_UPGRADING, /* a stream is there; polling is in use */
    TRANSPORT_PROBED,    /* the stream was probed: output waits for the upgrade */
    TRANSPORT_WEBSOCKET
};

/* What only a session that polls needs. */
/* What a deadline stands in. */
#define owner_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

struct polling {
    struct request *poll; /* the held GET */
    struct shared **waiting;
    size_t count, capacity, bytes;
    struct deadline upgrade; /* until when the upgrade must be through */
    struct deadline noop;    /* when the held poll gets a NOOP, before the upgrade */
    struct session *session;
};

struct session {
    struct engine *engine;
    struct session *next;      /* in the table of ids */
    struct session *turn_next; /* of those with something to do at the end of this turn */
    void *holder;
    struct stream *stream;
    struct websocket_reader *reader;
    struct polling *polling; /* NULL on WebSocket */
    struct deadline beat;    /* when to ping, or until when the pong must come */
    int64_t full_ns;         /* rate of its packets: when its bucket is full again */
    char id[SESSION_ID_SIZE];
    uint16_t place; /* of its address, for admission */
    uint8_t transport;
    uint8_t busy; /* calls that still use it: it is freed after the last */
    bool awaits_pong, in_turn, closed;
    bool parting; /* ended from above: what it was told last is delivered */
    bool known;   /* who it is: see session_is_known */
    bool base64;  /* binary messages go to the stream as text */
};

struct engine {
    struct clock_port *clock;
    struct engine_options options;
    struct engine_handlers handlers;
    struct engine_stats stats;
    struct session **table;
    size_t table_size; /* a power of two */
    struct deadlines *beats, *upgrades, *noops;
    struct farewells *farewells;
    struct websocket_pool *readers;
    struct shared *ping;
    struct session *turn; /* see session_at_turn */
    struct timer *turn_timer;
    struct arrival *arrivals; /* upgrades between their answer and their stream */
    struct admission *admission;
};

/* engine.c: the table of ids. */
void engine_add(struct engine *engine, struct session *session);
void engine_remove(struct engine *engine, struct session *session);
/* Answers with CORS headers when they are configured; body NULL for none. */
void engine_answer(struct engine *engine, struct request *request, int status, const char *type,
                   const char *body, size_t size);
void engine_answer_error(struct engine *engine, struct request *request, int status, int code);

/* A random id, for a session or a socket. */
void session_make_id(char out[SESSION_ID_SIZE]);

/* A new session; stream NULL: it polls. NULL when the layer above refuses it: the stream, if any, is then
 * closed. */
struct session *session_open(struct engine *engine, struct stream *stream, const struct handshake *handshake);
/* The handshake packet as text, zero-terminated, with its digit. */
struct shared *session_open_frame(const struct session *session);

void session_on_poll(struct session *session, struct request *request);
void session_on_post(struct session *session, struct request *request);
/* A stream to upgrade to; base64 as in struct handshake. */
void session_on_stream(struct session *session, struct stream *stream, bool base64);

/* A call in which the session may end keeps it until it is done with it. */
void session_use(struct session *session);
void session_unuse(struct session *session);
/* The packets of a session, whatever brought them. False when it has ended. */
bool session_on_packet(struct session *session, const struct engineio_packet *packet);

/* session_polling.c: what is done with a held poll, if there is one. */
void session_answer_poll(struct session *session, const char *text, size_t size);
/* Everything that waits, and `last` (NULL: none) behind it. */
void session_flush_poll(struct session *session, const char *last);
/* The same where no poll is held: for the next one, which finds no session any more. */
void session_leave_words(struct session *session, const char *last);
void session_free_polling(struct session *session);

void session_end(struct session *session, enum session_end end);
void session_turn(void *engine); /* the engine's timer */
void session_on_beat(void *engine, struct deadline *deadline);
void session_on_upgrade_timeout(void *engine, struct deadline *deadline);
void session_on_noop(void *engine, struct deadline *deadline);

#endif
