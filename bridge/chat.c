/* A message is put into its frame once; every socket of every person in the room gets the same bytes. */
#include "bridge/chat.h"

#include "bridge/chat_socket.h"
#include "bridge/identity.h"
#include "bridge/websocket.h"
#include "core/access.h"
#include "core/config.h"
#include "core/log.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define socket_of(pointer)                                                                                   \
    ((struct chat_socket *)(void *)((char *)(pointer)-offsetof(struct chat_socket, deadline)))

/* ---- Delivery. ---- */

static struct shared *message_frame(const struct uuid *room, const char *json, size_t size)
{
    static const char before[] = "42/chat,[\"new_message\",{\"chatRoomId\":\"",
                      between[] = "\",\"message\":", after[] = "}]";
    char id[UUID_TEXT_SIZE];
    size_t total = sizeof before - 1 + UUID_TEXT_SIZE - 1 + sizeof between - 1 + size + sizeof after - 1;
    struct shared *frame = websocket_frame(WEBSOCKET_TEXT, NULL, total);
    char *at = frame->data + frame->size - total;

    uuid_format(room, id);
    memcpy(at, before, sizeof before - 1);
    at += sizeof before - 1;
    memcpy(at, id, UUID_TEXT_SIZE - 1);
    at += UUID_TEXT_SIZE - 1;
    memcpy(at, between, sizeof between - 1);
    at += sizeof between - 1;
    memcpy(at, json, size);
    at += size;
    memcpy(at, after, sizeof after - 1);
    return frame;
}

void chat_deliver(struct chat *chat, struct room *room, int64_t about, int64_t place, struct shared *frame)
{
    const struct members *members = chat->ports.members;
    const struct uuid *id = room_id(room);
    bool to_all = access_reaches_all(id, members);
    const struct person_link *persons;
    size_t count = room_persons(room, &persons);

    for (size_t i = 0; i < count; i++) {
        const struct person *person = persons[i].person;

        if (!to_all && !access_message(person->name, person->name_size, id, about, members).allowed)
            continue;
        for (struct chat_socket *s = person->sockets; s != NULL; s = s->next) {
            if (!s->accepted || (s->joins != NULL && join_keeps(s, id, place, frame)))
                continue;
            socket_send(s->socket, frame);
            chat->stats.delivered++;
        }
    }
}

static void on_message(void *self, struct room *room, int64_t seq, const char *json, size_t size)
{
    struct shared *frame = message_frame(room_id(room), json, size);

    chat_deliver(self, room, seq, seq, frame);
    shared_drop(frame);
}

/* ---- Open rooms: no more than the user has rooms, for a removal closes the room. ---- */

static struct uuid *find_open(const struct chat_socket *s, const struct uuid *room)
{
    for (uint32_t i = 0; i < s->open_count; i++) {
        if (uuid_equal(&s->open[i], room))
            return &s->open[i];
    }
    return NULL;
}

bool chat_is_open(const struct chat_socket *s, const struct uuid *room)
{
    return find_open(s, room) != NULL;
}

void chat_open_room(struct chat_socket *s, const struct uuid *room)
{
    if (find_open(s, room) != NULL)
        return;
    if (s->open_count == s->open_capacity) {
        s->open_capacity = s->open_capacity == 0 ? 1 : s->open_capacity * 2;
        s->open = mem_realloc(s->open, s->open_capacity * sizeof *s->open);
    }
    s->open[s->open_count++] = *room;
}

void chat_close_room(struct chat_socket *s, const struct uuid *room)
{
    struct uuid *open = find_open(s, room);

    if (open != NULL)
        *open = s->open[--s->open_count];
}

/* ---- Connecting. ---- */

static void accept_socket(struct chat_socket *s)
{
    struct chat *chat = s->chat;

    s->accepted = true;
    deadlines_set(chat->deadlines, &s->deadline, identity_left_ms(&chat->ports, s->expires_at_s));
    socket_accept(s->socket, NULL);
}

static void on_ready(void *self, struct person *person)
{
    (void)self;
    for (struct chat_socket *s = person->sockets; s != NULL; s = s->next) {
        if (!s->accepted)
            accept_socket(s);
        join_ready(s);
    }
}

