/* parlor-conformance: a server for the official test suites of the Engine.IO and Socket.IO protocols, and for
 * those of socket.io-client and engine.io-client, made of the bridge's modules.
 *
 * Under /socket.io/ the namespaces `/` and `/custom` emit `auth` with the payload of CONNECT, send `message`
 * back as `message-back` and answer `message-with-ack` with its arguments; under /engine.io/ every message
 * comes back raw. Settings by environment: PORT (3000), PING_INTERVAL (300), PING_TIMEOUT (200), MAX_PAYLOAD
 * (1000000), CONNECT_TIMEOUT (1000), UPGRADE_TIMEOUT (10000) and HANDSHAKE_DELAY (0) in milliseconds and
 * bytes, CORS_ORIGINS (none). SUITE=client gives what the clients' suites ask for instead: client_suite.c
 * under /socket.io/; under /engine.io/ a greeting, a few messages with an answer of their own, and handshakes
 * with `deny` in the query are refused. SIGINT or SIGTERM ends it. */
#include "bridge/sockets.h"
#include "service/door.h"
#include "service/loop.h"
#include "service/stream.h"
#include "tests/conformance/client_suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define GREETING_MS     15
#define CONNECTIONS_MAX 20000

struct server {
    struct loop *loop;
    struct streams *streams;
    struct door *door;
    struct engine *engine;
    struct sockets *sockets;
    bool client_suite;
    int64_t handshake_delay_ms;
};

static int64_t setting(const char *name, int64_t fallback)
{
    const char *text = getenv(name);

    return text != NULL && *text != '\0' ? strtoll(text, NULL, 10) : fallback;
}

/* ---- /engine.io/: raw echo. ---- */

static bool on_open(void *self, struct session *session, const struct handshake *handshake)
{
    struct server *server = self;

    (void)handshake;
    if (server->client_suite)
        session_send_message(session, false, "hi", 2);
    return true;
}

static void on_message(void *self, struct session *session, bool binary, const char *bytes, size_t size)
{
    static const char utf8[] = "пойду спать всем спокойной ночи";
    struct server *server = self;
    struct slice text = {bytes, size};

    if (server->client_suite && !binary && slice_is(text, "give binary"))
        session_send_message(session, true, "\0\1\2\3\4", 5);
    else if (server->client_suite && !binary && slice_is(text, "give utf8"))
        session_send_message(session, false, utf8, sizeof utf8 - 1);
    else
        session_send_message(session, binary, bytes, size);
}

static void on_close(void *self, struct session *session, enum session_end end)
{
    (void)self, (void)session, (void)end;
}

/* ---- /socket.io/: echo namespaces. ---- */

/* `auth` goes out a moment after the answer to CONNECT: the suites listen for one message at a time and would
 * miss the second of two that come in one piece. */
struct greeting {
    struct clock_port *clock;
    struct timer *timer;
    struct socket *socket;
    struct buf auth;
};

static void on_greet(void *context)
{
    struct greeting *g = context;

    g->timer = NULL;
    socket_emit(g->socket, "auth", (struct slice){g->auth.data, g->auth.size});
}

static void on_connect(void *self, struct socket *socket, struct slice auth, const char *authorization)
{
    struct server *server = self;
    struct greeting *g = mem_zalloc(1, sizeof *g);

    (void)authorization;
    g->clock = loop_clock(server->loop);
    g->socket = socket;
    buf_put(&g->auth, auth.text, auth.size);
    socket_set_holder(socket, g);
    socket_accept(socket, NULL);
    g->timer = g->clock->start(g->clock, GREETING_MS, on_greet, g);
}

static void on_event(void *self, struct socket *socket, const struct event *event)
{
    (void)self;
    if (slice_is(event->name, "message"))
        socket_emit_binary(socket, "message-back", event->args, event->attachments, event->attachment_count);
    else if (slice_is(event->name, "message-with-ack"))
        socket_ack(socket, &event->ack, event->args, event->attachments, event->attachment_count);
}

static void on_disconnect(void *self, struct socket *socket, enum session_end end)
{
    struct greeting *g = socket_holder(socket);

    (void)self, (void)end;
    g->clock->cancel(g->clock, &g->timer);
    buf_finish(&g->auth);
    free(g);
}

/* ---- The server. ---- */

/* A handshake that waits, so that clients can time out before its answer. */
struct delayed {
    struct server *server;
    struct request *request;
    struct timer *timer;
};

