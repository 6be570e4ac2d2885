/* That a client types passes through the broker as it is; that it ends, and what sockets say, is published
 * here. */
#include "plugin/live.h"

#include "core/clock.h"

#include <stdio.h>
#include <string.h>

static const char typing_on[] = "{\"isTyping\":true}", typing_off[] = "{\"isTyping\":false}";

/* ---- Typing. ---- */

static bool too_large(const struct plugin *p, const struct uuid *room)
{
    return members_room_size(p->members, room) > (size_t)p->config->presence_room_max;
}

static void tell_typed(struct plugin *p, const struct uuid *room, const char *user, size_t size, bool on)
{
    struct wire_record record = {
        .type = WIRE_TYPED, .room = *room, .user = user, .user_size = size, .on = on};
    for (struct node *node = p->nodes.list; node < p->nodes.list + NODES_MAX; node++)
        if (node->used && node_watches(node, room))
            nodes_put(&p->nodes, node, &record);
}

static void publish_typing(struct plugin *p, const struct uuid *room, const char *user, bool on, int qos)
{
    char topic[TOPIC_TEXT_MAX];
    topic_format_room(topic, p->config->prefix, room, TOPIC_ROOM_TYPING, user);
    plugin_publish(p, topic, on ? typing_on : typing_off, on ? sizeof typing_on - 1 : sizeof typing_off - 1,
                   qos);
    tell_typed(p, room, user, strlen(user), on);
}

/* What the broker holds until the client releases it (QoS 2), perhaps when it is no longer a member, is said
 * in its place; and so is an end, which goes behind its beginning then, whoever said that, and not below its
 * QoS. */
bool live_typing(struct plugin *p, const struct topic *topic, const struct mosquitto_evt_message *event)
{
    int on = typing_parse(event->payload, event->payloadlen);
    const struct topic_part *user = &topic->speaker;
    struct typing_said said = {.room = &topic->id,
                               .user = user->text,
                               .size = user->size,
                               .on = on > 0,
                               .qos = event->qos > 1 ? 1 : event->qos};
    if (on < 0 || too_large(p, &topic->id))
        return false;
    int qos = typing_note(p->typing, &said, p->config->limits, clock_mono_ns());
    if (qos < 0)
        return false;
    tell_typed(p, &topic->id, user->text, user->size, said.on);
    if (said.on && event->qos <= 1)
        return true;
    plugin_publish(p, event->topic, event->payload, event->payloadlen, qos);
    return false;
}

void live_node_typing(struct plugin *p, const struct wire_record *record)
{
    char user[USER_ID_MAX + 1];
    if (!user_id_valid(record->user, record->user_size))
        return;
    memcpy(user, record->user, record->user_size);
    user[record->user_size] = '\0';
    struct topic topic = {
        .kind = TOPIC_ROOM_TYPING, .id = record->room, .speaker = {.text = user, .size = record->user_size}};
    struct subject who = {.user = user, .user_size = record->user_size, .role = ROLE_USER, .connected = true};
    struct grounds grounds = plugin_grounds(p);
    struct typing_said said = {
        .room = &record->room, .user = user, .size = record->user_size, .on = record->on, .qos = 0};
    if (!access_topic(&who, ACCESS_WRITE, &topic, &grounds).allowed || too_large(p, &record->room))
        return;
    int qos = typing_note(p->typing, &said, p->config->limits, clock_mono_ns());
    if (qos >= 0)
        publish_typing(p, &record->room, user, record->on, qos);
}

static void end_typing(struct plugin *p)
{
    struct typing_end end;
    while (typing_expired(p->typing, p->now_ns, &end))
        publish_typing(p, &end.room, end.user, false, end.qos);
}

/* ---- Presence. ---- */

static struct wire_record presence_record(const char *user, bool online, int64_t since_ms)
{
    return (struct wire_record){
        .type = WIRE_PRESENCE, .user = user, .user_size = strlen(user), .on = online, .seq = since_ms};
}

/* The retained status, which costs the broker a kilobyte: of those alone whom anybody may see. */
static void publish_status(struct plugin *p, const char *user, bool online, int64_t since_ms)
{
    char topic[TOPIC_TEXT_MAX], when[CLOCK_TEXT_SIZE], json[USER_ID_MAX + 96];
    clock_format(since_ms, when);
    int size = snprintf(json, sizeof json, "{\"userId\":\"%s\",\"status\":\"%s\",\"lastSeenAt\":\"%s\"}",
                        user, online ? "online" : "offline", when);
    topic_format_user(topic, p->config->prefix, user, TOPIC_USER_PRESENCE, NULL);
    plugin_publish_retained(p, topic, json, (size_t)size);
}

static void forget_status(struct plugin *p, const char *user)
{
    char topic[TOPIC_TEXT_MAX];
    topic_format_user(topic, p->config->prefix, user, TOPIC_USER_PRESENCE, NULL);
    plugin_publish_retained(p, topic, "", 0);
}