static void on_deadline(void *self, struct deadline *deadline)
{
    struct chat *chat = self;
    struct chat_socket *s = socket_of(deadline);
    int64_t left_ms = identity_left_ms(&chat->ports, s->expires_at_s);

    if (!s->accepted)
        accept_socket(s);
    else if (left_ms > 0)
        deadlines_set(chat->deadlines, &s->deadline, left_ms);
    else
        socket_disconnect(s->socket);
}

static bool has_room_for(const struct chat *chat, const struct person *person)
{
    const struct config *config = chat->ports.config;

    return !config->limits || (int64_t)person->socket_count < config->connections_user_max;
}

static void on_connect(void *self, struct socket *socket, struct slice auth, const char *authorization)
{
    struct chat *chat = self;
    struct chat_socket *s;
    struct person *person;
    struct token token;

    if (!identity_check(&chat->ports, auth, authorization, &token)) {
        chat->stats.refused++;
        socket_refuse(socket, IDENTITY_REFUSAL);
        return;
    }
    person = audience_enter(chat->audience, token.user, strlen(token.user));
    if (!has_room_for(chat, person)) {
        chat->stats.refused++;
        if (person->socket_count == 0)
            audience_quit(chat->audience, person);
        socket_refuse(socket, IDENTITY_TOO_MANY);
        return;
    }
    s = mem_zalloc(1, sizeof *s);
    s->chat = chat;
    s->socket = socket;
    s->person = person;
    s->role = (uint8_t)token.role;
    s->expires_at_s = token.expires_at_s;
    s->next = person->sockets;
    person->sockets = s;
    if (person->socket_count++ == 0)
        chat->ports.broker->online(chat->ports.broker, person->name, true);
    chat->stats.sockets++;
    socket_set_holder(socket, s);
    if (person->unready == 0)
        accept_socket(s);
    else
        deadlines_set(chat->deadlines, &s->deadline, CHAT_READY_MS);
}

static void on_disconnect(void *self, struct socket *socket, enum session_end end)
{
    struct chat *chat = self;
    struct chat_socket *s = socket_holder(socket), **place;
    struct person *person;

    if (s == NULL)
        return;
    person = s->person;
    place = (struct chat_socket **)&person->sockets;
    while (*place != s)
        place = &(*place)->next;
    *place = s->next;
    join_cancel(s, NULL);
    for (struct question *q = s->questions; q != NULL; q = q->next)
        q->socket = NULL;
    deadlines_clear(chat->deadlines, &s->deadline);
    chat->stats.sockets--;
    if (end == SESSION_SLOW_READER) {
        chat->stats.slow++;
        log_warn("bridge", "a slow reader was closed user=%s", person->name);
    }
    free(s->open);
    free(s);
    if (--person->socket_count > 0)
        return;
    chat->ports.broker->online(chat->ports.broker, person->name, false);
    audience_quit(chat->audience, person);
}

void chat_member_removed(struct chat *chat, struct person *person, const struct uuid *room)
{
    (void)chat;
    for (struct chat_socket *s = person->sockets; s != NULL; s = s->next) {
        chat_close_room(s, room);
        join_cancel(s, room);
    }
}

/* ---- Life. ---- */

struct chat *chat_create(const struct ports *ports, struct sockets *sockets)
{
    struct chat *chat = mem_zalloc(1, sizeof *chat);

    chat->ports = *ports;
    chat->sockets = sockets;
    chat->recent = recent_create();
    request_ids_init(&chat->requests);
    chat->deadlines = deadlines_create(ports->clock, on_deadline, chat);
    chat->audience = audience_create(ports, &(struct audience_handlers){chat, on_message, on_ready});
    sockets_add(sockets, "/chat",
                &(struct nsp_handlers){.self = chat,
                                       .on_connect = on_connect,
                                       .on_event = chat_on_event,
                                       .on_disconnect = on_disconnect});
    return chat;
}

void chat_destroy(struct chat **chat)
{
    struct chat *c = *chat;

    if (c == NULL)
        return;
    assert(c->stats.sockets == 0);
    chat_forget_lookups(c);
    recent_destroy(&c->recent);
    audience_destroy(&c->audience);
    deadlines_destroy(&c->deadlines);
    free(c);
    *chat = NULL;
}

struct audience *chat_audience(struct chat *chat)
{
    return chat->audience;
}

const struct chat_stats *chat_stats(const struct chat *chat)
{
    return &chat->stats;
}
