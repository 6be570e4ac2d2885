/* Typing and presence between clients, nodes and topics: what is published, what nodes and the writer hear.
 */
#include "plugin/live.h"

#include "core/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct uuid room = {{1}};
static struct plugin p;
static struct config config;
static struct node *node;
static int client;
static char said[4096]; /* topics, records and rows, a line each */

static __attribute__((format(printf, 1, 2))) void note(const char *format, ...)
{
    size_t size = strlen(said);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(said + size, sizeof said - size, format, arguments);
    va_end(arguments);
}

/* ---- The rest of the plugin. ---- */

void plugin_publish(struct plugin *plugin, const char *topic, const void *payload, size_t size, int qos)
{
    assert_ptr_equal(plugin, &p);
    note("%s %.*s%s\n", strrchr(topic, '/') + 1, (int)size, (const char *)payload,
         qos == 0 ? "" : " at QoS 1");
}

/* Without the time. */
void plugin_publish_retained(struct plugin *plugin, const char *topic, const void *payload, size_t size)
{
    assert_ptr_equal(plugin, &p);
    assert_non_null(strstr(topic, "/presence"));
    const char *text = payload, *status = size == 0 ? "" : strstr(text, "\"status\":\"") + 10;
    note("retained %.*s\n", size == 0 ? 4 : (int)strcspn(status, "\""), size == 0 ? "none" : status);
}

struct grounds plugin_grounds(const struct plugin *plugin)
{
    return (struct grounds){.members = plugin->members,
                            .stale = plugin->stale,
                            .presence_room_max = (size_t)plugin->config->presence_room_max};
}

void writer_note_presence(struct writer *writer, const char *user, bool online, int64_t since_ms)
{
    assert_null(writer);
    assert_true(since_ms > 0);
    note("row %s %s\n", user, online ? "online" : "offline");
}

static void on_packet(void *context, const char *name, const char *packet, size_t size)
{
    struct wire_reader reader;
    struct wire_record r;
    (void)context, (void)name;
    assert_true(wire_open(&reader, packet, size));
    while (wire_next(&reader, &r) == 1)
        note("node %s %.*s %d\n", r.type == WIRE_TYPED ? "typed" : "presence", (int)r.user_size, r.user,
             r.on);
}

/* What was said since the last look. */
static void assert_said(const char *text)
{
    nodes_flush(&p.nodes);
    assert_string_equal(said, text);
    said[0] = '\0';
}

static void join(const struct uuid *id, const char *user)
{
    live_member_changes(&p, id, user, strlen(user), MEMBER_MEMBER);
    members_apply(p.members, id, ROOM_GROUP, user, strlen(user), MEMBER_MEMBER);
}

static void leave(const struct uuid *id, const char *user)
{
    live_member_changes(&p, id, user, strlen(user), MEMBER_NONE);
    nodes_flush(&p.nodes);
    note("%s leaves\n", user);
    members_apply(p.members, id, ROOM_GROUP, user, strlen(user), MEMBER_NONE);
    live_members_changed(&p);
}

static int set_up(void **state)
{
    (void)state;
    static char prefix[] = "chat/v1";
    config =
        (struct config){.prefix = prefix, .limits = true, .presence_room_max = 3, .presence_grace_ms = 1000};
    p = (struct plugin){.config = &config, .members = members_create(), .clients = clients_create(4)};
    said[0] = '\0';
    nodes_init(&p.nodes, on_packet, NULL);
    live_create(&p);
    join(&room, "ann");
    join(&room, "bob");
    node = nodes_hello(&p.nodes, "one", 3, &client, 0, 0);
    node->greeted = false;
    assert_true(node_watch(node, &room));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    live_destroy(&p);
    nodes_finish(&p.nodes);
    clients_destroy(&p.clients);
    members_destroy(&p.members);
    return 0;
}

/* ---- Typing. ---- */

static bool types_at(const char *user, const char *payload, int qos)
{
    struct topic topic = {
        .kind = TOPIC_ROOM_TYPING, .id = room, .speaker = {.text = user, .size = strlen(user)}};
    char name[64], text[64];
    snprintf(name, sizeof name, "chat/v1/rooms/x/typing/%s", user);
    snprintf(text, sizeof text, "%s", payload);
    struct mosquitto_evt_message event = {
        .topic = name, .payload = text, .payloadlen = (uint32_t)strlen(text), .qos = (uint8_t)qos};
    return live_typing(&p, &topic, &event);
}

