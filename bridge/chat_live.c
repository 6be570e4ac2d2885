/* What happens in rooms beside new messages, as events of /chat: each is put into its frame once, like a
 * message.
 *
 * A receipt names a seq, message_read also the message: its id is remembered from when the message passed, or
 * read from the database. While an answer is under way the user may have read on: then the older is left out.
 *
 * participant_removed reaches the members by the room's event. The one removed, who by then may be out of the
 * room here or not, hears it by the event of its own, room_removed, and so exactly once. */
#include "bridge/chat_socket.h"
#include "core/config.h"
#include "core/queries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOKUPS_MAX 1000 /* under way at once; past it a receipt is not told */

/* A receipt whose message is being looked up. */
struct lookup {
    struct chat *chat; /* NULL: gone */
    struct lookup *next, *previous;
    struct uuid room;
    int64_t seq;
    char *user, *at;
};

/* ---- Frames to many. ---- */

static void send_to_person(struct chat *chat, struct person *person, struct shared *frame)
{
    for (struct chat_socket *s = person->sockets; s != NULL; s = s->next) {
        if (!s->accepted)
            continue;
        socket_send(s->socket, frame);
        chat->stats.delivered++;
    }
}

static struct shared *frame_of(const char *name, const struct buf *data)
{
    return socket_event_frame("/chat", name, (struct slice){data->data, data->size});
}

/* To whoever sees the message `about`; CHAT_ALWAYS: to all. */
static void send_to_room(struct chat *chat, struct room *room, int64_t about, const char *name,
                         const struct buf *data)
{
    struct shared *frame = frame_of(name, data);

    chat_deliver(chat, room, about, CHAT_ALWAYS, frame);
    shared_drop(frame);
}

/* ---- Receipts. ---- */

static void tell_read(struct chat *chat, const struct uuid *id, const char *user, int64_t seq, const char *at,
                      const char *message_id)
{
    struct room *room = audience_find(chat->audience, id);
    struct buf data = {0};
    char room_text[UUID_TEXT_SIZE];

    if (room == NULL)
        return;
    uuid_format(id, room_text);
    buf_printf(&data,
               "{\"chatRoomId\":\"%s\",\"userId\":\"%s\",\"messageId\":\"%s\",\"seq\":%lld,\"readAt\":",
               room_text, user, message_id, (long long)seq);
    json_put_text(&data, at);
    buf_put_byte(&data, '}');
    send_to_room(chat, room, seq, "message_read", &data); /* it names the message */
    buf_finish(&data);
}

static void lookup_free(struct lookup *l)
{
    if (l->chat != NULL) {
        if (l->previous != NULL)
            l->previous->next = l->next;
        else
            l->chat->lookups = l->next;
        if (l->next != NULL)
            l->next->previous = l->previous;
        l->chat->lookup_count--;
    }
    free(l->user);
    free(l->at);
    free(l);
}

static void on_looked_up(void *context, const struct db_answer *answer)
{
    struct lookup *l = context;

    if (l->chat != NULL && answer->ok && answer->rows == 1 &&
        !recent_read_past(l->chat->recent, &l->room, l->user, l->seq))
        tell_read(l->chat, &l->room, l->user, l->seq, l->at, answer->cell(answer, 0, 0));
    lookup_free(l);
}

static void look_up(struct chat *chat, const struct uuid *room, const char *user, int64_t seq, const char *at)
{
    struct lookup *l;
    char id[UUID_TEXT_SIZE], number[24];

    if (chat->lookup_count >= LOOKUPS_MAX)
        return;
    l = mem_zalloc(1, sizeof *l);
    *l = (struct lookup){.chat = chat, .next = chat->lookups, .room = *room, .seq = seq};
    l->user = mem_strdup(user);
    l->at = mem_strdup(at);
    if (l->next != NULL)
        l->next->previous = l;
    chat->lookups = l;
    chat->lookup_count++;
    uuid_format(room, id);
    snprintf(number, sizeof number, "%lld", (long long)seq);
    chat->ports.db->query(chat->ports.db, QUERY_MESSAGE_ID, 2, (const char *const[]){id, number},
                          on_looked_up, l);
}

void chat_forget_lookups(struct chat *chat)
{
    for (struct lookup *l = chat->lookups; l != NULL; l = l->next)
        l->chat = NULL;
}

