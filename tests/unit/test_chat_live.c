/* What reaches sockets beside new messages: receipts, changes, typing and presence; and what they say of it.
 */
#include "tests/unit/bridge_world.h"

#define ID(n) "0193587b-1c00-7000-8000-00000000000" #n

static struct fake_stream *alice, *bob;

/* alice and bob in room 1, whose newest message has the number 4. */
static int set_up(void **state)
{
    setup(state);
    struct world *w = *state;
    member(w, 1, "alice", MEMBER_OWNER);
    member(w, 1, "bob", MEMBER_MEMBER);
    alice = join_user(w, "alice", "4");
    bob = join_user(w, "bob", "4");
    said(w);
    return 0;
}

static void pass(struct world *w, int seq, const char *id)
{
    struct uuid room = room_of(1);
    char json[128];

    snprintf(json, sizeof json, "{\"id\":\"%s\",\"chatRoomId\":\"%s\",\"seq\":%d}", id, ROOM_TEXT(1), seq);
    w->events->on_message(w->events->self, &room, seq, json, strlen(json));
    fake_heard(alice);
    fake_heard(bob);
}

static void receipt(struct world *w, const char *user, int seq)
{
    struct uuid room = room_of(1);
    static const char json[] = "{\"at\":\"2026-01-31T09:06:00.456Z\"}";

    w->events->on_receipt(w->events->self, &room, user, seq, json, strlen(json));
}

#define READ(user, id, seq)                                                                                  \
    "42/chat,[\"message_read\",{\"chatRoomId\":\"" ROOM_TEXT(                                                \
        1) "\",\"userId\":\"" user "\",\"messageId\":\"" id "\",\"seq\":" #seq                               \
           ",\"readAt\":\"2026-01-31T09:06:00.456Z\"}]\n"

static void a_receipt_names_the_message(void **state)
{
    struct world *w = *state;

    pass(w, 5, ID(5));
    receipt(w, "bob", 5);
    assert_string_equal(fake_heard(alice), READ("bob", ID(5), 5));
    assert_string_equal(fake_heard(bob), READ("bob", ID(5), 5));
    receipt(w, "bob", 5); /* of a delivery, or nothing moved */
    receipt(w, "alice", 0);
    assert_string_equal(fake_heard(alice), "");
    assert_int_equal(w->query_count, 0);
}

static void an_old_message_is_looked_up(void **state)
{
    struct world *w = *state;

    receipt(w, "bob", 2);
    assert_string_equal(fake_heard(alice), "");
    assert_string_equal(w->queries[0].values[1], "2");
    answer(w, QUERY_MESSAGE_ID, 1, 1, (const char *const[]){ID(2)});
    assert_string_equal(fake_heard(alice), READ("bob", ID(2), 2));
    /* One who has read on meanwhile is not set back. */
    receipt(w, "bob", 3);
    pass(w, 5, ID(5));
    receipt(w, "bob", 5);
    assert_string_equal(fake_heard(alice), READ("bob", ID(5), 5));
    answer(w, QUERY_MESSAGE_ID, 1, 1, (const char *const[]){ID(3)});
    assert_string_equal(fake_heard(alice), "");
    receipt(w, "alice", 1); /* answered when the bridge is gone */
}

