#include "bridge/sockets.h"

#include "bridge/deadlines.h"
#include "bridge/session.h"
#include "core/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMESPACES_MAX 8

_Static_assert(SOCKET_ID_SIZE == SESSION_ID_SIZE, "a socket's id is made like a session's");

struct nsp {
    const char *name;
    struct nsp_handlers handlers;
};

/* An event or ack whose attachments are still to come. */
struct partial {
    char *text;
    size_t size;
    unsigned wanted, count;
    struct slice attachments[SOCKETIO_ATTACHMENTS_MAX];
};

/* One session's end. */
struct client {
    struct sockets *sockets;
    struct session *session;
    struct socket *first;
    struct partial *partial;
    char *authorization;
    struct deadline connect; /* set while it has no socket that counts */
};

struct question {
    struct question *next;
    uint32_t id;
    socket_answer_fn fn;
    void *context;
};

struct socket {
    struct client *client;
    const struct nsp *nsp;
    struct socket *next;
    void *holder;
    struct question *questions;
    uint32_t next_question;
    bool connected;
};

struct sockets {
    struct engine *engine;
    struct deadlines *deadlines;
    int64_t connect_timeout_ms;
    struct nsp namespaces[NAMESPACES_MAX];
    unsigned count;
};

#define client_of(deadline) ((struct client *)(void *)((char *)(deadline)-offsetof(struct client, connect)))

/* ---- Frames. ---- */

/* `4` and the packet, with items in its array (nothing when opening is NULL). */
static struct shared *packet_frame(enum socketio_type type, unsigned attachments, const char *nsp,
                                   struct slice ack, const char *name, struct slice args, const char *opening)
{
    struct buf text = {0};
    struct shared *frame;

    buf_reserve(&text, args.size + 96);
    buf_put_byte(&text, '4');
    socketio_put(&text, type, attachments, nsp, ack);
    if (opening != NULL) {
        buf_put_text(&text, opening);
        if (name != NULL)
            buf_printf(&text, args.size > 0 ? "\"%s\"," : "\"%s\"", name);
        if (args.size > 0)
            buf_put(&text, args.text, args.size);
        if (*opening == '[')
            buf_put_byte(&text, ']');
    }
    frame = websocket_frame(WEBSOCKET_TEXT, text.data, text.size);
    buf_finish(&text);
    return frame;
}

static void send_packet(struct socket *s, struct shared *frame, const struct slice *attachments,
                        unsigned count)
{
    struct session *session = s->client->session;

    session_send(session, frame);
    shared_drop(frame);
    for (unsigned i = 0; i < count; i++)
        session_send_message(session, true, attachments[i].text, attachments[i].size);
}

struct shared *socket_event_frame(const char *nsp, const char *name, struct slice args)
{
    return packet_frame(SOCKETIO_EVENT, 0, nsp, (struct slice){NULL, 0}, name, args, "[");
}

void socket_send(struct socket *s, struct shared *frame)
{
    session_send(s->client->session, frame);
}

void socket_emit_binary(struct socket *s, const char *name, struct slice args,
                        const struct slice *attachments, unsigned count)
{
    enum socketio_type type = count > 0 ? SOCKETIO_BINARY_EVENT : SOCKETIO_EVENT;

    send_packet(s, packet_frame(type, count, s->nsp->name, (struct slice){NULL, 0}, name, args, "["),
                attachments, count);
}

void socket_emit(struct socket *s, const char *name, struct slice args)
{
    socket_emit_binary(s, name, args, NULL, 0);
}

void socket_ack(struct socket *s, const struct ack_id *ack, struct slice args,
                const struct slice *attachments, unsigned count)
{
    enum socketio_type type = count > 0 ? SOCKETIO_BINARY_ACK : SOCKETIO_ACK;

    if (ack->size == 0)
        return;
    send_packet(
        s, packet_frame(type, count, s->nsp->name, (struct slice){ack->digits, ack->size}, NULL, args, "["),
        attachments, count);
}