static bool types(const char *user, const char *payload)
{
    return types_at(user, payload, 0);
}

static void socket_types(const char *user, bool on)
{
    struct wire_record record = {
        .type = WIRE_TYPING, .room = room, .user = user, .user_size = strlen(user), .on = on};
    live_node_typing(&p, &record);
}

static void typing_of_clients_passes_and_is_told(void **state)
{
    (void)state;
    assert_true(types("ann", "{\"isTyping\":true}"));
    assert_said("node typed ann 1\n");
    assert_false(types("ann", "{\"isTyping\":true}"));          /* once a second */
    assert_false(types("ann", "{\"isTyping\":false,\"x\":1}")); /* said in its place */
    assert_false(types("ann", "{\"isTyping\":false}"));
    assert_false(types("bob", "{\"isTyping\":1}"));
    assert_said("ann {\"isTyping\":false,\"x\":1}\nnode typed ann 0\n");
    node_unwatch(node, &room);
    assert_true(types("bob", "{\"isTyping\":true}"));
    assert_said("");
}

static void typing_of_sockets_is_published(void **state)
{
    (void)state;
    socket_types("ann", true);
    assert_said("ann {\"isTyping\":true}\nnode typed ann 1\n");
    socket_types("ann", true);
    socket_types("eve", true); /* a stranger */
    socket_types("a/b", true);
    socket_types("", true);
    assert_said("");
    socket_types("ann", false);
    assert_said("ann {\"isTyping\":false}\nnode typed ann 0\n");
}

static void typing_ends_by_itself(void **state)
{
    (void)state;
    assert_true(types("ann", "{\"isTyping\":true}"));
    assert_said("node typed ann 1\n");
    p.now_ns = INT64_MAX / 2;
    live_tick(&p);
    assert_said("ann {\"isTyping\":false}\nnode typed ann 0\n");
    live_tick(&p);
    assert_said("");
}

static void typing_ends_when_the_typist_has_left(void **state)
{
    (void)state;
    assert_true(types("ann", "{\"isTyping\":true}"));
    socket_types("bob", true);
    leave(&room, "bob"); /* who is no longer a member when it is told */
    assert_said("bob {\"isTyping\":true}\nnode typed ann 1\nnode typed bob 1\n"
                "bob leaves\nbob {\"isTyping\":false}\nnode typed bob 0\n");
    socket_types("bob", false);
    assert_said("");
    p.now_ns = INT64_MAX / 2;
    live_tick(&p);
    assert_said("ann {\"isTyping\":false}\nnode typed ann 0\n");
    leave(&room, "ann");
    assert_said("ann leaves\n");
}

/* The members were loaded anew: nobody said who has gone. */
static void typing_ends_also_of_one_who_is_gone_unsaid(void **state)
{
    (void)state;
    assert_true(types("bob", "{\"isTyping\":true}"));
    members_apply(p.members, &room, ROOM_GROUP, "bob", 3, MEMBER_NONE);
    assert_said("node typed bob 1\n");
    p.now_ns = INT64_MAX / 2;
    live_tick(&p);
    assert_said("bob {\"isTyping\":false}\nnode typed bob 0\n");
}

static void typing_ends_at_the_qos_of_its_beginning(void **state)
{
    (void)state;
    assert_true(types_at("ann", "{\"isTyping\":true}", 1));
    socket_types("ann", false);
    assert_said("ann {\"isTyping\":false} at QoS 1\nnode typed ann 1\nnode typed ann 0\n");
    assert_true(types_at("bob", "{\"isTyping\":true}", 1));
    leave(&room, "bob");
    assert_said("node typed bob 1\nbob leaves\nbob {\"isTyping\":false} at QoS 1\nnode typed bob 0\n");
}