static void marks_are_answered(void **state)
{
    struct world *w = *state;

    fake_say_text(alice, "42/chat,1[\"mark_as_read\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\",\"seq\":4}]");
    assert_string_equal(w->sends[0].user, "alice");
    assert_string_equal(w->sends[0].payload, "{\"seq\":4}");
    answer_send(w, &(struct broker_answer){.stored = true, .seq = 4});
    assert_string_equal(fake_heard(alice), "43/chat,1[{\"status\":\"ok\",\"readSeq\":4}]\n");
    fake_say_text(alice, "42/chat,2[\"mark_as_read\",{\"chatRoomId\":\"" ROOM_TEXT(
                             1) "\",\"messageId\":\"" ID(4) "\"}]");
    assert_string_equal(w->sends[0].payload, "{\"messageId\":\"" ID(4) "\"}");
    struct broker_answer refused = {0};
    error_set(&refused.error, ERROR_NOT_FOUND, "message_not_found", "There is no such message.");
    answer_send(w, &refused);
    assert_string_equal(fake_heard(alice), "43/chat,2[{\"status\":\"error\",\"code\":\"message_not_found\","
                                           "\"message\":\"There is no such message.\"}]\n");
    static const char *const wrong[] = {"", ",\"seq\":-1", ",\"seq\":1.5", ",\"messageId\":\"x\"",
                                        ",\"seq\":1,\"messageId\":\"" ID(1) "\""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[256];
        snprintf(text, sizeof text, "42/chat,3[\"mark_as_read\",{\"chatRoomId\":\"%s\"%s}]", ROOM_TEXT(1),
                 wrong[i]);
        fake_say_text(alice, text);
        assert_non_null(strstr(fake_heard(alice), "\"code\":\"invalid_message\""));
    }
    fake_say_text(alice, "42/chat,4[\"mark_as_read\",{\"chatRoomId\":\"" ROOM_TEXT(2) "\",\"seq\":4}]");
    assert_non_null(strstr(fake_heard(alice), "room_not_found"));
    assert_int_equal(w->send_count, 0);
}

static void event(struct world *w, int room, const char *user, const char *topic, const char *json)
{
    struct uuid id = room_of(room);

    w->events->on_event(w->events->self, &id, user, topic, json, strlen(json));
}

static void changes_of_messages(void **state)
{
    struct world *w = *state;

    event(w, 1, "", "messages", "{\"id\":\"x\",\"seq\":3,\"rev\":7,\"deletedAt\":null}");
    assert_string_equal(fake_heard(bob), "42/chat,[\"message_updated\",{\"chatRoomId\":\"" ROOM_TEXT(
                                             1) "\",\"message\":{\"id\":\"x\",\"seq\":3,\"rev\":7,"
                                                "\"deletedAt\":null}}]\n");
    event(w, 1, "", "messages", "{\"id\":\"x\",\"seq\":3,\"deletedAt\":\"now\"}");
    assert_string_equal(fake_heard(bob),
                        "42/chat,[\"message_deleted\",{\"chatRoomId\":\"" ROOM_TEXT(
                            1) "\",\"messageId\":\"x\",\"seq\":3,\"message\":{\"id\":\"x\",\"seq\":3,"
                               "\"deletedAt\":\"now\"}}]\n");
    event(w, 2, "", "messages", "{\"id\":\"x\",\"seq\":3}");
    event(w, 1, "", "messages", "no JSON");
    assert_string_equal(fake_heard(bob), "");
}

static void changes_of_older_messages(void **state)
{
    struct world *w = *state;
    struct uuid id = room_of(1);

    members_set_history(w->members, &id, "bob", 3, 3);
    event(w, 1, "", "messages", "{\"id\":\"x\",\"seq\":3,\"deletedAt\":null}");
    event(w, 1, "", "messages", "{\"id\":\"x\",\"seq\":3,\"deletedAt\":\"now\"}");
    assert_string_equal(fake_heard(bob), "");
    assert_string_not_equal(fake_heard(alice), "");
    event(w, 1, "", "messages", "{\"id\":\"y\",\"seq\":4,\"deletedAt\":null}");
    assert_string_not_equal(fake_heard(bob), "");
}

/* One who catches up gets the change behind the answer, which may be older. */
static void a_change_waits_for_the_catching_up(void **state)
{
    struct world *w = *state;

    fake_say_text(bob, "42/chat,1[\"join_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\",\"afterSeq\":2}]");
    event(w, 1, "", "messages", "{\"id\":\"x\",\"seq\":3,\"deletedAt\":null}");
    assert_string_equal(fake_heard(bob), "");
    answer_room(w, "0");
    answer_messages(w, 3, 4);
    const char *heard = fake_heard(bob);
    assert_memory_equal(heard, "43/chat,1[", 10);
    assert_non_null(strstr(heard, "message_updated"));
}

