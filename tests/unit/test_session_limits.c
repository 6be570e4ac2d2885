/* Engine.IO sessions: what is bounded, and what happens beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/engine_world.h"

static void test_sessions_max(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 3; i++)
        open_polling(w);
    expect_status(w, "GET", "EIO=4&transport=polling", NULL, 503, ERROR(4, "Too many sessions"));
    assert_int_equal(engine_stats(w->engine)->refused[REFUSED_SESSIONS], 1);
}

static void test_payload_max(void **state)
{
    struct world *w = *state;
    struct fake_stream *s;
    char text[1003];

    memset(text, 'x', sizeof text);
    text[0] = '4';
    text[1001] = '\0';
    open_polling(w);
    expect_status(w, "POST", w->query, text, 413, "");
    text[1000] = '\0';
    expect_status(w, "POST", w->query, text, 200, "ok");
    assert_int_equal(w->closed, 0);

    s = open_websocket(w);
    fake_say(s, WEBSOCKET_TEXT, text, 1000);
    fake_heard(s);
    text[1000] = 'x';
    fake_say(s, WEBSOCKET_TEXT, text, 1001);
    assert_string_equal(fake_heard(s), "<close 1009>\n");
    assert_true(s->closed);
    assert_int_equal(w->end, SESSION_TOO_BIG);
    fake_stream_free(s);
}

static void test_slow_readers(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_websocket(w);
    char text[901];

    s->stream.unsent_bytes = 5000;
    fake_say_text(s, "4a");
    fake_advance(&w->clock, 0);
    assert_int_equal(w->closed, 0);
    s->stream.unsent_bytes = 5001;
    fake_say_text(s, "4b");
    assert_int_equal(w->closed, 0); /* not under the hands of the sender */
    fake_advance(&w->clock, 0);
    assert_int_equal(w->end, SESSION_SLOW_READER);
    assert_true(s->aborted);
    assert_int_equal(engine_stats(w->engine)->ended[SESSION_SLOW_READER], 1);
    fake_stream_free(s);

    open_polling(w);
    s = open_upgrade(w);
    s->stream.unsent_bytes = 5001;
    fake_say_text(s, "2probe");
    fake_advance(&w->clock, 0);
    assert_int_equal(w->closed, 2);
    assert_int_equal(w->end, SESSION_SLOW_READER);
    fake_stream_free(s);

    memset(text, 'x', sizeof text);
    text[0] = '4';
    text[900] = '\0';
    open_polling(w);
    for (int i = 0; i < 6; i++)
        expect_status(w, "POST", w->query, text, 200, "ok");
    fake_advance(&w->clock, 0);
    assert_int_equal(w->closed, 3);
    assert_int_equal(w->end, SESSION_SLOW_READER);
}

static struct engine *limited_engine(struct world *w, int64_t strangers_max, int64_t packets_per_s)
{
    return engine_create(&w->clock.port,
                         &(struct engine_options){.ping_interval_ms = 25000,
                                                  .ping_timeout_ms = 20000,
                                                  .upgrade_timeout_ms = 10000,
                                                  .payload_max = 1000,
                                                  .unsent_max = 50000,
                                                  .strangers_max = strangers_max,
                                                  .packets_per_s = packets_per_s},
                         &(struct engine_handlers){w, on_open, on_message, on_close});
}

static int open_status(struct engine *engine)
{
    struct fake_request r;
    int status;

    fake_request_init(&r, "GET", "EIO=4&transport=polling", NULL);
    engine_request(engine, &r.request);
    status = r.status;
    fake_request_finish(&r);
    return status;
}

/* Sessions that nobody has named count; those that ended or are known don't. */
static void test_strangers(void **state)
{
    struct world *w = *state;
    struct engine *engine = limited_engine(w, 2, 0);
    struct session *first;

    assert_int_equal(open_status(engine), 200);
    first = w->session;
    assert_int_equal(open_status(engine), 200);
    assert_int_equal(open_status(engine), 429);
    assert_int_equal(engine_stats(engine)->refused[REFUSED_STRANGERS], 1);
    session_is_known(first, true);
    session_is_known(first, true);
    assert_int_equal(open_status(engine), 200);
    assert_int_equal(open_status(engine), 429);
    session_is_known(first, false);
    session_close(w->session, SESSION_CLOSED);
    assert_int_equal(open_status(engine), 429);
    session_close(first, SESSION_CLOSED);
    assert_int_equal(open_status(engine), 200);
    engine_destroy(&engine);
}

/* Five seconds' worth of packets at once, whatever they are; one more ends the session. */
static void test_flood(void **state)
{
    struct world *w = *state;
    struct engine *engine = limited_engine(w, 0, 10), *standard = w->engine;
    struct fake_stream *s;

    w->engine = engine;
    s = open_stream(w, "EIO=4&transport=websocket");
    for (int i = 0; i < 50; i++)
        fake_say_text(s, i % 2 == 0 ? "6" : "4x");
    assert_int_equal(w->closed, 0);
    fake_advance(&w->clock, 1000);
    for (int i = 0; i < 10; i++)
        fake_say(s, WEBSOCKET_PING, "", 0);
    assert_int_equal(w->closed, 0);
    fake_heard(s);
    fake_say_text(s, "3");
    assert_string_equal(fake_heard(s), "<close 1008>\n");
    assert_int_equal(w->end, SESSION_FLOOD);
    fake_stream_free(s);

    open_polling(w); /* a stream that is probed for ever is one, too */
    s = open_upgrade(w);
    for (int i = 0; i < 50; i++)
        fake_say_text(s, "2probe");
    assert_int_equal(w->closed, 1);
    fake_heard(s);
    fake_say_text(s, "2probe");
    assert_string_equal(fake_heard(s), "<close 1008>\n");
    assert_int_equal(w->closed, 2);
    fake_stream_free(s);
    engine_destroy(&engine);
    w->engine = standard;
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_sessions_max), TEST(test_payload_max),
                                       TEST(test_slow_readers), TEST(test_strangers), TEST(test_flood)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
