/* Engine.IO 4: sessions over long polling and WebSocket, with the upgrade from one to the other.
 *
 * Flow:   request -> engine_request -> session -> on_message -> the layer above; session_send -> stream or
 * held poll. Thread: the service's loop. Owns:   all sessions, until they are closed; `holder` is the layer's
 * above, which frees it in on_close. */
#ifndef PARLOR_BRIDGE_ENGINE_H
#define PARLOR_BRIDGE_ENGINE_H

#include "core/ports.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;
struct session;

/* Why a session ended. */
enum session_end {
    SESSION_CLIENT_LEFT, /* a close packet, or the transport was closed */
    SESSION_TRANSPORT_ERROR,
    SESSION_PING_TIMEOUT,
    SESSION_PARSE_ERROR,
    SESSION_TOO_BIG,
    SESSION_SLOW_READER, /* unsent bytes over the limit */
    SESSION_CLOSED,      /* by the layer above */
    SESSION_SHUTDOWN,
    SESSION_FLOOD, /* packets over the rate */
    SESSION_ENDS
};

/* Which limit a handshake met. */
enum engine_refusal { REFUSED_SESSIONS, REFUSED_RATE, REFUSED_STRANGERS, ENGINE_REFUSALS };

struct engine_options {
    int64_t ping_interval_ms;   /* 25000 is what official servers have */
    int64_t ping_timeout_ms;    /* 20000 */
    int64_t upgrade_timeout_ms; /* 10000 */
    size_t payload_max;         /* bytes of a packet or batch from the client; told in the handshake */
    size_t unsent_max;          /* bytes that wait for a slow reader before it is closed */
    size_t sessions_max;        /* all together; 0: no limit */
    int64_t connects_per_s;     /* new sessions of one address; 0: no limit */
    int64_t strangers_max;      /* sessions of one address that session_is_known has not named; 0: no limit */
    int64_t packets_per_s;      /* of one session; 0: no limit */
    const char *cors_origins;   /* comma list, or *; NULL: no CORS headers. Lives as long as the engine */
};

/* How a session came; valid while on_open runs. */
struct handshake {
    const char *address;
    const char *authorization; /* the header; NULL when there was none */
    bool base64;               /* the client can't take binary frames: `b64` in the query */
};

struct engine_handlers {
    void *self;
    /* False refuses the session (403). */
    bool (*on_open)(void *self, struct session *session, const struct handshake *handshake);
    /* A message packet; bytes live until it returns. The session may be closed in it. */
    void (*on_message)(void *self, struct session *session, bool binary, const char *bytes, size_t size);
    /* Told once for each session whose on_open was true; the session is gone when it returns. */
    void (*on_close)(void *self, struct session *session, enum session_end end);
};

struct engine_stats {
    size_t sessions;                   /* open now */
    size_t websockets;                 /* of them, on WebSocket */
    uint64_t opened;                   /* ever */
    uint64_t refused[ENGINE_REFUSALS]; /* handshakes over a limit, by which */
    uint64_t ended[SESSION_ENDS];      /* ever, by why */
};

struct engine *engine_create(struct clock_port *clock, const struct engine_options *options,
                             const struct engine_handlers *handlers);
/* Closes every session (SESSION_SHUTDOWN), then frees all. Upgrades under way are closed as they come. */
void engine_destroy(struct engine **engine);

void engine_request(struct engine *engine, struct request *request);
const struct engine_stats *engine_stats(const struct engine *engine);

/* Sends a frame made by websocket_frame: text with its Engine.IO digit, or a binary message. Takes its own
 * hold. Never closes the session before it returns. */
void session_send(struct session *session, struct shared *frame);
/* Sends a message packet: `4` and the text, or the bytes. */
void session_send_message(struct session *session, bool binary, const char *bytes, size_t size);
/* Bytes that were sent and that the kernel, or a poll, has not taken yet. */
size_t session_unsent(const struct session *session);
/* Sends what is queued, then closes; on_close is called before it returns, with SESSION_CLOSED or
 * SESSION_PARSE_ERROR. */
void session_close(struct session *session, enum session_end end);

/* Whether it is known who is there: until then, and from then on if it is not any more, a session counts as a
 * stranger of its address. */
void session_is_known(struct session *session, bool known);

void *session_holder(const struct session *session);
void session_set_holder(struct session *session, void *holder);

const char *session_end_name(enum session_end end); /* the words of official servers */

#endif
