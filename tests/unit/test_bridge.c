/* The bridge: who may connect, for how long, to which rooms, and what its events are answered. */
#include "tests/unit/bridge_world.h"

/* ---- Connecting. ---- */

static void test_refused(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_session(w);
    static const char refusal[] =
        "44/chat,{\"message\":\"Unauthorized\",\"data\":{\"code\":\"invalid_token\"}}\n";

    fake_say_text(s, "40/chat,");
    assert_string_equal(fake_heard(s), refusal);
    fake_say_text(s, "40/chat,{\"token\":\"x.y.z\"}");
    assert_string_equal(fake_heard(s), refusal);
    fake_say_text(s, "40/chat,{\"token\":7}");
    assert_string_equal(fake_heard(s), refusal);
    fake_say_text(s, "40/none,");
    assert_string_equal(fake_heard(s), "44/none,{\"message\":\"Invalid namespace\"}\n");
    assert_false(s->closed);
    fake_advance(&w->clock, 45000);
    assert_true(s->closed); /* it never came into a namespace */
}

static void test_waits_for_rooms(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_session(w);

    member(w, 1, "alice", MEMBER_OWNER);
    member(w, 2, "alice", MEMBER_OWNER);
    connect_to(w, s, "/chat", "alice", 3600);
    assert_int_equal(strlen(watches(w)), 4); /* +1 and +2 */
    watched(w, 1);
    watched(w, 2);
    assert_int_equal(w->query_count, 0);
    fake_advance(&w->clock, 0);
    assert_int_equal(w->query_count, 1); /* one question for both */
    assert_string_equal(fake_heard(s), "");
    answer(w, QUERY_ROOM_HEADS, 2, 2, (const char *const[]){ROOM_TEXT(1), "5", ROOM_TEXT(2), "0"});
    expect_connected(s, "/chat");
    message(w, 1, 6);
    assert_string_equal(fake_heard(s), NEW_MESSAGE(6));
    s->stream.on_closed(&s->stream);
    assert_int_equal(strlen(watches(w)), 4); /* both unwatched */
}

static void test_waits_a_second(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_session(w);

    member(w, 1, "alice", MEMBER_OWNER);
    connect_to(w, s, "/chat", "alice", 3600);
    fake_advance(&w->clock, 999);
    assert_string_equal(fake_heard(s), "");
    fake_advance(&w->clock, 1);
    expect_connected(s, "/chat");
    watched(w, 1);
    fake_advance(&w->clock, 0);
    answer_failure(w);
    fake_advance(&w->clock, 250);
    answer(w, QUERY_ROOM_HEADS, 0, 2, NULL);
    message(w, 1, 1);
    assert_string_equal(fake_heard(s), NEW_MESSAGE(1));
}

static void test_token_ends(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_session(w);

    connect_to(w, s, "/chat", "alice", 20);
    expect_connected(s, "/chat");
    connect_to(w, s, "/calls", "alice", 15);
    expect_connected(s, "/calls");
    fake_advance(&w->clock, 14000);
    assert_string_equal(fake_heard(s), "");
    fake_advance(&w->clock, 1000);
    assert_string_equal(fake_heard(s), "41/calls,\n");
    fake_advance(&w->clock, 5000);
    assert_string_equal(fake_heard(s), "41/chat,\n");
}

static void test_connections_max(void **state)
{
    struct world *w = *state;
    struct fake_stream *s;

    for (int i = 0; i < 3; i++)
        join_user(w, "alice", "0");
    s = open_session(w);
    connect_to(w, s, "/chat", "alice", 60);
    assert_string_equal(
        fake_heard(s),
        "44/chat,{\"message\":\"Too many connections\",\"data\":{\"code\":\"too_many_connections\"}}\n");
    join_user(w, "bob", "0");
}

static void test_session_rules(void **state)
{
    static const char *const wrong[] = {"42/calls,[\"x\"]", "40/chat,", "4abc", "42/chat,{}",
                                        "451-/chat,[\"x\"]"};
    struct world *w = *state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct fake_stream *s = join_user(w, "alice", "0");

        fake_say_text(s, wrong[i]);
        if (i == 4) { /* an attachment is due, not text */
            assert_false(s->closed);
            fake_say_text(s, "42/chat,[\"x\"]");
        }
        assert_true(s->closed);
    }
    /* A reserved name is passed over, and leaving a namespace leaves the session. */
    struct fake_stream *s = join_user(w, "alice", "0");
    fake_say_text(s, "42/chat,[\"disconnecting\"]");
    fake_say_text(s, "41/chat,");
    assert_string_equal(fake_heard(s), "");
    assert_false(s->closed);
    connect_to(w, s, "/chat", "alice", 60);
    expect_connected(s, "/chat");
}

