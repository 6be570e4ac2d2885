/* libmicrohttpd runs without threads: its epoll set lies in ours (`set`), beside the sockets of requests that
 * wait for their answer, for libmicrohttpd does not look at a suspended connection and would not notice that
 * its client went.
 *
 * What 0.9.75 needs from its user: an answer to a suspended request is queued first and resumed then; MHD_run
 * is called until nothing is ready, since a resumed answer takes two rounds; at an upgrade the socket is
 * duplicated and the connection closed on libmicrohttpd's side, which gives its pool and its place back (it
 * closes without shutdown). It accepts two Content-Lengths, a length beside a transfer encoding, and %00 in
 * paths: first_look refuses them. */
#include "http/listener.h"

#include "core/buf.h"
#include "core/log.h"
#include "core/request_id.h"
#include "http/address.h"
#include "http/intake.h"
#include "http/patience.h"
#include "http/refusal.h"
#include "http/target.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTION_MEMORY (24 * 1024) /* line and headers of a request: a token has up to 8 KB */
#define ROUNDS_MAX        16          /* of MHD_run in one listener_run */
#define HELD_EVENTS_MAX   64

struct listener {
    struct MHD_Daemon *daemon;
    int set;    /* epoll: libmicrohttpd's own, and the sockets of waiting requests */
    int socket; /* -1 once quiesced */
    int port;
    bool dirty, running;
    struct listener_options options;
    listener_request_fn on_request;
    void *context;
    size_t bodies_bytes;
    unsigned unanswered;
    struct request_ids ids;
    struct patience patience;
    struct incoming *first; /* all that are not finished, in no order */
};

enum incoming_state {
    INCOMING_NEW,      /* its line was read */
    INCOMING_BODY,     /* its headers were good */
    INCOMING_HELD,     /* with on_request's side */
    INCOMING_ANSWERED, /* `base` is nobody's any more */
};

struct connection {
    struct wait wait;
    struct incoming *incoming; /* what it is asked, or NULL */
};

struct incoming {
    struct request base;
    struct listener *listener;
    struct MHD_Connection *connection;
    struct connection *place;
    struct incoming *next, *previous;
    enum incoming_state state;
    bool suspended; /* by us, until the answer */
    int watched_fd; /* in listener->set, or -1 */
    struct intake intake;
    request_stream_fn on_stream; /* an upgrade under way */
    void *stream_context;
    char address[ADDRESS_TEXT_SIZE];
    char request_id[REQUEST_ID_MAX + 1];
    struct target parts; /* in target */
    size_t target_size;
    char target[]; /* the raw target, then room for the decoded path */
};

/* ---- The request's line. ---- */

static void *on_line(void *context, const char *target, struct MHD_Connection *connection)
{
    struct listener *l = context;
    size_t size = strlen(target);
    struct incoming *in = mem_zalloc(1, sizeof *in + 2 * (size + 1));
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    in->place = info->socket_context;
    in->place->incoming = in;
    patience_begin(&l->patience, &in->place->wait);
    in->listener = l;
    in->connection = connection;
    in->watched_fd = -1;
    in->target_size = size;
    memcpy(in->target, target, size + 1);
    in->next = l->first;
    if (l->first)
        l->first->previous = in;
    l->first = in;
    return in;
}

/* ---- Answers. ---- */

static void unwatch(struct incoming *in)
{
    if (in->watched_fd < 0)
        return;
    if (epoll_ctl(in->listener->set, EPOLL_CTL_DEL, in->watched_fd, NULL) != 0)
        log_warn("listener", "could not forget a socket errno=%d", errno);
    in->watched_fd = -1;
}

/* The request leaves on_request's side. */
static void take_back(struct incoming *in)
{
    if (in->state == INCOMING_HELD)
        in->listener->unanswered--;
    in->state = INCOMING_ANSWERED;
    unwatch(in);
    intake_drop(&in->intake, &in->listener->bodies_bytes);
}