void socket_ask(struct socket *s, const char *name, struct slice args, socket_answer_fn fn, void *context)
{
    struct question *q = mem_zalloc(1, sizeof *q);
    char digits[16];
    int size;

    q->id = s->next_question++;
    q->fn = fn;
    q->context = context;
    q->next = s->questions;
    s->questions = q;
    size = snprintf(digits, sizeof digits, "%u", q->id);
    send_packet(
        s,
        packet_frame(SOCKETIO_EVENT, 0, s->nsp->name, (struct slice){digits, (size_t)size}, name, args, "["),
        NULL, 0);
}

/* ---- Sockets. ---- */

static void await_connect(struct client *c)
{
    for (struct socket *s = c->first; s != NULL; s = s->next) {
        if (s->connected && !s->nsp->handlers.anonymous)
            return;
    }
    if (c->connect.slot == 0)
        deadlines_set(c->sockets->deadlines, &c->connect, c->sockets->connect_timeout_ms);
    session_is_known(c->session, false);
}

static struct socket *find_socket(const struct client *c, struct slice nsp)
{
    for (struct socket *s = c->first; s != NULL; s = s->next) {
        if (slice_is(nsp, s->nsp->name))
            return s;
    }
    return NULL;
}

/* Takes it out of its client's list. */
static void unlink_socket(struct socket *s)
{
    struct socket **place = &s->client->first;

    while (*place != s)
        place = &(*place)->next;
    *place = s->next;
}

static void free_socket(struct socket *s)
{
    while (s->questions != NULL) {
        struct question *q = s->questions;

        s->questions = q->next;
        q->fn(q->context, NULL);
        free(q);
    }
    free(s);
}

static void end_socket(struct socket *s, enum session_end end)
{
    struct client *c = s->client;

    unlink_socket(s);
    s->nsp->handlers.on_disconnect(s->nsp->handlers.self, s, end);
    free_socket(s);
    if (end == SESSION_CLOSED || end == SESSION_CLIENT_LEFT)
        await_connect(c);
}

void socket_accept(struct socket *s, char *id_out)
{
    char id[SESSION_ID_SIZE], text[SESSION_ID_SIZE + 16];
    int size;

    assert(!s->connected);
    s->connected = true;
    if (!s->nsp->handlers.anonymous) {
        deadlines_clear(s->client->sockets->deadlines, &s->client->connect);
        session_is_known(s->client->session, true);
    }
    session_make_id(id);
    if (id_out != NULL)
        memcpy(id_out, id, sizeof id);
    size = snprintf(text, sizeof text, "{\"sid\":\"%.*s\"}", SESSION_ID_SIZE, id);
    send_packet(s,
                packet_frame(SOCKETIO_CONNECT, 0, s->nsp->name, (struct slice){NULL, 0}, NULL,
                             (struct slice){text, (size_t)size}, ""),
                NULL, 0);
}

void socket_refuse(struct socket *s, const char *json)
{
    assert(!s->connected);
    send_packet(s,
                packet_frame(SOCKETIO_CONNECT_ERROR, 0, s->nsp->name, (struct slice){NULL, 0}, NULL,
                             (struct slice){json, strlen(json)}, ""),
                NULL, 0);
    unlink_socket(s);
    free_socket(s);
}

void socket_disconnect(struct socket *s)
{
    send_packet(s,
                packet_frame(SOCKETIO_DISCONNECT, 0, s->nsp->name, (struct slice){NULL, 0}, NULL,
                             (struct slice){NULL, 0}, NULL),
                NULL, 0);
    end_socket(s, SESSION_CLOSED);
}

void socket_close_session(struct socket *s, enum session_end end)
{
    session_close(s->client->session, end);
}

size_t socket_unsent(const struct socket *s)
{
    return session_unsent(s->client->session);
}

void *socket_holder(const struct socket *s)
{
    return s->holder;
}