static void test_members_change(void **state)
{
    struct world *w = *state;
    struct fake_stream *a, *b;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    b = join_user(w, "bob", "");
    message(w, 1, 1);
    assert_string_equal(fake_heard(b), "");
    change(w, 1, "bob", MEMBER_MEMBER);
    change(w, 1, "bob", MEMBER_ADMIN);
    message(w, 1, 2);
    assert_string_equal(fake_heard(b), NEW_MESSAGE(2));
    change(w, 1, "bob", MEMBER_NONE);
    message(w, 1, 3);
    assert_string_equal(fake_heard(b), "");
    assert_string_equal(fake_heard(a), NEW_MESSAGE(1) NEW_MESSAGE(2) NEW_MESSAGE(3));
    change(w, 1, "alice", MEMBER_NONE);
    assert_string_equal(watches(w), "-1");
}

static void test_members_reset(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    members_clear(w->members);
    member(w, 2, "alice", MEMBER_OWNER);
    bridge_members_reset(w->bridge);
    assert_string_equal(watches(w), "-1+2");
    message(w, 1, 1);
    assert_string_equal(fake_heard(a), "");
}

/* ---- Events. ---- */

static void test_send(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    fake_say_text(a, "42/chat,7[\"send_message\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\",\"content\":\"hi\"}]");
    assert_int_equal(w->send_count, 1);
    assert_string_equal(w->sends[0].user, "alice");
    assert_string_equal(w->sends[0].payload, "{\"chatRoomId\":\"" ROOM_TEXT(1) "\",\"content\":\"hi\"}");
    assert_string_equal(fake_heard(a), "");
    answer_send(
        w, &(struct broker_answer){.stored = true, .seq = 1, .message = "{\"seq\":1}", .message_size = 9});
    assert_string_equal(fake_heard(a), "43/chat,7[{\"status\":\"ok\",\"message\":{\"seq\":1}}]\n");
}

static void test_send_refused(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;
    struct broker_answer no = {.stored = false};

    error_set(&no.error, ERROR_CONFLICT, "conflict", "Another body.");
    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    fake_say_text(a, "42/chat,8[\"send_message\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    answer_send(w, &no);
    assert_string_equal(
        fake_heard(a),
        "43/chat,8[{\"status\":\"error\",\"code\":\"conflict\",\"message\":\"Another body.\"}]\n");
    fake_say_text(a, "42/chat,[\"send_message\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    answer_send(w, &no);
    assert_string_equal(
        fake_heard(a),
        "42/chat,[\"exception\",{\"status\":\"error\",\"message\":\"Another body.\",\"code\":\"conflict\","
        "\"cause\":{\"pattern\":\"send_message\",\"data\":{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}}}]\n");
    fake_say_text(a, "42/chat,9[\"send_message\",{\"chatRoomId\":\"" ROOM_TEXT(2) "\"}]");
    assert_string_equal(fake_heard(a),
                        "43/chat,9[{\"status\":\"error\",\"code\":\"room_not_found\",\"message\":\"There is "
                        "no such room.\"}]\n");
    assert_int_equal(w->send_count, 0);
}

/* A bad event costs only itself. */
static void test_bad_events(void **state)
{
    static const struct {
        const char *event, *code;
    } cases[] = {{"[\"send_message\"]", "invalid_message"},
                 {"[\"send_message\",7]", "invalid_message"},
                 {"[\"send_message\",{}]", "invalid_message"},
                 {"[\"send_message\",{\"chatRoomId\":\"x\"}]", "invalid_message"},
                 {"[\"send_message\",{bad}]", "invalid_json"},
                 {"[\"send_message\",{\"a\":\"\\u0000\"}]", "invalid_json"},
                 {"[\"send_message\",{\"a\":1,\"a\":2}]", "invalid_json"},
                 {"[\"nothing\",{}]", "unknown_event"},
                 {"[\"join_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\",\"afterSeq\":-1}]", "invalid_message"},
                 {"[\"join_chat\",{\"chatRoomId\":\"" ROOM_TEXT(2) "\"}]", "room_not_found"}};
    struct world *w = *state;
    struct fake_stream *a;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256], expected[128];

        snprintf(text, sizeof text, "42/chat,5%s", cases[i].event);
        fake_say_text(a, text);
        snprintf(expected, sizeof expected, "43/chat,5[{\"status\":\"error\",\"code\":\"%s\",",
                 cases[i].code);
        assert_memory_equal(fake_heard(a), expected, strlen(expected));
    }
    fake_say_text(a, "42/chat,[\"no\\\"thing\",1,2]");
    assert_non_null(strstr(
        fake_heard(a), "\"code\":\"unknown_event\",\"cause\":{\"pattern\":\"no\\\"thing\",\"data\":1}}]"));
    assert_false(a->closed);
}

