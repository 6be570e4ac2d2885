/* HTTP/1.1 on one port: connections in, whole requests out, answers now or later, and upgrades to streams.
 *
 * The first look at a request refuses what is dangerous or too big (two lengths, a length beside a transfer
 * encoding, %00 or a broken escape in the path, an unknown method, a body over its bound) and closes its
 * connection.
 *
 * Flow:   sockets -> libmicrohttpd -> here -> on_request (http_request or bridge_request) -> request_ops.
 * Thread: the loop that polls listener_fd and calls listener_run; nothing here waits.
 * Owns:   its socket, the connections, and each request from its first line to the end of its answer. */
#ifndef PARLOR_HTTP_LISTENER_H
#define PARLOR_HTTP_LISTENER_H

#include "core/error.h"
#include "core/ports.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LISTENER_BODY_BYTES_MAX   (256 * 1024)       /* of a request's body, where no rule says otherwise */
#define LISTENER_BODIES_BYTES_MAX (64 * 1024 * 1024) /* of all bodies in memory at once: then 503 */
#define LISTENER_IDLE_S           75    /* a connection that says nothing for so long is closed */
#define LISTENER_REQUEST_MS       60000 /* a request that is not whole after so long is cut off */

struct listener;

/* Called with each whole request; answers it by request->ops, at once or later. */
typedef void (*listener_request_fn)(void *context, struct request *request);

/* Turns a connected, non-blocking socket into a stream, which then owns it; `extra` is what the client has
 * sent behind its request. NULL when there is no room for it: the socket is closed then. */
typedef struct stream *(*listener_stream_fn)(void *context, int fd, const void *extra, size_t extra_size);

/* A bound of its own for the bodies of all paths that begin so. */
struct listener_bound {
    const char *path_prefix;
    size_t body_bytes_max;
};

struct listener_options {
    unsigned connections_max;            /* 0: 1000; further clients wait in the kernel's queue */
    int64_t request_ms;                  /* 0: LISTENER_REQUEST_MS */
    const struct listener_bound *bounds; /* ended by one whose prefix is NULL; may be NULL; not copied */
    const char *cors_origins;            /* of whom refusals may be read; NULL: nobody; not copied */
    listener_stream_fn open_stream;      /* NULL: upgrades are answered 400 */
    void *stream_context;
};

/* Listens at a numeric address (or "localhost") and port (0: any free one). 0, or -1 with UNAVAILABLE
 * `address_in_use`, INVALID `bad_option`, or INTERNAL; the text says what to do. */
int listener_create(const char *address, int port, const struct listener_options *options,
                    listener_request_fn on_request, void *context, struct listener **out, struct error *e);

/* Closes all. Whoever held a request must be gone by now: its answer would go nowhere. */
void listener_destroy(struct listener **listener);

int listener_port(const struct listener *listener);

/* Readable when listener_run has something to do. */
int listener_fd(const struct listener *listener);

/* Reads, calls on_request, writes: all that is possible without waiting. */
void listener_run(struct listener *listener);

/* True when an answer was given since the last run: it goes out at the next one. */
bool listener_dirty(const struct listener *listener);

/* Milliseconds after which listener_run is due though nothing happens; -1: never. */
int64_t listener_timeout_ms(const struct listener *listener);

/* No new connections; those that are there close with their next answer. */
void listener_quiesce(struct listener *listener);

/* Requests that are with on_request's side and not answered yet. */
unsigned listener_unanswered(const struct listener *listener);

/* Connections that were cut off because their request took too long. */
uint64_t listener_cut(const struct listener *listener);

/* Connections that are open (streams are none any more). */
unsigned listener_connections(const struct listener *listener);

#endif
