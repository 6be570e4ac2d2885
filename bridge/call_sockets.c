#include "bridge/call_sockets.h"

#include "bridge/answers.h"
#include "bridge/argument.h"
#include "bridge/deadlines.h"
#include "bridge/identity.h"
#include "core/config.h"
#include "core/ids.h"
#include "core/json.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_SIZE 1024 /* a power of two */

struct call_sockets {
    struct ports ports;
    struct deadlines *deadlines;
    struct call_socket *table[TABLE_SIZE]; /* by user */
    struct call_sockets_stats stats;
    struct request_ids requests; /* an id for each event */
};

struct call_socket {
    struct socket *socket;
    struct call_socket *next; /* in the table */
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

static struct call_socket **place_of(struct call_sockets *calls, const char *user)
{
    return &calls->table[bytes_hash(user, strlen(user)) & (TABLE_SIZE - 1)];
}

static bool has_room_for(struct call_sockets *calls, const char *user)
{
    const struct config *config = calls->ports.config;
    int64_t count = 0;

    for (struct call_socket *s = *place_of(calls, user); s != NULL; s = s->next)
        count += strcmp(s->user, user) == 0;
    return !config->limits || count < config->connections_user_max;
}

static void on_connect(void *self, struct socket *socket, struct slice auth, const char *authorization)
{
    struct call_sockets *calls = self;
    struct call_socket *s, **place;
    struct token token;
    size_t size;

    if (!identity_check(&calls->ports, auth, authorization, &token)) {
        calls->stats.refused++;
        socket_refuse(socket, IDENTITY_REFUSAL);
        return;
    }
    if (!has_room_for(calls, token.user)) {
        calls->stats.refused++;
        socket_refuse(socket, IDENTITY_TOO_MANY);
        return;
    }
    size = strlen(token.user) + 1;
    s = mem_zalloc(1, sizeof *s + size);
    memcpy(s->user, token.user, size);
    place = place_of(calls, s->user);
    s->next = *place;
    *place = s;
    calls->stats.sockets++;
    s->socket = socket;
    s->expires_at_s = token.expires_at_s;
    socket_set_holder(socket, s);
    deadlines_set(calls->deadlines, &s->deadline, identity_left_ms(&calls->ports, s->expires_at_s));
    calls->ports.broker->online(calls->ports.broker, s->user, true);
    socket_accept(socket, NULL);
}

static void on_event(void *self, struct socket *socket, const struct event *event)
{
    struct call_sockets *calls = self;
    const struct call_socket *s = socket_holder(socket);
    struct slice data = {NULL, 0};
    struct buf copy = {0};
    struct json *tree = event_argument(event->args, &data, &copy, NULL);
    struct error e;

    error_set(&e, ERROR_INVALID, "unknown_event", "/calls knows no such event.");
    answer_log(s->user, event->name, request_ids_take(&calls->requests), e.word);
    answer_error(socket, &event->ack, event->name, tree != NULL ? data : (struct slice){NULL, 0}, &e);
    json_destroy(&tree);
    buf_finish(&copy);
}

static void on_disconnect(void *self, struct socket *socket, enum session_end end)
{
    struct call_sockets *calls = self;
    struct call_socket *s = socket_holder(socket), **place;

    (void)end;
    if (s == NULL)
        return;
    deadlines_clear(calls->deadlines, &s->deadline);
    calls->ports.broker->online(calls->ports.broker, s->user, false);
    place = place_of(calls, s->user);
    while (*place != s)
        place = &(*place)->next;
    *place = s->next;
    calls->stats.sockets--;
    free(s);
}

struct call_sockets *call_sockets_create(const struct ports *ports, struct sockets *sockets)
{
    struct call_sockets *calls = mem_zalloc(1, sizeof *calls);

    calls->ports = *ports;
    request_ids_init(&calls->requests);
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

const struct call_sockets_stats *call_sockets_stats(const struct call_sockets *calls)
{
    return &calls->stats;
}