static bool is_seen(const struct plugin *p, const char *user)
{
    return members_has_company(p->members, user, strlen(user), (size_t)p->config->presence_room_max);
}

/* Publishes the status of one who is online and was not shown, or went offline unseen; once. */
static void show(struct plugin *p, const char *user)
{
    int64_t since_ms;
    if (presence_take_unshown(p->presence, user, strlen(user), &since_ms))
        publish_status(p, user, true, since_ms);
    else if (presence_take_kept(p->presence, user, strlen(user), &since_ms))
        publish_status(p, user, false, since_ms);
}

static void leave_unseen(struct plugin *p, const char *user, int64_t since_ms)
{
    if (presence_is_shown(p->presence, user, strlen(user)))
        forget_status(p, user);
    presence_keep(p->presence, user, strlen(user), since_ms);
}

static void on_changed(void *context, const char *user, bool online, int64_t since_ms)
{
    struct plugin *p = context;
    struct wire_record record = presence_record(user, online, since_ms);
    if (is_seen(p, user) && online)
        show(p, user);
    else if (is_seen(p, user))
        publish_status(p, user, false, since_ms);
    else if (!online)
        leave_unseen(p, user, since_ms);
    for (struct node *node = p->nodes.list; node < p->nodes.list + NODES_MAX; node++)
        if (node->used && !node->greeted) /* one that said HELLO is told of all, in a moment */
            nodes_put(&p->nodes, node, &record);
    writer_note_presence(p->writer, user, online, since_ms);
}

/* Whoever comes to share a room is shown from then on. */

static void show_member(void *context, const char *user, enum member_role role)
{
    (void)role;
    show(context, user);
}

void live_member_changes(struct plugin *p, const struct uuid *room, const char *user, size_t user_size,
                         enum member_role role)
{
    size_t size = members_room_size(p->members, room), max = (size_t)p->config->presence_room_max;
    bool is_in = members_role(p->members, room, user, user_size, NULL) != MEMBER_NONE;
    char name[USER_ID_MAX + 1];
    if (role == MEMBER_NONE) /* told when the mirror has changed, so that the user itself hears nothing */
        typing_leave(p->typing, room, user, user_size);
    if (role == MEMBER_NONE && is_in && size == max + 1) { /* small enough from now on */
        members_each_user(p->members, room, show_member, p);
    } else if (role != MEMBER_NONE && !is_in && size >= 1 && size < max) {
        snprintf(name, sizeof name, "%.*s", (int)user_size, user);
        show(p, name);
        if (size == 1)
            members_each_user(p->members, room, show_member, p);
    }
}

static void show_if_seen(void *context, const char *user, bool online, int64_t since_ms)
{
    (void)online, (void)since_ms;
    if (is_seen(context, user))
        show(context, user);
}

void live_members_changed(struct plugin *p)
{
    end_typing(p);
}

void live_members_loaded(struct plugin *p)
{
    presence_each(p->presence, show_if_seen, p);
}

static unsigned source_of(const struct plugin *p, const struct node *node)
{
    return (unsigned)(node - p->nodes.list);
}

void live_node_online(struct plugin *p, const struct node *node, const struct wire_record *record)
{
    if (user_id_valid(record->user, record->user_size))
        presence_set(p->presence, record->user, record->user_size, source_of(p, node), record->on,
                     clock_mono_ns(), clock_wall_ms());
}

void live_node_gone(struct plugin *p, const struct node *node)
{
    presence_drop_source(p->presence, source_of(p, node), clock_mono_ns(), clock_wall_ms());
}

struct telling {
    struct plugin *p;
    struct node *node;
};

static void tell_one(void *context, const char *user, bool online, int64_t since_ms)
{
    struct telling *t = context;
    struct wire_record record = presence_record(user, online, since_ms);
    nodes_put(&t->p->nodes, t->node, &record);
}

void live_tell_node(struct plugin *p, struct node *node)
{
    presence_each(p->presence, tell_one, &(struct telling){p, node});
}

void live_user_changed(struct plugin *p, const char *user)
{
    if (strcmp(user, SERVICE_USER) != 0)
        presence_set(p->presence, user, strlen(user), PRESENCE_MQTT, clients_connected(p->clients, user) > 0,
                     clock_mono_ns(), clock_wall_ms());
}

/* ---- */

void live_create(struct plugin *p)
{
    _Static_assert(NODES_MAX <= PRESENCE_MQTT, "a source for each node");
    p->typing = typing_create();
    p->presence = presence_create(p->config->presence_grace_ms, on_changed, p);
}

void live_destroy(struct plugin *p)
{
    typing_destroy(&p->typing);
    presence_destroy(&p->presence);
}

void live_tick(struct plugin *p)
{
    end_typing(p);
    presence_due(p->presence, p->now_ns);
}