void socket_set_holder(struct socket *s, void *holder)
{
    s->holder = holder;
}

/* ---- Packets. ---- */

static void refuse_namespace(struct client *c, struct slice nsp)
{
    static const char why[] = "{\"message\":\"Invalid namespace\"}";
    char name[SOCKETIO_NAMESPACE_MAX + 1];
    struct shared *frame;

    memcpy(name, nsp.text, nsp.size);
    name[nsp.size] = '\0';
    frame = packet_frame(SOCKETIO_CONNECT_ERROR, 0, name, (struct slice){NULL, 0}, NULL,
                         (struct slice){why, sizeof why - 1}, "");
    session_send(c->session, frame);
    shared_drop(frame);
}

static void connect_client(struct client *c, const struct socketio_packet *p)
{
    struct sockets *all = c->sockets;
    struct slice auth = p->payload.size > 0 ? p->payload : (struct slice){"{}", 2};

    for (unsigned i = 0; i < all->count; i++) {
        const struct nsp *nsp = &all->namespaces[i];

        if (slice_is(p->nsp, nsp->name)) {
            struct socket *s = mem_zalloc(1, sizeof *s);

            s->client = c;
            s->nsp = nsp;
            s->next = c->first;
            c->first = s;
            nsp->handlers.on_connect(nsp->handlers.self, s, auth, c->authorization);
            return;
        }
    }
    refuse_namespace(c, p->nsp);
}

static void on_answer(struct socket *s, const struct socketio_packet *p)
{
    uint64_t id = 0;

    for (size_t i = 0; i < p->ack.size; i++)
        id = id * 10 + (uint64_t)(p->ack.text[i] - '0');
    for (struct question **place = &s->questions; *place != NULL; place = &(*place)->next) {
        struct question *q = *place;

        if (p->ack.size > 0 && q->id == id) {
            *place = q->next;
            q->fn(q->context, &p->args);
            free(q);
            return;
        }
    }
}

/* One whose name is written with escapes. */
static void on_escaped_event(struct socket *s, struct event *event)
{
    struct json *name = json_parse(event->name.text - 1, event->name.size + 2, NULL);
    const char *text = json_string(name);

    if (text != NULL) {
        event->name = (struct slice){text, strlen(text)};
        s->nsp->handlers.on_event(s->nsp->handlers.self, s, event);
    } else {
        session_close(s->client->session, SESSION_PARSE_ERROR);
    }
    json_destroy(&name);
}

static void on_event(struct socket *s, const struct socketio_packet *p, const struct slice *attachments)
{
    struct event event = {
        .name = p->name, .args = p->args, .attachments = attachments, .attachment_count = p->attachments};

    if (socketio_is_reserved(p->name))
        return;
    memcpy(event.ack.digits, p->ack.text, p->ack.size);
    event.ack.size = (unsigned char)p->ack.size;
    if (p->name.size > 0 && memchr(p->name.text, '\\', p->name.size) != NULL)
        on_escaped_event(s, &event);
    else
        s->nsp->handlers.on_event(s->nsp->handlers.self, s, &event);
}

/* A whole packet. */
static void on_packet(struct client *c, const struct socketio_packet *p, const struct slice *attachments)
{
    struct socket *s = find_socket(c, p->nsp);

    if (p->type == SOCKETIO_CONNECT && (s == NULL || !s->connected)) {
        if (s != NULL)
            end_socket(s, SESSION_CLIENT_LEFT);
        connect_client(c, p);
    } else if (s != NULL && p->type == SOCKETIO_DISCONNECT) {
        end_socket(s, SESSION_CLIENT_LEFT);
    } else if (s == NULL || !s->connected || p->type == SOCKETIO_CONNECT ||
               p->type == SOCKETIO_CONNECT_ERROR) {
        session_close(c->session, SESSION_PARSE_ERROR);
    } else if (p->type == SOCKETIO_ACK || p->type == SOCKETIO_BINARY_ACK) {
        on_answer(s, p);
    } else {
        on_event(s, p, attachments);
    }
}