/* Queues the response (and drops our hold of it) and wakes a suspended connection. */
static int send_response(struct incoming *in, unsigned status, struct MHD_Response *response)
{
    enum MHD_Result queued = MHD_queue_response(in->connection, status, response);
    MHD_destroy_response(response);
    if (in->suspended && queued == MHD_YES) {
        in->suspended = false;
        MHD_resume_connection(in->connection);
        in->listener->dirty = true;
    }
    return queued == MHD_YES ? 0 : -1;
}

static void add_headers(struct MHD_Response *response, const char *const *headers)
{
    for (; headers && headers[0]; headers += 2)
        if (MHD_add_response_header(response, headers[0], headers[1]) != MHD_YES)
            log_warn("listener", "a header was left out name=%s", headers[0]);
}

static struct MHD_Response *make_response(const struct incoming *in, const struct reply *reply, bool close)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        reply->body ? reply->body_size : 0, (void *)(uintptr_t)reply->body, MHD_RESPMEM_MUST_COPY);
    if (!response)
        mem_alloc(SIZE_MAX); /* out of memory: end as everybody does */
    if (reply->content_type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    add_headers(response, reply->headers);
    if (close || in->listener->socket < 0)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    return response;
}

static void on_answer(struct request *request, const struct reply *reply)
{
    struct incoming *in = (struct incoming *)request;
    struct MHD_Response *response =
        make_response(in, reply, false); /* may copy from the body that goes next */
    take_back(in);
    if (send_response(in, (unsigned)reply->status, response) != 0)
        log_error("listener", "an answer was refused status=%d path=%s", reply->status, in->parts.path);
}

/* An error of our own; the connection closes behind it. */
static enum MHD_Result refuse(struct incoming *in, unsigned status, const char *reason, const char *word,
                              const char *text)
{
    struct refusal refusal;
    refusal_make(&refusal, &in->base, in->listener->options.cors_origins, (int)status, reason, word, text);
    struct MHD_Response *response = make_response(in, &refusal.reply, true);
    refusal_finish(&refusal);
    take_back(in);
    return send_response(in, status, response) == 0 ? MHD_YES : MHD_NO;
}

/* ---- Upgrades. ---- */

static void on_upgraded(void *context, struct MHD_Connection *connection, void *request_context,
                        const char *extra, size_t extra_size, MHD_socket socket,
                        struct MHD_UpgradeResponseHandle *handle)
{
    (void)connection;
    (void)request_context;
    struct incoming *in = context;
    struct listener *l = in->listener;
    request_stream_fn on_stream = in->on_stream;
    in->on_stream = NULL;
    int fd = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    struct stream *stream = NULL;
    if (fd >= 0)
        stream = l->options.open_stream(l->options.stream_context, fd, extra, extra_size);
    if (!stream) {
        shutdown(socket, SHUT_RDWR);
        if (fd >= 0)
            close(fd);
    }
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
    l->dirty = true;
    on_stream(in->stream_context, stream);
}

static void on_upgrade(struct request *request, const char *const *headers, request_stream_fn on_stream,
                       void *context)
{
    struct incoming *in = (struct incoming *)request;
    take_back(in);
    in->on_stream = on_stream;
    in->stream_context = context;
    if (in->listener->options.open_stream) {
        struct MHD_Response *response = MHD_create_response_for_upgrade(on_upgraded, in);
        if (!response)
            mem_alloc(SIZE_MAX);
        MHD_add_response_header(response, MHD_HTTP_HEADER_UPGRADE, "websocket");
        add_headers(response, headers);
        if (send_response(in, MHD_HTTP_SWITCHING_PROTOCOLS, response) == 0)
            return;
    }
    /* HTTP/1.0, or nowhere to put a stream. */
    in->on_stream = NULL;
    refuse(in, MHD_HTTP_BAD_REQUEST, "Bad Request", "no_upgrade", "This connection can't be upgraded.");
    on_stream(context, NULL);
}