static void bob_joins(const char *start)
{
    char text[128];

    snprintf(text, sizeof text, "%s[\"join_chat\",{\"chatRoomId\":\"%s\",\"afterSeq\":2}]", start,
             ROOM_TEXT(1));
    fake_say_text(bob, text);
}

/* The second question overtakes the first: what is new behind its answer is not kept for the first one's. */
static void the_newest_of_two_joins_keeps(void **state)
{
    struct world *w = *state;

    bob_joins("42/chat,1");
    answer_room(w, "0");
    message(w, 1, 5);
    bob_joins("42/chat,2");
    message(w, 1, 6);
    struct query first = w->queries[0];
    w->queries[0] = w->queries[1];
    w->queries[1] = first;
    answer_room(w, "0");
    w->queries[0] = w->queries[1];
    w->queries[1] = first;
    assert_string_equal(fake_heard(bob), "");
    answer_messages(w, 3, 5);
    const char *heard = fake_heard(bob);
    assert_memory_equal(heard, "43/chat,2[", 10);
    assert_string_equal(strchr(heard, '\n') + 1, NEW_MESSAGE(6));
    message(w, 1, 7);
    assert_string_equal(fake_heard(bob), NEW_MESSAGE(7));
    answer_messages(w, 3, 5);
    heard = fake_heard(bob);
    assert_memory_equal(heard, "43/chat,1[", 10);
    assert_string_equal(strchr(heard, '\n') + 1, "");
}

static void a_join_that_fails_leaves_what_it_kept_to_the_other(void **state)
{
    struct world *w = *state;

    bob_joins("42/chat,1");
    message(w, 1, 5);
    bob_joins("42/chat,2");
    message(w, 1, 6);
    answer_room(w, "0");
    struct query first = w->queries[1];
    answer_failure(w);
    assert_memory_equal(fake_heard(bob), "43/chat,2[", 10);
    assert_ptr_equal(w->queries[0].context, first.context);
    message(w, 1, 7);
    assert_string_equal(fake_heard(bob), "");
    answer_messages(w, 3, 4);
    const char *heard = fake_heard(bob);
    assert_memory_equal(heard, "43/chat,1[", 10);
    assert_string_equal(strchr(heard, '\n') + 1, NEW_MESSAGE(5) NEW_MESSAGE(6) NEW_MESSAGE(7));
}

static void participants_come_and_go(void **state)
{
    struct world *w = *state;

    event(w, 1, "", "events",
          "{\"event\":\"participant_added\",\"chatRoomId\":\"r\",\"rev\":2,"
          "\"participant\":{\"userId\":\"carol\"}}");
    assert_string_equal(fake_heard(alice), "42/chat,[\"participant_added\",{\"chatRoomId\":\"r\",\"rev\":2,"
                                           "\"participant\":{\"userId\":\"carol\"}}]\n");
    fake_heard(bob);
    /* The removed one hears it by the event of its own, whether the mirror has it in the room or not. */
    event(w, 1, "", "events", "{\"event\":\"participant_removed\",\"chatRoomId\":\"r\",\"userId\":\"bob\"}");
    assert_string_equal(fake_heard(alice),
                        "42/chat,[\"participant_removed\",{\"chatRoomId\":\"r\",\"userId\":\"bob\"}]\n");
    assert_string_equal(fake_heard(bob), "");
    change(w, 1, "bob", MEMBER_NONE);
    event(w, 0, "bob", "events", "{\"event\":\"room_removed\",\"chatRoomId\":\"r\"}");
    assert_string_equal(fake_heard(bob),
                        "42/chat,[\"room_removed\",{\"chatRoomId\":\"r\"}]\n"
                        "42/chat,[\"participant_removed\",{\"chatRoomId\":\"r\",\"userId\":\"bob\"}]\n");
    assert_string_equal(fake_heard(alice), "");
}

