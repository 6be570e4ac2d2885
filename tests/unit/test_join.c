/* join_chat of many rooms at once: no more answers are under way than the reader takes. */
#include "tests/unit/bridge_world.h"

#define ROOMS 4

static void ask(struct fake_stream *s, int room, int after)
{
    char text[160];

    snprintf(
        text, sizeof text,
        "42/"
        "chat,%d[\"join_chat\",{\"chatRoomId\":\"00000000-0000-7000-8000-00000000000%d\",\"afterSeq\":%d}]",
        room, room, after);
    fake_say_text(s, text);
}

/* alice, whose rooms have so many messages each. */
static struct fake_stream *alice(struct world *w, const char *head)
{
    struct fake_stream *s = open_session(w);
    const char *heads[ROOMS][2] = {
        {ROOM_TEXT(1), head}, {ROOM_TEXT(2), head}, {ROOM_TEXT(3), head}, {ROOM_TEXT(4), head}};

    w->config->limits = false;
    for (int room = 1; room <= ROOMS; room++)
        member(w, room, "alice", MEMBER_OWNER);
    connect_to(w, s, "/chat", "alice", 3600);
    for (int room = 1; room <= ROOMS; room++)
        watched(w, room);
    fake_advance(&w->clock, 0);
    answer(w, QUERY_ROOM_HEADS, ROOMS, 2, heads[0]);
    expect_connected(s, "/chat");
    return s;
}

static void assert_answered(struct fake_stream *s, int room)
{
    char ack[32];

    snprintf(ack, sizeof ack, "43/chat,%d[{\"status\":\"ok\"", room);
    assert_memory_equal(fake_heard(s), ack, strlen(ack));
}

static void test_little_missed(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = alice(w, "9");

    for (int room = 1; room <= ROOMS; room++)
        ask(s, room, 7);
    assert_int_equal(w->query_count, ROOMS);
    for (int room = 1; room <= ROOMS; room++)
        answer_room(w, "0");
    for (int room = 1; room <= ROOMS; room++) {
        answer_messages(w, 8, 9);
        assert_answered(s, room);
    }
}

static void test_much_missed(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = alice(w, "400");

    for (int room = 1; room <= ROOMS; room++)
        ask(s, room, 0);
    for (int room = 1; room < ROOMS; room++) {
        assert_int_equal(w->query_count, 1); /* the answer of each may be half a megabyte */
        answer_room(w, "0");
        answer_messages(w, 1, 400);
        assert_answered(s, room);
    }
    s->stream.unsent_bytes = 500000;
    answer_room(w, "0");
    answer_messages(w, 1, 400);
    assert_answered(s, ROOMS);
    ask(s, 1, 0);
    fake_advance(&w->clock, 100);
    assert_int_equal(w->query_count, 0); /* until its reader has taken what was sent */
    s->stream.unsent_bytes = 200000;
    fake_advance(&w->clock, 20);
    assert_int_equal(w->query_count, 1);
    ask(s, 2, 0); /* still waits when the session ends, and is forgotten */
    answer_room(w, "0");
    s->stream.unsent_bytes = 500000;
    answer_messages(w, 1, 400);
    assert_answered(s, 1);
}

/* The reader takes nothing more: an answer all the same, of which the client can make something. */
static void test_reader_stands_still(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = alice(w, "400");

    s->stream.unsent_bytes = 500000;
    ask(s, 1, 0);
    ask(s, 2, 400);
    fake_advance(&w->clock, w->config->answer_timeout_ms - 1);
    assert_int_equal(w->query_count, 0);
    fake_advance(&w->clock, 1);
    assert_non_null(strstr(fake_heard(s), "43/chat,1[{\"status\":\"error\",\"code\":\"unavailable\""));
    assert_int_equal(w->query_count, 1); /* the one behind it is small enough */
}

/* A page has what was made room for, and one message in any case. */
static void test_large_messages(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = alice(w, "3");
    static char large[3][20000];
    const char *cells[] = {"1", large[0], "2", large[1], "3", large[2]};
    const char *text;

    for (int i = 0; i < 3; i++)
        snprintf(large[i], sizeof large[i], "{\"seq\":%d,\"content\":\"%015000d\"}", i + 1, 0);
    ask(s, 1, 0);
    answer_room(w, "0");
    answer(w, QUERY_MESSAGES_AFTER, 3, 2, cells);
    text = fake_heard(s);
    assert_non_null(strstr(text, "{\"seq\":1,"));
    assert_null(strstr(text, "{\"seq\":2,"));
    assert_non_null(strstr(text, "],\"hasMore\":true"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_little_missed), TEST(test_much_missed),
                                       TEST(test_reader_stands_still), TEST(test_large_messages)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