static void on_receipt(void *self, const struct uuid *room, const char *user, int64_t read_seq,
                       const char *json, size_t size)
{
    struct chat *chat = self;
    struct json *tree;
    const char *at;
    struct uuid id;
    char id_text[UUID_TEXT_SIZE];

    /* A receipt may be of a delivery, or answer a mark that moved nothing. */
    if (read_seq == 0 || !recent_read(chat->recent, room, user, read_seq))
        return;
    tree = json_parse(json, size, NULL);
    at = json_string(json_get(tree, "at"));
    if (at == NULL) {
        json_destroy(&tree);
        return;
    }
    if (recent_message(chat->recent, room, read_seq, &id)) {
        uuid_format(&id, id_text);
        tell_read(chat, room, user, read_seq, at, id_text);
    } else {
        look_up(chat, room, user, read_seq, at);
    }
    json_destroy(&tree);
}

/* ---- Events of the outbox. ---- */

/* An edited or deleted message. */
static void on_changed_message(struct chat *chat, struct room *room, const struct json *message,
                               const char *json, size_t size)
{
    const char *id = json_string(json_get(message, "id"));
    bool deleted = json_kind(json_get(message, "deletedAt")) == JSON_STRING;
    struct buf data = {0};
    char room_text[UUID_TEXT_SIZE];
    int64_t seq = 0;

    if (id == NULL || !json_integer(json_get(message, "seq"), &seq))
        return;
    uuid_format(room_id(room), room_text);
    buf_printf(&data, "{\"chatRoomId\":\"%s\"", room_text);
    if (deleted) {
        buf_put_text(&data, ",\"messageId\":");
        json_put_text(&data, id);
        buf_printf(&data, ",\"seq\":%lld", (long long)seq);
    }
    buf_put_text(&data, ",\"message\":");
    buf_put(&data, json, size);
    buf_put_byte(&data, '}');
    send_to_room(chat, room, seq, deleted ? "message_deleted" : "message_updated", &data);
    buf_finish(&data);
}

/* The event's object without its member `event`, which is the name of the socket's event. */
static void put_rest(struct buf *out, const struct json *event)
{
    buf_put_byte(out, '{');
    for (const struct json *member = json_first(event); member != NULL; member = json_next(member)) {
        if (strcmp(json_name(member), "event") == 0)
            continue;
        if (out->size > 1)
            buf_put_byte(out, ',');
        json_put_text(out, json_name(member));
        buf_put_byte(out, ':');
        json_put_tree(out, member);
    }
    buf_put_byte(out, '}');
}

static void on_room_event(struct chat *chat, struct room *room, const char *name, const struct json *event)
{
    const char *removed =
        strcmp(name, "participant_removed") == 0 ? json_string(json_get(event, "userId")) : NULL;
    const struct person_link *persons;
    size_t count = room_persons(room, &persons);
    struct buf data = {0};
    struct shared *frame;

    put_rest(&data, event);
    frame = frame_of(name, &data);
    for (size_t i = 0; i < count; i++) {
        if (removed == NULL || strcmp(persons[i].person->name, removed) != 0)
            send_to_person(chat, persons[i].person, frame);
    }
    shared_drop(frame);
    buf_finish(&data);
}

static void on_user_event(struct chat *chat, struct person *person, const char *name,
                          const struct json *event)
{
    struct buf data = {0};
    struct shared *frame;

    put_rest(&data, event);
    frame = frame_of(name, &data);
    send_to_person(chat, person, frame);
    shared_drop(frame);
    if (strcmp(name, "room_removed") == 0) {
        buf_clear(&data);
        buf_put_text(&data, "{\"chatRoomId\":");
        json_put_text(&data, json_string(json_get(event, "chatRoomId")));
        buf_printf(&data, ",\"userId\":\"%s\"}", person->name);
        frame = frame_of("participant_removed", &data);
        send_to_person(chat, person, frame);
        shared_drop(frame);
    }
    buf_finish(&data);
}