static void typing(struct world *w, const char *user, bool on)
{
    struct uuid room = room_of(1);

    w->events->on_typing(w->events->self, &room, user, on);
}

static void typing_is_for_open_rooms(void **state)
{
    struct world *w = *state;

    typing(w, "alice", true);
    assert_string_equal(fake_heard(bob), ""); /* it has not joined */
    fake_say_text(bob, "42/chat,1[\"join_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    answer_room(w, "0");
    fake_say_text(alice, "42/chat,1[\"join_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    answer_room(w, "0");
    fake_heard(alice), fake_heard(bob);
    typing(w, "alice", true);
    assert_string_equal(fake_heard(bob), "42/chat,[\"user_typing\",{\"chatRoomId\":\"" ROOM_TEXT(
                                             1) "\",\"userId\":\"alice\",\"isTyping\":true}]\n");
    assert_string_equal(fake_heard(alice), "");
    fake_say_text(bob, "42/chat,2[\"leave_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    fake_heard(bob);
    typing(w, "alice", false);
    assert_string_equal(fake_heard(bob), "");
}

static void sockets_type(void **state)
{
    struct world *w = *state;

    fake_say_text(alice, "42/chat,1[\"typing_start\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    assert_string_equal(fake_heard(alice), "43/chat,1[{\"status\":\"ok\"}]\n");
    fake_say_text(alice, "42/chat,[\"typing_stop\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    assert_string_equal(said(w), "alice types in 1\nalice stops in 1\n");
    fake_say_text(alice, "42/chat,2[\"typing_start\",{\"chatRoomId\":\"" ROOM_TEXT(2) "\"}]");
    assert_non_null(strstr(fake_heard(alice), "room_not_found"));
    assert_string_equal(said(w), "");
}

static void presence_is_for_those_who_share_a_room(void **state)
{
    struct world *w = *state;

    member(w, 1, "carol", MEMBER_MEMBER);
    change(w, 2, "carol", MEMBER_MEMBER);
    change(w, 2, "alice", MEMBER_MEMBER);
    w->events->on_presence(w->events->self, "carol", true, 1700000000000);
    assert_string_equal(fake_heard(alice), "42/chat,[\"user_online\",{\"userId\":\"carol\",\"lastSeenAt\":"
                                           "\"2023-11-14T22:13:20.000Z\"}]\n");
    assert_non_null(strstr(fake_heard(bob), "user_online"));
    w->config->presence_room_max = 2; /* room 1 is too large now */
    w->events->on_presence(w->events->self, "carol", false, 1700000000000);
    assert_non_null(strstr(fake_heard(alice), "user_offline"));
    assert_string_equal(fake_heard(bob), "");
    w->events->on_presence(w->events->self, "nobody", true, 1700000000000);
    assert_string_equal(fake_heard(alice), "");
}

static void the_plugin_is_told_who_is_here(void **state)
{
    struct world *w = *state;
    struct fake_stream *second = join_user(w, "alice", "4");

    assert_string_equal(said(w), "");
    second->stream.on_closed(&second->stream);
    assert_string_equal(said(w), "");
    alice->stream.on_closed(&alice->stream);
    assert_string_equal(said(w), "alice is gone\n");
    join_user(w, "alice", "4");
    assert_string_equal(said(w), "alice is here\n");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_receipt_names_the_message),
        CASE(an_old_message_is_looked_up),
        CASE(marks_are_answered),
        CASE(changes_of_messages),
        CASE(changes_of_older_messages),
        CASE(a_change_waits_for_the_catching_up),
        CASE(the_newest_of_two_joins_keeps),
        CASE(a_join_that_fails_leaves_what_it_kept_to_the_other),
        CASE(participants_come_and_go),
        CASE(typing_is_for_open_rooms),
        CASE(sockets_type),
        CASE(presence_is_for_those_who_share_a_room),
        CASE(the_plugin_is_told_who_is_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
