/* Messages of rooms reach sockets once and in order, whatever the broker and the database do; catching up
 * with join_chat. */
#include "tests/unit/bridge_world.h"

static void test_everybody_once(void **state)
{
    struct world *w = *state;
    struct fake_stream *a, *a2, *b;

    member(w, 1, "alice", MEMBER_OWNER);
    member(w, 1, "bob", MEMBER_MEMBER);
    a = join_user(w, "alice", "3");
    a2 = join_user(w, "alice", "");
    b = join_user(w, "bob", "");
    message(w, 1, 3); /* old */
    message(w, 1, 4);
    message(w, 1, 4); /* again */
    message(w, 1, 5);
    assert_string_equal(fake_heard(a), NEW_MESSAGE(4) NEW_MESSAGE(5));
    assert_string_equal(fake_heard(a2), NEW_MESSAGE(4) NEW_MESSAGE(5));
    assert_string_equal(fake_heard(b), NEW_MESSAGE(4) NEW_MESSAGE(5));
}

static void test_gap(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "3");
    message(w, 1, 6);
    message(w, 1, 7);
    assert_string_equal(fake_heard(a), "");
    assert_string_equal(w->queries[0].values[1], "3");
    message(w, 1, 8);
    assert_int_equal(w->query_count, 1);
    answer_messages(w, 4, 6); /* read when 7 was not yet there */
    assert_string_equal(fake_heard(a),
                        NEW_MESSAGE(4) NEW_MESSAGE(5) NEW_MESSAGE(6) NEW_MESSAGE(7) NEW_MESSAGE(8));
    assert_int_equal(w->query_count, 0);

    message(w, 1, 11); /* the database fails, then gives half */
    answer_failure(w);
    assert_int_equal(w->query_count, 0);
    fake_advance(&w->clock, 250);
    answer_messages(w, 9, 9);
    answer_messages(w, 10, 10);
    assert_string_equal(fake_heard(a), NEW_MESSAGE(9) NEW_MESSAGE(10) NEW_MESSAGE(11));
    assert_int_equal(w->query_count, 0);
}

/* What comes between the watch and the answer of the database is passed on from its number on. */
static void test_baseline_then_messages(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_session(w);
    const char *text;

    member(w, 1, "alice", MEMBER_OWNER);
    connect_to(w, s, "/chat", "alice", 3600);
    watched(w, 1);
    fake_advance(&w->clock, 0);
    message(w, 1, 5);
    message(w, 1, 6);
    answer(w, QUERY_ROOM_HEADS, 1, 2, (const char *const[]){ROOM_TEXT(1), "5"});
    text = fake_heard(s); /* the answer to CONNECT, then what is newer than it */
    assert_memory_equal(text, "40/chat,", 8);
    assert_string_equal(strchr(text, '\n') + 1, NEW_MESSAGE(6));
}

static void test_lost_link(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "3");
    w->events->on_lost(w->events->self);
    fake_advance(&w->clock, 0);
    answer(w, QUERY_ROOM_HEADS, 1, 2, (const char *const[]){ROOM_TEXT(1), "4"});
    answer_messages(w, 4, 4);
    assert_string_equal(fake_heard(a), NEW_MESSAGE(4));
    watched(w, 1); /* linked again; 5 and 6 came between */
    fake_advance(&w->clock, 0);
    message(w, 1, 7);
    answer(w, QUERY_ROOM_HEADS, 1, 2, (const char *const[]){ROOM_TEXT(1), "7"});
    answer_messages(w, 5, 7);
    assert_string_equal(fake_heard(a), NEW_MESSAGE(5) NEW_MESSAGE(6) NEW_MESSAGE(7));
    watched(w, 1);
    fake_advance(&w->clock, 0);
    message(w, 1, 8); /* passes at once, the answer is older than it */
    answer(w, QUERY_ROOM_HEADS, 1, 2, (const char *const[]){ROOM_TEXT(1), "7"});
    assert_string_equal(fake_heard(a), NEW_MESSAGE(8));
    assert_int_equal(w->query_count, 0);
}

