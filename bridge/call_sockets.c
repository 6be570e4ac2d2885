#include "bridge/call_sockets.h"

#include "bridge/deadlines.h"
#include "bridge/identity.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct call_sockets {
    struct ports ports;
    struct deadlines *deadlines;
};

struct call_socket {
    struct socket *socket;
    int64_t expires_at_s;
    struct deadline deadline; /* when the token expires */
    char user[];
};

#define socket_of(pointer)                                                                                   \
    ((struct call_socket *)(void *)((char *)(pointer)-offsetof(struct call_socket, deadline)))

static void on_deadline(void *self, struct deadline *deadline)
{
    struct call_sockets *calls = self;
    struct call_socket *s = socket_of(deadline);
    int64_t left_ms = identity_left_ms(&calls->ports, s->expires_at_s);

    if (left_ms > 0)
        deadlines_set(calls->deadlines, deadline, left_ms);
    else
        socket_disconnect(s->socket);
}

static void on_connect(void *self, struct socket *socket, struct slice auth, const char *authorization)
{
    struct call_sockets *calls = self;
    struct call_socket *s;
    struct token token;

    if (!identity_check(&calls->ports, auth, authorization, &token)) {
        socket_refuse(socket, IDENTITY_REFUSAL);
        return;
    }
    s = mem_zalloc(1, sizeof *s + strlen(token.user) + 1);
    memcpy(s->user, token.user, strlen(token.user));
    s->socket = socket;
    s->expires_at_s = token.expires_at_s;
    socket_set_holder(socket, s);
    deadlines_set(calls->deadlines, &s->deadline, identity_left_ms(&calls->ports, s->expires_at_s));
    calls->ports.broker->online(calls->ports.broker, s->user, true);
    socket_accept(socket, NULL);
}

static void on_event(void *self, struct socket *socket, const struct event *event)
{
    static const char answer[] =
        "{\"status\":\"error\",\"code\":\"unknown_event\",\"message\":\"/calls knows no such event.\"}";

    (void)self;
    socket_ack(socket, &event->ack, (struct slice){answer, sizeof answer - 1}, NULL, 0);
}

static void on_disconnect(void *self, struct socket *socket, enum session_end end)
{
    struct call_sockets *calls = self;
    struct call_socket *s = socket_holder(socket);

    (void)end;
    if (s == NULL)
        return;
    deadlines_clear(calls->deadlines, &s->deadline);
    calls->ports.broker->online(calls->ports.broker, s->user, false);
    free(s);
}

struct call_sockets *call_sockets_create(const struct ports *ports, struct sockets *sockets)
{
    struct call_sockets *calls = mem_zalloc(1, sizeof *calls);

    calls->ports = *ports;
    calls->deadlines = deadlines_create(ports->clock, on_deadline, calls);
    sockets_add(
        sockets, "/calls",
        &(struct nsp_handlers){
            .self = calls, .on_connect = on_connect, .on_event = on_event, .on_disconnect = on_disconnect});
    return calls;
}

void call_sockets_destroy(struct call_sockets **calls)
{
    if (*calls == NULL)
        return;
    deadlines_destroy(&(*calls)->deadlines);
    free(*calls);
    *calls = NULL;
}