static void partial_free(struct partial *partial)
{
    if (partial == NULL)
        return;
    for (unsigned i = 0; i < partial->count; i++)
        free((char *)partial->attachments[i].text);
    free(partial->text);
    free(partial);
}

static void on_text(struct client *c, const char *text, size_t size)
{
    struct socketio_packet packet;

    if (c->partial != NULL || !socketio_parse(text, size, &packet)) {
        session_close(c->session, SESSION_PARSE_ERROR);
    } else if (packet.attachments > 0) {
        c->partial = mem_zalloc(1, sizeof *c->partial);
        c->partial->text = mem_dup(text, size);
        c->partial->size = size;
        c->partial->wanted = packet.attachments;
    } else {
        on_packet(c, &packet, NULL);
    }
}

static void on_attachment(struct client *c, const char *bytes, size_t size)
{
    struct partial *partial = c->partial;
    struct socketio_packet packet;

    if (partial == NULL) {
        session_close(c->session, SESSION_PARSE_ERROR);
        return;
    }
    partial->attachments[partial->count++] = (struct slice){mem_dup(bytes, size), size};
    if (partial->count < partial->wanted)
        return;
    c->partial = NULL;
    if (socketio_parse(partial->text, partial->size, &packet))
        on_packet(c, &packet, partial->attachments);
    partial_free(partial);
}

/* ---- The engine's handlers. ---- */

static bool on_open(void *self, struct session *session, const struct handshake *handshake)
{
    struct client *c = mem_zalloc(1, sizeof *c);

    c->sockets = self;
    c->session = session;
    if (handshake->authorization != NULL)
        c->authorization = mem_strdup(handshake->authorization);
    session_set_holder(session, c);
    await_connect(c);
    return true;
}

static void on_message(void *self, struct session *session, bool binary, const char *bytes, size_t size)
{
    struct client *c = session_holder(session);

    (void)self;
    if (binary)
        on_attachment(c, bytes, size);
    else
        on_text(c, bytes, size);
}

static void on_close(void *self, struct session *session, enum session_end end)
{
    struct client *c = session_holder(session);
    struct sockets *all = self;

    while (c->first != NULL) {
        struct socket *s = c->first;

        c->first = s->next;
        s->nsp->handlers.on_disconnect(s->nsp->handlers.self, s, end);
        free_socket(s);
    }
    deadlines_clear(all->deadlines, &c->connect);
    partial_free(c->partial);
    free(c->authorization);
    free(c);
}

static void on_connect_timeout(void *context, struct deadline *deadline)
{
    (void)context;
    session_close(client_of(deadline)->session, SESSION_CLOSED);
}

/* ---- Life. ---- */

struct sockets *sockets_create(struct clock_port *clock, const struct engine_options *options,
                               int64_t connect_timeout_ms)
{
    struct sockets *all = mem_zalloc(1, sizeof *all);

    all->connect_timeout_ms = connect_timeout_ms;
    all->deadlines = deadlines_create(clock, on_connect_timeout, all);
    all->engine =
        engine_create(clock, options, &(struct engine_handlers){all, on_open, on_message, on_close});
    return all;
}

void sockets_destroy(struct sockets **sockets)
{
    struct sockets *all = *sockets;

    if (all == NULL)
        return;
    engine_destroy(&all->engine);
    deadlines_destroy(&all->deadlines);
    free(all);
    *sockets = NULL;
}

void sockets_add(struct sockets *all, const char *name, const struct nsp_handlers *handlers)
{
    assert(all->count < NAMESPACES_MAX);
    all->namespaces[all->count++] = (struct nsp){name, *handlers};
}

void sockets_request(struct sockets *all, struct request *request)
{
    engine_request(all->engine, request);
}

const struct engine_stats *sockets_stats(const struct sockets *all)
{
    return engine_stats(all->engine);
}