static const struct request_ops ops = {.upgrade = on_upgrade, .answer = on_answer};

/* ---- The first look. ---- */

struct header_counts {
    unsigned lengths, encodings, hosts;
    bool chunked;
    const char *request_id;
};

static enum MHD_Result on_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    struct header_counts *counts = context;
    if (strcasecmp(name, "Content-Length") == 0)
        counts->lengths++;
    else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        counts->encodings++;
        counts->chunked = value && strcasecmp(value, "chunked") == 0;
    } else if (strcasecmp(name, "Host") == 0)
        counts->hosts++;
    else if (strcasecmp(name, "X-Request-Id") == 0)
        counts->request_id = value;
    return MHD_YES;
}

static void set_address(struct incoming *in)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(in->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info && info->client_addr)
        address_text(info->client_addr, in->address);
    in->base.address = in->address;
}

static const char *find_header(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(((const struct incoming *)request)->connection, MHD_HEADER_KIND, name);
}

static size_t body_bound(const struct incoming *in)
{
    const struct listener_bound *bound = in->listener->options.bounds;
    for (; bound && bound->path_prefix; bound++)
        if (strncmp(in->parts.path, bound->path_prefix, strlen(bound->path_prefix)) == 0)
            return bound->body_bytes_max;
    return LISTENER_BODY_BYTES_MAX;
}

static enum MHD_Result refuse_body(struct incoming *in, bool full)
{
    if (full)
        return refuse(in, MHD_HTTP_SERVICE_UNAVAILABLE, "Service Unavailable", "busy",
                      "Too many request bodies at once: try again in a moment.");
    return refuse(in, MHD_HTTP_CONTENT_TOO_LARGE, "Payload Too Large", "payload_too_large",
                  "The request's body is larger than this endpoint takes.");
}

static enum MHD_Result first_look(struct incoming *in, const char *method)
{
    struct header_counts counts = {0};
    MHD_get_connection_values(in->connection, MHD_HEADER_KIND, on_header, &counts);
    request_id_make(&in->listener->ids, counts.request_id, in->request_id);
    in->base.request_id = in->request_id;
    set_address(in);
    in->base.method = method;
    in->base.ops = &ops;
    in->base.header = find_header;
    in->state = INCOMING_BODY;
    if (!target_method_known(method))
        return refuse(in, MHD_HTTP_NOT_IMPLEMENTED, TARGET_METHOD_TITLE, TARGET_METHOD_WORD,
                      TARGET_METHOD_TEXT);
    if (!target_split(in->target, in->target_size, &in->parts))
        return refuse(in, MHD_HTTP_BAD_REQUEST, "Bad Request", TARGET_PATH_WORD, TARGET_PATH_TEXT);
    if (counts.lengths > 1 || counts.encodings > 1 || counts.hosts > 1 ||
        (counts.lengths > 0 && counts.encodings > 0))
        return refuse(
            in, MHD_HTTP_BAD_REQUEST, "Bad Request", "ambiguous_request",
            "Content-Length, Transfer-Encoding and Host may come once, and the first two not together.");
    if (counts.encodings > 0 && !counts.chunked)
        return refuse(in, MHD_HTTP_NOT_IMPLEMENTED, "Not Implemented", "unknown_encoding",
                      "The only transfer encoding is chunked.");
    in->base.path = in->parts.path;
    in->base.query = in->parts.query;
    in->intake.bytes_max = body_bound(in);
    const char *length = counts.lengths > 0 ? find_header(&in->base, "Content-Length") : NULL;
    if (length && strtoull(length, NULL, 10) > in->intake.bytes_max)
        return refuse_body(in, false);
    if (length && in->listener->bodies_bytes > LISTENER_BODIES_BYTES_MAX)
        return refuse_body(in, true);
    return MHD_YES;
}

