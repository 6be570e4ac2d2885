/* Socket.IO 5: namespaces over Engine.IO sessions, and the sockets that clients have in them.
 *
 * As on official servers, whatever makes no sense closes the whole session: a packet that does not parse, one
 * for a namespace that the session is not connected to, CONNECT to one that it is connected to, a text where
 * attachments are due. A CONNECT that waits for its answer is given up for the next one: a client whose
 * socket disconnects before it is connected says nothing of it. A session without any socket is closed after
 * connect_timeout_ms.
 *
 * Flow:   engine -> sockets -> a namespace's handlers; socket_emit, socket_ack -> session_send.
 * Thread: the service's loop.
 * Owns:   the engine, its clients and sockets; `holder` is the namespace's, which frees it in on_disconnect.
 */
#ifndef PARLOR_BRIDGE_SOCKETS_H
#define PARLOR_BRIDGE_SOCKETS_H

#include "bridge/engine.h"
#include "bridge/socketio.h"

#define SOCKET_ID_SIZE 20

struct sockets;
struct socket;

/* What an ack is sent by: copied from the event, and good as long as the socket. */
struct ack_id {
    char digits[SOCKETIO_ACK_DIGITS_MAX];
    unsigned char size; /* 0: none was asked for */
};

struct event {
    struct slice name;
    struct slice args; /* JSON values with commas between them; not checked inside; size 0: none */
    struct ack_id ack;
    const struct slice *attachments; /* which {"_placeholder":true,"num":n} in args stand for */
    unsigned attachment_count;
};

struct nsp_handlers {
    void *self;
    bool anonymous; /* its sockets don't keep a session from its connect timeout */
    /* CONNECT with its auth payload (JSON text of an object, not checked inside; "{}" when there is none) and
     * the Authorization header of the handshake (NULL: none). Answered, now or later, by socket_accept or
     * socket_refuse. */
    void (*on_connect)(void *self, struct socket *socket, struct slice auth, const char *authorization);
    /* Slices live until it returns. */
    void (*on_event)(void *self, struct socket *socket, const struct event *event);
    /* The socket is gone when it returns; also told of one that was neither accepted nor refused. */
    void (*on_disconnect)(void *self, struct socket *socket, enum session_end end);
};

/* `options` as for engine_create. */
struct sockets *sockets_create(struct clock_port *clock, const struct engine_options *options,
                               int64_t connect_timeout_ms);
void sockets_destroy(struct sockets **sockets);
/* Adds a namespace; `name` begins with a slash and is a constant. */
void sockets_add(struct sockets *sockets, const char *name, const struct nsp_handlers *handlers);
void sockets_request(struct sockets *sockets, struct request *request);
const struct engine_stats *sockets_stats(const struct sockets *sockets);

/* id_out: NULL, or room for the SOCKET_ID_SIZE characters of the id that the client is told. */
void socket_accept(struct socket *socket, char *id_out);
/* Answers CONNECT_ERROR with `json`, an object with `message` and, if any, `data`. The socket is gone,
 * without on_disconnect. */
void socket_refuse(struct socket *socket, const char *json);
/* Tells the client (`41`); on_disconnect is called before it returns, with SESSION_CLOSED. */
void socket_disconnect(struct socket *socket);
/* Ends the whole session, as for a packet that makes no sense. */
void socket_close_session(struct socket *socket, enum session_end end);

/* A frame with the event, for one or many sockets of the namespace: `args` are JSON values with commas. The
 * caller holds it. */
struct shared *socket_event_frame(const char *nsp, const char *name, struct slice args);
void socket_send(struct socket *socket, struct shared *frame);
void socket_emit(struct socket *socket, const char *name, struct slice args);
/* The same with attachments, as many as args has placeholders for. */
void socket_emit_binary(struct socket *socket, const char *name, struct slice args,
                        const struct slice *attachments, unsigned count);
/* Answers an event; nothing when no ack was asked for. */
void socket_ack(struct socket *socket, const struct ack_id *ack, struct slice args,
                const struct slice *attachments, unsigned count);

/* The client's answer, or NULL when the socket ended without one. */
typedef void (*socket_answer_fn)(void *context, const struct slice *args);
void socket_ask(struct socket *socket, const char *name, struct slice args, socket_answer_fn fn,
                void *context);

/* Bytes that its session has for the client and that are not sent yet. */
size_t socket_unsent(const struct socket *socket);

void *socket_holder(const struct socket *socket);
void socket_set_holder(struct socket *socket, void *holder);

#endif