/* More early messages than are kept: they are read from the database. */
static void test_many_early(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;
    int lines = 0;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    for (int seq = 2; seq <= 600; seq++)
        message(w, 1, seq);
    for (int round = 0; w->query_count > 0 && round < 10; round++) {
        int first = (int)strtol(w->queries[0].values[1], NULL, 10) + 1;

        answer_messages(w, first, first + 199 < 600 ? first + 199 : 600);
    }
    for (const char *at = fake_heard(a); *at != '\0'; at = strchr(at, '\n') + 1) {
        char end[32];

        snprintf(end, sizeof end, "{\"seq\":%d}}]\n", ++lines);
        assert_memory_equal(strchr(at, '\n') + 1 - strlen(end), end, strlen(end));
    }
    assert_int_equal(lines, 600);
}

/* ---- Catching up. ---- */

#define JOIN(n, after)                                                                                       \
    "42/chat," #n "[\"join_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\",\"afterSeq\":" #after "}]"
#define JOINED(n, missed, more)                                                                              \
    "43/chat," #n "[{\"status\":\"ok\",\"room\":{\"lastSeq\":9},\"missed\":[" missed "],\"hasMore\":" more   \
    "}]\n"

static void test_join(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "5");
    fake_say_text(a, "42/chat,1[\"join_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    answer_room(w, "0");
    assert_string_equal(fake_heard(a), JOINED(1, "", "false"));

    fake_say_text(a, JOIN(2, 3));
    answer_room(w, "0");
    assert_string_equal(w->queries[0].values[1], "3");
    answer_messages(w, 4, 5);
    assert_string_equal(fake_heard(a), JOINED(2, "{\"seq\":4},{\"seq\":5}", "false"));

    fake_say_text(a, JOIN(3, 3)); /* history begins later for this member */
    answer_room(w, "4");
    assert_string_equal(w->queries[0].values[1], "4");
    answer_messages(w, 5, 5);
    assert_string_equal(fake_heard(a), JOINED(3, "{\"seq\":5}", "false"));

    fake_say_text(a, "42/chat,4[\"leave_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    answer_room(w, "0");
    assert_string_equal(fake_heard(a), JOINED(4, "", "false"));
}

/* Live messages that come while the database is asked, with an answer older and one newer than they. */
static void test_join_races(void **state)
{
    struct world *w = *state;
    struct fake_stream *a, *b;

    member(w, 1, "alice", MEMBER_OWNER);
    member(w, 1, "bob", MEMBER_MEMBER);
    a = join_user(w, "alice", "5");
    b = join_user(w, "bob", "");
    fake_say_text(a, JOIN(1, 3));
    message(w, 1, 6);
    answer_room(w, "0");
    message(w, 1, 7);
    assert_string_equal(fake_heard(a), "");
    assert_string_equal(fake_heard(b), NEW_MESSAGE(6) NEW_MESSAGE(7));
    answer_messages(w, 4, 6); /* older: 7 follows live */
    assert_string_equal(fake_heard(a),
                        JOINED(1, "{\"seq\":4},{\"seq\":5},{\"seq\":6}", "false") NEW_MESSAGE(7));

    fake_say_text(a, JOIN(2, 6));
    answer_room(w, "0");
    answer_messages(w, 7, 9); /* newer: 8 and 9 are still to come live */
    assert_string_equal(fake_heard(a), JOINED(2, "{\"seq\":7}", "false"));
    message(w, 1, 8);
    message(w, 1, 9);
    assert_string_equal(fake_heard(a), NEW_MESSAGE(8) NEW_MESSAGE(9));

    fake_say_text(a, JOIN(3, 8)); /* it fails: nothing that was kept is lost */
    message(w, 1, 10);
    answer_failure(w);
    assert_string_equal(fake_heard(a), "43/chat,3[{\"status\":\"error\",\"code\":\"database_unavailable\","
                                       "\"message\":\"The database is away.\"}]\n" NEW_MESSAGE(10));
}

static void test_join_has_more(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;
    const char *text;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "1000");
    fake_say_text(a, JOIN(1, 0));
    answer_room(w, "0");
    assert_string_equal(w->queries[0].values[2], "501");
    answer_messages(w, 1, 501);
    text = fake_heard(a);
    assert_non_null(strstr(text, "{\"seq\":500}],\"hasMore\":true}]\n"));
    assert_null(strstr(text, "{\"seq\":501}"));
}

