/* Linked parlords: HELLO begins anew, rooms watched, packets packed and numbered. */
#include "plugin/nodes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct {
    unsigned packets, records;
    uint32_t number;
    int64_t first_seq, last_seq;
    char name[NODE_NAME_MAX + 1];
} sent;

static void on_send(void *context, const char *name, const char *packet, size_t size)
{
    struct wire_reader reader;
    struct wire_record record;
    assert_ptr_equal(context, &sent);
    assert_true(wire_open(&reader, packet, size));
    while (wire_next(&reader, &record) == 1) {
        sent.first_seq = sent.records++ == 0 ? record.seq : sent.first_seq;
        sent.last_seq = record.seq;
    }
    sent.packets++;
    sent.number = reader.number;
    snprintf(sent.name, sizeof sent.name, "%s", name);
}

static struct nodes nodes;
static int client_a, client_b;

static int set_up(void **state)
{
    (void)state;
    memset(&sent, 0, sizeof sent);
    nodes_init(&nodes, on_send, &sent);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nodes_finish(&nodes);
    return 0;
}

static void hello_begins_anew(void **state)
{
    (void)state;
    struct uuid room = {{1}};
    struct node *node = nodes_hello(&nodes, "one", 3, &client_a, 0, 0);
    uint32_t link = node->link;
    assert_int_not_equal(link, 0);
    assert_true(node_watch(node, &room));
    node = nodes_hello(&nodes, "one", 3, &client_b, 0, 0);
    assert_int_not_equal(node->link, link);
    assert_false(node_watches(node, &room));
    assert_null(nodes_by_link(&nodes, link));
    assert_ptr_equal(nodes_by_link(&nodes, node->link), node);
    nodes_gone(&nodes, &client_a); /* the older connection's end is none of the node's */
    assert_ptr_equal(nodes_find(&nodes, "one", 3), node);
    nodes_gone(&nodes, &client_b);
    assert_null(nodes_find(&nodes, "one", 3));
}

static void watches_rooms(void **state)
{
    (void)state;
    struct node *node = nodes_hello(&nodes, "one", 3, &client_a, 0, 0);
    for (uint8_t i = 0; i < 200; i++)
        assert_true(node_watch(node, &(struct uuid){{i}}));
    assert_true(node_watch(node, &(struct uuid){{7}}));
    node_unwatch(node, &(struct uuid){{7}});
    node_unwatch(node, &(struct uuid){{7}});
    assert_false(node_watches(node, &(struct uuid){{7}}));
    assert_true(node_watches(node, &(struct uuid){{8}}));
    assert_false(node_watches(node, &(struct uuid){{201}}));
}

static void packs_and_numbers(void **state)
{
    (void)state;
    struct node *node = nodes_hello(&nodes, "one", 3, &client_a, 0, 0);
    struct wire_record record = {.type = WIRE_STATE, .version = 5};
    nodes_put(&nodes, node, &record);
    nodes_put(&nodes, node, &record);
    assert_int_equal(sent.packets, 0);
    nodes_flush(&nodes);
    nodes_flush(&nodes);
    assert_int_equal(sent.packets, 1);
    assert_int_equal(sent.records, 2);
    assert_int_equal(sent.number, 1);
    assert_string_equal(sent.name, "one");
    nodes_put(&nodes, node, &record);
    nodes_flush(&nodes);
    assert_int_equal(sent.number, 2);
}

static void a_full_packet_goes_at_once(void **state)
{
    (void)state;
    static char text[WIRE_PACKET_MAX / 2 + 1];
    struct node *node = nodes_hello(&nodes, "one", 3, &client_a, 0, 0);
    memset(text, 'x', sizeof text);
    struct wire_record record = {
        .type = WIRE_MESSAGE, .seq = 1, .payload = text, .payload_size = sizeof text};
    nodes_put(&nodes, node, &record);
    assert_int_equal(sent.packets, 0);
    nodes_put(&nodes, node, &record);
    assert_int_equal(sent.packets, 1);
    nodes_put(&nodes, node, &record);
    nodes_flush(&nodes);
    assert_int_equal(sent.number, 2);
    assert_int_equal(sent.records, 3);
}

static struct wire_record event_of(int64_t number, const char *user)
{
    return (struct wire_record){.type = WIRE_EVENT,
                                .seq = number,
                                .room = {{1}},
                                .user = user,
                                .user_size = strlen(user),
                                .word = "events",
                                .word_size = 6,
                                .payload = "{}",
                                .payload_size = 2};
}

static void tell(int64_t number, const char *user, int64_t now_ns)
{
    struct wire_record event = event_of(number, user);
    nodes_tell(&nodes, &event, now_ns);
}

static void hello_asks(int64_t event)
{
    memset(&sent, 0, sizeof sent);
    nodes_hello(&nodes, "one", 3, &client_a, event, 0);
    nodes_flush(&nodes);
}

static void hello_is_told_what_it_missed(void **state)
{
    (void)state;
    assert_int_equal(nodes_told(&nodes), 0);
    for (int64_t number = 5; number <= 8; number++)
        tell(number, number == 7 ? "ann" : "", 0);
    assert_int_equal(nodes_told(&nodes), 8);
    hello_asks(6);
    assert_int_equal(sent.records, 3);
    assert_int_equal(sent.first_seq, 6);
    assert_int_equal(sent.last_seq, 8);
    hello_asks(9);
    assert_int_equal(sent.records, 0);
    hello_asks(0); /* one that has just begun */
    assert_int_equal(sent.records, 0);
    nodes_forget_told(&nodes);
    assert_int_equal(nodes_told(&nodes), 0);
    hello_asks(1);
    assert_int_equal(sent.records, 0);
    for (int64_t number = 1; number <= TOLD_MAX + 10; number++)
        tell(number, "", NODE_NEW_NS);
    hello_asks(1);
    assert_int_equal(sent.records, TOLD_MAX);
    assert_int_equal(sent.last_seq, TOLD_MAX + 10);
}

/* Between its HELLO and the names of its rooms it is told of all rooms. */
static void a_new_one_is_told_all(void **state)
{
    (void)state;
    struct node *node = nodes_hello(&nodes, "one", 3, &client_a, 0, 1000);
    tell(1, "", 1000 + NODE_NEW_NS - 1);
    tell(2, "", 1000 + NODE_NEW_NS);
    nodes_flush(&nodes);
    assert_int_equal(sent.last_seq, 1);
    tell(3, "ann", 1000 + NODE_NEW_NS);
    nodes_flush(&nodes);
    assert_int_equal(sent.last_seq, 3);
    assert_true(node_watch(node, &(struct uuid){{1}}));
    tell(4, "", 1000 + NODE_NEW_NS);
    nodes_flush(&nodes);
    assert_int_equal(sent.last_seq, 4);
}

static void there_is_an_end_to_them(void **state)
{
    (void)state;
    char name[NODE_NAME_MAX + 2];
    for (int i = 0; i < NODES_MAX; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_non_null(nodes_hello(&nodes, name, strlen(name), &client_a, 0, 0));
    }
    assert_null(nodes_hello(&nodes, "more", 4, &client_a, 0, 0));
    nodes_gone(&nodes, &client_a);
    memset(name, 'n', sizeof name);
    assert_null(nodes_hello(&nodes, name, sizeof name, &client_a, 0, 0));
    assert_non_null(nodes_hello(&nodes, "more", 4, &client_a, 0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hello_begins_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(watches_rooms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(packs_and_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_packet_goes_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hello_is_told_what_it_missed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_one_is_told_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(there_is_an_end_to_them, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