static void on_event(void *self, const struct uuid *id, const char *user, const char *topic, const char *json,
                     size_t size)
{
    struct chat *chat = self;
    struct room *room = user[0] == '\0' ? audience_find(chat->audience, id) : NULL;
    struct person *person = user[0] != '\0' ? audience_person(chat->audience, user, strlen(user)) : NULL;
    struct json *tree;
    const char *name;

    if (room == NULL && person == NULL)
        return;
    tree = json_parse(json, size, NULL);
    name = json_string(json_get(tree, "event"));
    if (room != NULL && strcmp(topic, "messages") == 0)
        on_changed_message(chat, room, tree, json, size);
    else if (room != NULL && name != NULL)
        on_room_event(chat, room, name, tree);
    else if (person != NULL && name != NULL)
        on_user_event(chat, person, name, tree);
    json_destroy(&tree);
}

/* ---- Typing: to whoever has the room open, but not to the typist. ---- */

static void on_typing(void *self, const struct uuid *id, const char *user, bool on)
{
    struct chat *chat = self;
    struct room *room = audience_find(chat->audience, id);
    const struct person_link *persons;
    size_t count = room != NULL ? room_persons(room, &persons) : 0;
    struct shared *frame = NULL;
    struct buf data = {0};
    char room_text[UUID_TEXT_SIZE];

    for (size_t i = 0; i < count; i++) {
        if (strcmp(persons[i].person->name, user) == 0)
            continue;
        for (struct chat_socket *s = persons[i].person->sockets; s != NULL; s = s->next) {
            if (!s->accepted || !chat_is_open(s, id))
                continue;
            if (frame == NULL) {
                uuid_format(id, room_text);
                buf_printf(&data, "{\"chatRoomId\":\"%s\",\"userId\":\"%s\",\"isTyping\":%s}", room_text,
                           user, on ? "true" : "false");
                frame = frame_of("user_typing", &data);
            }
            socket_send(s->socket, frame);
            chat->stats.delivered++;
        }
    }
    shared_drop(frame);
    buf_finish(&data);
}

/* ---- Presence: to whoever shares a room that is not too large, once each. ---- */

struct announcement {
    struct chat *chat;
    const char *user;
    struct shared *frame;
};

static void announce_in_room(void *context, const struct uuid *id, enum room_type type, enum member_role role)
{
    struct announcement *a = context;
    struct chat *chat = a->chat;
    struct room *room = audience_find(chat->audience, id);
    const struct person_link *persons;
    size_t count = room != NULL ? room_persons(room, &persons) : 0;

    (void)type, (void)role;
    if (members_room_size(chat->ports.members, id) > (size_t)chat->ports.config->presence_room_max)
        return;
    for (size_t i = 0; i < count; i++) {
        struct person *person = persons[i].person;

        if (person->announced == chat->announcements || strcmp(person->name, a->user) == 0)
            continue;
        person->announced = chat->announcements;
        send_to_person(chat, person, a->frame);
    }
}

static void on_presence(void *self, const char *user, bool on, int64_t last_seen_ms)
{
    struct chat *chat = self;
    struct announcement a = {chat, user, NULL};
    struct buf data = {0};
    char when[CLOCK_TEXT_SIZE];

    clock_format(last_seen_ms, when);
    buf_printf(&data, "{\"userId\":\"%s\",\"lastSeenAt\":\"%s\"}", user, when);
    a.frame = frame_of(on ? "user_online" : "user_offline", &data);
    chat->announcements++;
    members_each_room(chat->ports.members, user, strlen(user), announce_in_room, &a);
    shared_drop(a.frame);
    buf_finish(&data);
}

/* ---- What the link calls. ---- */

static void on_watched(void *self, const struct uuid *room)
{
    audience_on_watched(((struct chat *)self)->audience, room);
}

static void on_message(void *self, const struct uuid *room, int64_t seq, const char *json, size_t size)
{
    struct chat *chat = self;

    recent_note_message(chat->recent, room, seq, json, size);
    audience_on_message(chat->audience, room, seq, json, size);
}

static void on_lost(void *self)
{
    audience_on_lost(((struct chat *)self)->audience);
}

struct broker_events chat_broker_events(struct chat *chat)
{
    return (struct broker_events){.self = chat,
                                  .on_watched = on_watched,
                                  .on_message = on_message,
                                  .on_receipt = on_receipt,
                                  .on_event = on_event,
                                  .on_typing = on_typing,
                                  .on_presence = on_presence,
                                  .on_lost = on_lost};
}