/* The query in the place of the Authorization header: see client_suite.h. */
static const char *(*plain_header)(const struct request *request, const char *name);

static const char *header_with_query(const struct request *request, const char *name)
{
    return strcasecmp(name, "Authorization") == 0 ? request->query : plain_header(request, name);
}

static void serve(struct server *server, struct request *request)
{
    if (strncmp(request->path, "/socket.io", 10) == 0) {
        if (server->client_suite) {
            plain_header = request->header;
            request->header = header_with_query;
        }
        sockets_request(server->sockets, request);
    } else if (strncmp(request->path, "/engine.io", 10) != 0) {
        request->ops->answer(request, &(struct reply){.status = 404});
    } else if (server->client_suite && strstr(request->query, "deny=") != NULL) {
        request->ops->answer(request, &(struct reply){.status = 403});
    } else {
        engine_request(server->engine, request);
    }
}

static void on_delayed(void *context)
{
    struct delayed *d = context;

    serve(d->server, d->request);
    free(d);
}

static void on_request(void *context, struct request *request)
{
    struct server *server = context;
    struct clock_port *clock = loop_clock(server->loop);
    struct delayed *d;

    if (server->handshake_delay_ms == 0 || strstr(request->query, "sid=") != NULL) {
        serve(server, request);
        return;
    }
    d = mem_zalloc(1, sizeof *d);
    *d = (struct delayed){.server = server, .request = request};
    d->timer = clock->start(clock, server->handshake_delay_ms, on_delayed, d);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    loop_stop(handle->data);
}

static void listen_for(struct loop *loop, int number)
{
    uv_signal_t *handle = mem_zalloc(1, sizeof *handle);

    handle->data = loop;
    uv_signal_init(loop_uv(loop), handle);
    uv_signal_start(handle, on_signal, number);
    uv_unref((uv_handle_t *)handle);
}

static void open_protocols(struct server *server)
{
    struct engine_options options = {.ping_interval_ms = setting("PING_INTERVAL", 300),
                                     .ping_timeout_ms = setting("PING_TIMEOUT", 200),
                                     .upgrade_timeout_ms = setting("UPGRADE_TIMEOUT", 10000),
                                     .payload_max = (size_t)setting("MAX_PAYLOAD", 1000000),
                                     .unsent_max = (size_t)16 * 1024 * 1024,
                                     .cors_origins = getenv("CORS_ORIGINS")};
    struct clock_port *clock = loop_clock(server->loop);
    struct nsp_handlers echo = {
        .self = server, .on_connect = on_connect, .on_event = on_event, .on_disconnect = on_disconnect};

    server->engine =
        engine_create(clock, &options, &(struct engine_handlers){server, on_open, on_message, on_close});
    server->sockets = sockets_create(clock, &options, setting("CONNECT_TIMEOUT", 1000));
    if (server->client_suite) {
        client_suite_add(server->sockets, clock);
        return;
    }
    sockets_add(server->sockets, "/", &echo);
    sockets_add(server->sockets, "/custom", &echo);
}

int main(void)
{
    struct server server = {0};
    struct listener_bound bounds[] = {{"/", (size_t)setting("MAX_PAYLOAD", 1000000) * 2}, {NULL, 0}};
    const char *suite = getenv("SUITE");
    struct error e = {0};

    server.client_suite = suite != NULL && strcmp(suite, "client") == 0;
    server.handshake_delay_ms = setting("HANDSHAKE_DELAY", 0);
    signal(SIGPIPE, SIG_IGN);
    if (loop_create(&server.loop, &e) != 0 || streams_create(server.loop, 0, &server.streams, &e) != 0) {
        fprintf(stderr, "parlor-conformance: %s\n", e.text);
        return 1;
    }
    open_protocols(&server);
    if (door_open(server.loop, "127.0.0.1", (int)setting("PORT", 3000),
                  &(struct listener_options){
                      .bounds = bounds, .open_stream = stream_open, .stream_context = server.streams},
                  on_request, &server, &server.door, &e) != 0) {
        fprintf(stderr, "parlor-conformance: %s\n", e.text);
        return 1;
    }
    listen_for(server.loop, SIGINT);
    listen_for(server.loop, SIGTERM);
    printf("listening on port %d\n", listener_port(door_listener(server.door)));
    fflush(stdout);
    loop_run(server.loop);
    engine_destroy(&server.engine);
    sockets_destroy(&server.sockets);
    door_close(&server.door);
    streams_destroy(&server.streams);
    return 0;
}