/* ---- Body and dispatch. ---- */

/* Suspends the connection until the answer, and looks out for its client if somebody wants to know. */
static void hold(struct incoming *in)
{
    MHD_suspend_connection(in->connection);
    in->suspended = true;
    if (!in->base.on_gone)
        return;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(in->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct epoll_event event = {.events = EPOLLRDHUP, .data.ptr = in};
    if (info && epoll_ctl(in->listener->set, EPOLL_CTL_ADD, info->connect_fd, &event) == 0)
        in->watched_fd = info->connect_fd;
}

static enum MHD_Result dispatch(struct incoming *in)
{
    struct listener *l = in->listener;
    const struct buf *body = &in->intake.body;
    if (in->intake.refused)
        return refuse_body(in, in->intake.full);
    in->base.body = body->size > 0 ? body->data : NULL;
    in->base.body_size = body->size;
    in->state = INCOMING_HELD;
    patience_rest(&in->place->wait);
    l->unanswered++;
    l->on_request(l->context, &in->base);
    if (in->state == INCOMING_HELD)
        hold(in);
    return MHD_YES;
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data, size_t *size,
                                 void **request_context)
{
    (void)context, (void)connection;
    (void)url;
    (void)version;
    struct incoming *in = *request_context;
    switch (in->state) {
    case INCOMING_NEW:
        return first_look(in, method);
    case INCOMING_BODY: {
        size_t taken = *size;
        *size = 0;
        if (taken == 0)
            return dispatch(in);
        return intake_put(&in->intake, &in->listener->bodies_bytes, LISTENER_BODIES_BYTES_MAX, data, taken)
                   ? MHD_YES
                   : MHD_NO;
    }
    default:
        return MHD_YES;
    }
}

static void finish(struct incoming *in)
{
    struct listener *l = in->listener;
    unwatch(in);
    intake_drop(&in->intake, &l->bodies_bytes);
    patience_idle(&l->patience, &in->place->wait);
    in->place->incoming = NULL;
    if (in->previous)
        in->previous->next = in->next;
    else
        l->first = in->next;
    if (in->next)
        in->next->previous = in->previous;
    if (in->on_stream) /* the client went before it could read the 101 */
        in->on_stream(in->stream_context, NULL);
    free(in);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_context,
                         enum MHD_RequestTerminationCode code)
{
    (void)context, (void)connection, (void)code;
    if (*request_context)
        finish(*request_context);
    *request_context = NULL;
}

/* ---- The listener. ---- */

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct listener *l = context;
    struct connection *place = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        place = *socket_context = mem_zalloc(1, sizeof *place);
        patience_add(&l->patience, &place->wait, info->connect_fd);
    } else {
        if (place->incoming) /* its head was refused for want of memory: it is not said to be completed */
            finish(place->incoming);
        patience_stop(&place->wait);
        free(place);
    }
}

/* Paths are decoded by target_split, which can refuse. */
static size_t on_unescape(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context, (void)connection;
    return strlen(text);
}

static int start_daemon(struct listener *l, struct error *e)
{
    unsigned connections_max = l->options.connections_max ? l->options.connections_max : 1000;
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)connections_max, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, LISTENER_IDLE_S, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_LISTEN_SOCKET, l->socket, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, l},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, l},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_line, l},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)on_unescape, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    l->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE, 0, NULL, NULL,
                                 on_access, l, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
    if (!l->daemon)
        return error_set(e, ERROR_INTERNAL, "listener", "the HTTP listener did not start");
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    l->set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (l->set < 0 || epoll_ctl(l->set, EPOLL_CTL_ADD, info->epoll_fd, &event) != 0)
        return error_set(e, ERROR_INTERNAL, "listener", "the HTTP listener has no epoll: %s",
                         strerror(errno));
    return 0;
}