static void typing_of_clients_ends_at_the_qos_of_its_beginning(void **state)
{
    (void)state;
    assert_true(types_at("ann", "{\"isTyping\":true}", 1));
    assert_false(types("ann", "{\"isTyping\":false}"));
    assert_said("ann {\"isTyping\":false} at QoS 1\nnode typed ann 1\nnode typed ann 0\n");
    assert_false(types_at("bob", "{\"isTyping\":true}", 2));
    assert_said("bob {\"isTyping\":true} at QoS 1\nnode typed bob 1\n");
}

static void large_rooms_have_no_typing(void **state)
{
    (void)state;
    join(&room, "cid");
    join(&room, "dan");
    assert_false(types("ann", "{\"isTyping\":true}"));
    socket_types("ann", true);
    assert_said("");
}

/* ---- Presence. ---- */

static void is_at_node(const char *user, bool on)
{
    struct wire_record record = {.type = WIRE_ONLINE, .user = user, .user_size = strlen(user), .on = on};
    live_node_online(&p, node, &record);
}

static void online_and_offline_are_told_once(void **state)
{
    (void)state;
    is_at_node("ann", true);
    assert_said("retained online\nrow ann online\nnode presence ann 1\n");
    is_at_node("ann", true);
    is_at_node("a/b", true);
    assert_said("");
    is_at_node("ann", false);
    live_tick(&p);
    assert_said(""); /* the grace */
    p.now_ns = INT64_MAX / 2;
    live_tick(&p);
    assert_said("retained offline\nrow ann offline\nnode presence ann 0\n");
}

static void a_node_that_goes_takes_its_users_along(void **state)
{
    (void)state;
    is_at_node("ann", true);
    said[0] = '\0';
    nodes_flush(&p.nodes);
    said[0] = '\0';
    live_node_gone(&p, node);
    p.now_ns = INT64_MAX / 2;
    live_tick(&p);
    assert_said("retained offline\nrow ann offline\nnode presence ann 0\n");
}

static void a_node_that_says_hello_is_told_of_all_once(void **state)
{
    (void)state;
    node->greeted = true;
    is_at_node("ann", true);
    assert_said("retained online\nrow ann online\n");
    live_tell_node(&p, node);
    assert_said("node presence ann 1\n");
}

static void only_company_sees_a_status(void **state)
{
    (void)state;
    struct uuid lonely = {{2}};
    join(&lonely, "eve");
    is_at_node("eve", true);
    assert_said("row eve online\nnode presence eve 1\n");
    join(&lonely, "ann"); /* who is offline */
    assert_said("retained online\n");
    leave(&lonely, "ann");
    is_at_node("eve", false);
    p.now_ns = INT64_MAX / 2;
    live_tick(&p);
    assert_said("ann leaves\nretained none\nrow eve offline\nnode presence eve 0\n");
}

static void connections_by_mqtt_count_but_the_services(void **state)
{
    (void)state;
    int handle = 0;
    struct token ann = {.user = "ann", .role = ROLE_USER, .expires_at_s = INT64_MAX};
    clients_add(p.clients, &handle, "c1", &ann, false);
    live_user_changed(&p, "ann");
    assert_said("retained online\nrow ann online\nnode presence ann 1\n");
    is_at_node("ann", true);
    clients_disconnected(p.clients, &handle);
    live_user_changed(&p, "ann");
    p.now_ns = INT64_MAX / 2;
    live_tick(&p);
    assert_said(""); /* the socket is still there */
    live_user_changed(&p, SERVICE_USER);
    assert_said("");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(typing_of_clients_passes_and_is_told),
                                       TEST(typing_of_sockets_is_published),
                                       TEST(typing_ends_by_itself),
                                       TEST(typing_ends_when_the_typist_has_left),
                                       TEST(typing_ends_also_of_one_who_is_gone_unsaid),
                                       TEST(typing_ends_at_the_qos_of_its_beginning),
                                       TEST(typing_of_clients_ends_at_the_qos_of_its_beginning),
                                       TEST(large_rooms_have_no_typing),
                                       TEST(online_and_offline_are_told_once),
                                       TEST(a_node_that_goes_takes_its_users_along),
                                       TEST(a_node_that_says_hello_is_told_of_all_once),
                                       TEST(only_company_sees_a_status),
                                       TEST(connections_by_mqtt_count_but_the_services)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