static void test_rate(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;

    w->config->sends_per_s = 10;
    w->config->sends_burst = 5;
    a = join_user(w, "alice", "0");
    for (int i = 0; i < 7; i++) {
        fake_say_text(a, "42/chat,1[\"nothing\"]");
        assert_non_null(strstr(fake_heard(a), i < 5 ? "unknown_event" : "rate_limited"));
    }
    fake_advance(&w->clock, 100);
    fake_say_text(a, "42/chat,1[\"nothing\"]");
    assert_non_null(strstr(fake_heard(a), "unknown_event"));
}

/* However many rooms a client joins at once, each has its answer; the database is asked for a few at a time.
 */
static void test_many_joins(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;
    char text[160], ack[32];

    w->config->limits = false;
    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    for (int i = 0; i < 1001; i++) {
        snprintf(text, sizeof text, "42/chat,%d[\"join_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]", i);
        fake_say_text(a, text);
    }
    assert_non_null(strstr(fake_heard(a), "43/chat,1000[{\"status\":\"error\",\"code\":\"rate_limited\""));
    assert_int_equal(w->query_count, 16);
    for (int i = 0; i < 1000; i++) {
        answer_room(w, "0");
        snprintf(ack, sizeof ack, "43/chat,%d[{\"status\":\"ok\"", i);
        assert_memory_equal(fake_heard(a), ack, strlen(ack));
    }
    assert_int_equal(w->query_count, 0);
}

static void test_gone_before_answer(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    fake_say_text(a, "42/chat,7[\"send_message\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    fake_say_text(a, "42/chat,8[\"send_message\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    fake_say_text(a, "42/chat,9[\"join_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\",\"afterSeq\":0}]");
    a->stream.on_closed(&a->stream);
    answer_send(w, &(struct broker_answer){.stored = true, .message = "{}", .message_size = 2});
    answer_room(w, "0");
    assert_int_equal(w->query_count, 0);
}

/* ---- The log. ---- */

static char line[LOG_LINE_MAX + 1];
static int lines;

static void on_line(enum log_level level, const char *text)
{
    (void)level;
    memcpy(line, text, strlen(text) + 1);
    lines++;
}

static void assert_line(int count, const char *start, const char *request_id)
{
    assert_int_equal(lines, count);
    assert_memory_equal(line, start, strlen(start));
    if (request_id != NULL)
        assert_string_equal(line + strlen(start), request_id);
}

/* Each event has an id of its own; it goes with what is sent, and stands in the one line of its answer. */
static void test_answers_are_logged(void **state)
{
    struct world *w = *state;
    struct broker_answer ok = {.stored = true, .seq = 1, .message = "{}", .message_size = 2};
    struct broker_answer no = {.stored = false};
    struct fake_stream *a;
    char *ids[2];

    error_set(&no.error, ERROR_CONFLICT, "conflict", "Another body.");
    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    log_init(on_line, LOG_LEVEL_DEBUG);
    lines = 0;
    fake_say_text(a, "42/chat,7[\"send_message\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    fake_say_text(a, "42/chat,[\"mark_as_read\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\",\"seq\":1}]");
    assert_int_equal(lines, 0);
    for (int i = 0; i < 2; i++)
        ids[i] = mem_strdup(w->sends[i].request_id);
    assert_string_not_equal(ids[0], ids[1]);
    answer_send(w, &ok);
    assert_line(
        1,
        "level=debug room=bridge msg=\"answered\" event=send_message user=alice outcome=ok request=", ids[0]);
    answer_send(w, &no);
    assert_line(2,
                "level=debug room=bridge msg=\"answered\" event=mark_as_read user=alice outcome=conflict "
                "request=",
                ids[1]);
    fake_say_text(a, "42/chat,[\"no thing\",{}]");
    assert_line(3,
                "level=debug room=bridge msg=\"answered\" event=\"no thing\" user=alice "
                "outcome=unknown_event request=",
                NULL);
    fake_say_text(a, "42/chat,[\"typing_start\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    assert_line(4, "level=debug room=bridge msg=\"answered\" event=typing_start user=alice outcome=ok ",
                NULL);
    fake_say_text(a, "42/chat,9[\"join_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    answer_room(w, "0");
    assert_line(5, "level=debug room=bridge msg=\"answered\" event=join_chat user=alice outcome=ok ", NULL);
    log_init(on_line, LOG_LEVEL_INFO);
    fake_say_text(a, "42/chat,[\"nothing\",{}]");
    assert_int_equal(lines, 5);
    log_init(NULL, LOG_LEVEL_INFO);
    for (int i = 0; i < 2; i++)
        free(ids[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_refused),        TEST(test_waits_for_rooms),    TEST(test_waits_a_second),
        TEST(test_token_ends),     TEST(test_connections_max),    TEST(test_session_rules),
        TEST(test_members_change), TEST(test_members_reset),      TEST(test_send),
        TEST(test_send_refused),   TEST(test_bad_events),         TEST(test_rate),
        TEST(test_many_joins),     TEST(test_gone_before_answer), TEST(test_answers_are_logged)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