int listener_create(const char *address, int port, const struct listener_options *options,
                    listener_request_fn on_request, void *context, struct listener **out, struct error *e)
{
    int fd = address_listen(address, port, e);
    if (fd < 0)
        return -1;
    struct listener *l = mem_zalloc(1, sizeof *l);
    l->socket = fd;
    l->set = -1;
    l->port = address_port(fd);
    l->on_request = on_request;
    l->context = context;
    if (options)
        l->options = *options;
    request_ids_init(&l->ids);
    patience_init(&l->patience, l->options.request_ms ? l->options.request_ms : LISTENER_REQUEST_MS,
                  LISTENER_IDLE_S * 1000);
    if (start_daemon(l, e) != 0) {
        listener_destroy(&l);
        return -1;
    }
    listener_run(l); /* puts the socket into libmicrohttpd's epoll set */
    *out = l;
    return 0;
}

/* libmicrohttpd ends the process when it is stopped with a suspended connection. */
static void answer_all(struct listener *l)
{
    for (struct incoming *in = l->first; in; in = in->next)
        if (in->suspended)
            refuse(in, MHD_HTTP_SERVICE_UNAVAILABLE, "Service Unavailable", "shutting_down",
                   "The server is going down: try again in a moment.");
    listener_run(l);
}

void listener_destroy(struct listener **listener)
{
    struct listener *l = *listener;
    if (!l)
        return;
    *listener = NULL;
    if (l->daemon) {
        answer_all(l);
        MHD_stop_daemon(l->daemon); /* closes the socket, if it has it still */
    } else if (l->socket >= 0) {
        close(l->socket);
    }
    if (l->set >= 0)
        close(l->set);
    free(l);
}

int listener_port(const struct listener *listener)
{
    return listener->port;
}

int listener_fd(const struct listener *listener)
{
    return listener->set;
}

bool listener_dirty(const struct listener *listener)
{
    return listener->dirty;
}

/* Tells the holders of requests whose clients went. */
static void look_for_gone(struct listener *l)
{
    struct epoll_event events[HELD_EVENTS_MAX];
    int count = epoll_wait(l->set, events, HELD_EVENTS_MAX, 0);
    for (int i = 0; i < count; i++) {
        struct incoming *in = events[i].data.ptr;
        if (!in)
            continue;
        unwatch(in);
        /* One holder's on_gone may answer another request, but none ends before MHD_run. */
        if (in->state == INCOMING_HELD && in->base.on_gone)
            in->base.on_gone(&in->base);
    }
}

void listener_run(struct listener *l)
{
    if (l->running)
        return;
    l->running = true;
    look_for_gone(l);
    patience_end_late(&l->patience);
    bool due = true;
    for (int round = 0; due && round < ROUNDS_MAX; round++) {
        l->dirty = false;
        MHD_run(l->daemon);
        MHD_UNSIGNED_LONG_LONG wait_ms;
        due = l->dirty || (MHD_get_timeout(l->daemon, &wait_ms) == MHD_YES && wait_ms == 0);
    }
    l->dirty = due; /* a round reads a kilobyte of a head: what is left must not wait for an event */
    l->running = false;
}

int64_t listener_timeout_ms(const struct listener *listener)
{
    if (listener->dirty)
        return 0;
    MHD_UNSIGNED_LONG_LONG wait_ms;
    return MHD_get_timeout(listener->daemon, &wait_ms) == MHD_YES ? (int64_t)wait_ms : -1;
}

void listener_quiesce(struct listener *listener)
{
    if (listener->socket < 0)
        return;
    MHD_socket fd = MHD_quiesce_daemon(listener->daemon);
    if (fd != MHD_INVALID_SOCKET)
        close(fd);
    listener->socket = -1;
}

unsigned listener_unanswered(const struct listener *listener)
{
    return listener->unanswered;
}

uint64_t listener_cut(const struct listener *listener)
{
    return listener->patience.cut;
}

unsigned listener_connections(const struct listener *listener)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info ? info->num_connections : 0;
}
