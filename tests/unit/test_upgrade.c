/* Engine.IO: from polling to WebSocket, and what may go wrong on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/engine_world.h"

static void test_upgrade(void **state)
{
    struct world *w = *state;
    struct fake_request poll;
    struct fake_stream *s, *late;

    open_polling(w);
    ask(w, &poll, "GET", w->query, NULL);
    s = open_upgrade(w);
    assert_int_equal(poll.answered, 0);
    fake_say_text(s, "2probe");
    assert_string_equal(fake_heard(s), "3probe\n");
    assert_string_equal(fake_body(&poll), "6");
    fake_request_finish(&poll);

    /* Until the upgrade every poll gets NOOP, after a pause; posts are taken, and output waits. */
    expect_status(w, "POST", w->query, "4waits", 200, "ok");
    for (int i = 0; i < 2; i++) {
        ask(w, &poll, "GET", w->query, NULL);
        assert_int_equal(poll.answered, 0);
        fake_advance(&w->clock, 110);
        assert_string_equal(fake_body(&poll), "6");
        fake_request_finish(&poll);
    }
    assert_string_equal(fake_heard(s), "");
    ask(w, &poll, "GET", w->query, NULL);
    fake_say_text(s, "5");
    assert_string_equal(fake_body(&poll), "6");
    fake_request_finish(&poll);
    assert_string_equal(fake_heard(s), "4waits\n");
    fake_say_text(s, "4hello");
    assert_string_equal(fake_heard(s), "4hello\n");

    expect_status(w, "GET", w->query, NULL, 400, ERROR(3, "Bad request"));
    expect_status(w, "POST", w->query, "4x", 400, ERROR(3, "Bad request"));
    late = open_upgrade(w);
    assert_true(late->closed);
    assert_int_equal(w->closed, 0);
    fake_advance(&w->clock, 11000); /* no upgrade timeout is left */
    assert_int_equal(w->closed, 0);
    fake_stream_free(late);
    s->stream.on_closed(&s->stream);
    fake_stream_free(s);
}

/* However the stream fails, polling goes on and nothing is lost. */
static void test_failed_upgrade(void **state)
{
    struct world *w = *state;

    open_polling(w);
    for (int how = 0; how < 5; how++) {
        struct fake_stream *s = open_upgrade(w);

        if (how != 4) {
            fake_say_text(s, "2probe");
            expect_status(w, "POST", w->query, "4kept", 200, "ok");
        } else {
            expect_status(w, "POST", w->query, "4kept", 200, "ok");
        }
        if (how == 0)
            s->stream.on_closed(&s->stream);
        else if (how == 1)
            fake_advance(&w->clock, 10000);
        else if (how == 2)
            fake_say_text(s, "4not now");
        else if (how == 3)
            fake_say(s, WEBSOCKET_TEXT, "\xff", 1);
        else
            fake_say(s, WEBSOCKET_CLOSE, "", 0);
        assert_true(how == 0 || s->closed);
        expect_status(w, "GET", w->query, NULL, 200, "4kept");
        fake_stream_free(s);
    }
    assert_int_equal(w->closed, 0);
}

/* The ping waits for the upgrade as all else does, and its pong is due from then on. */
static void test_ping_behind_the_upgrade(void **state)
{
    struct world *w = *state;
    struct fake_stream *s;

    open_polling(w);
    fake_advance(&w->clock, 20000);
    s = open_upgrade(w);
    fake_say_text(s, "2probe");
    assert_string_equal(fake_heard(s), "3probe\n");
    fake_advance(&w->clock, 9000);
    fake_say_text(s, "5");
    assert_string_equal(fake_heard(s), "2\n");
    fake_advance(&w->clock, 19000);
    assert_int_equal(w->closed, 0);
    fake_advance(&w->clock, 2000);
    assert_int_equal(w->closed, 1);
    assert_int_equal(w->end, SESSION_PING_TIMEOUT);
    fake_stream_free(s);
}

/* No pong can be missing of a ping that waits. */
static void test_no_ping_before_the_upgrade(void **state)
{
    struct world *w = *state;
    struct fake_stream *s;

    open_polling(w);
    for (int64_t ms = 0; ms < 100000; ms += 9000) {
        s = open_upgrade(w);
        fake_say_text(s, "2probe");
        fake_advance(&w->clock, 9000);
        s->stream.on_closed(&s->stream);
        fake_stream_free(s);
    }
    assert_int_equal(w->closed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_upgrade), TEST(test_failed_upgrade),
                                       TEST(test_ping_behind_the_upgrade),
                                       TEST(test_no_ping_before_the_upgrade)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