static void test_join_and_removal(void **state)
{
    struct world *w = *state;
    struct fake_stream *b;
    static const char refused[] =
        "43/chat,1[{\"status\":\"error\",\"code\":\"room_not_found\",\"message\":\"There is no such "
        "room.\"}]\n";

    member(w, 1, "alice", MEMBER_OWNER);
    member(w, 1, "bob", MEMBER_MEMBER);
    join_user(w, "alice", "5");
    b = join_user(w, "bob", "");
    fake_say_text(b, JOIN(1, 3));
    message(w, 1, 6);
    change(w, 1, "bob", MEMBER_NONE);
    assert_string_equal(fake_heard(b), refused);
    answer_room(w, "0");
    assert_string_equal(fake_heard(b), "");
}

static void test_join_waits_for_room(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_session(w);

    member(w, 1, "alice", MEMBER_OWNER);
    connect_to(w, s, "/chat", "alice", 3600);
    fake_advance(&w->clock, 1000);
    expect_connected(s, "/chat");
    fake_say_text(s, JOIN(1, 3));
    fake_say_text(s, JOIN(2, 3));
    assert_int_equal(w->query_count, 0);
    watched(w, 1);
    fake_advance(&w->clock, 0);
    answer(w, QUERY_ROOM_HEADS, 1, 2, (const char *const[]){ROOM_TEXT(1), "4"});
    assert_int_equal(w->query_count, 2);
    answer_failure(w);
    answer_failure(w);
    fake_heard(s);
    change(w, 2, "alice", MEMBER_MEMBER);
    fake_say_text(s, JOIN(3, 3));
    fake_advance(&w->clock, w->config->answer_timeout_ms);
    assert_non_null(strstr(fake_heard(s), "\"code\":\"unavailable\""));
}

/* One who joined while messages were missing gets those past its history alone; others get all. */
static void test_gap_and_history(void **state)
{
    struct world *w = *state;
    struct uuid id = room_of(1);
    struct fake_stream *a, *b;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "3");
    b = open_session(w);
    connect_to(w, b, "/chat", "bob", 3600);
    expect_connected(b, "/chat");
    message(w, 1, 6);
    change(w, 1, "bob", MEMBER_MEMBER);
    members_set_history(w->members, &id, "bob", 3, 5);
    answer_messages(w, 4, 7);
    message(w, 1, 5); /* late */
    message(w, 1, 8);
    assert_string_equal(fake_heard(a),
                        NEW_MESSAGE(4) NEW_MESSAGE(5) NEW_MESSAGE(6) NEW_MESSAGE(7) NEW_MESSAGE(8));
    assert_string_equal(fake_heard(b), NEW_MESSAGE(6) NEW_MESSAGE(7) NEW_MESSAGE(8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_everybody_once),
                                       TEST(test_gap),
                                       TEST(test_baseline_then_messages),
                                       TEST(test_lost_link),
                                       TEST(test_many_early),
                                       TEST(test_join),
                                       TEST(test_join_races),
                                       TEST(test_join_has_more),
                                       TEST(test_join_and_removal),
                                       TEST(test_join_waits_for_room),
                                       TEST(test_gap_and_history)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
