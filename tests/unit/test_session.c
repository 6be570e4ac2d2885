/* Engine.IO sessions: handshake, polling, WebSocket, heartbeat and every error code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/engine_world.h"

static void test_refusals(void **state)
{
    struct world *w = *state;

    expect_status(w, "GET", "EIO=4", NULL, 400, ERROR(0, "Transport unknown"));
    expect_status(w, "GET", "EIO=4&transport=abc", NULL, 400, ERROR(0, "Transport unknown"));
    expect_status(w, "GET", "EIO=4&transport=polling&sid=x", NULL, 400, ERROR(1, "Session ID unknown"));
    expect_status(w, "POST", "EIO=4&transport=polling", "4x", 400, ERROR(2, "Bad handshake method"));
    expect_status(w, "PUT", "EIO=4&transport=polling", NULL, 400, ERROR(2, "Bad handshake method"));
    expect_status(w, "GET", "EIO=4&transport=websocket", NULL, 400, ERROR(3, "Bad request"));
    expect_status(w, "GET", "transport=polling", NULL, 400, ERROR(5, "Unsupported protocol version"));
    expect_status(w, "GET", "EIO=3&transport=polling", NULL, 400, ERROR(5, "Unsupported protocol version"));
    assert_int_equal(w->opened, 0);
}

static void test_refused_above(void **state)
{
    struct world *w = *state;
    struct fake_request r;

    fake_request_init(&r, "GET", "EIO=4&transport=polling", NULL);
    fake_request_header(&r, "Authorization", "refuse");
    engine_request(w->engine, &r.request);
    assert_int_equal(r.status, 403);
    assert_string_equal(fake_body(&r), ERROR(4, "Forbidden"));
    fake_request_finish(&r);
    w->opened = 0;
}

static void test_polling(void **state)
{
    struct world *w = *state;
    struct fake_request poll;

    open_polling(w);
    expect_status(w, "POST", w->query,
                  "4a\x1e"
                  "4b\x1e"
                  "bAQI=",
                  200, "ok");
    expect_status(w, "GET", w->query, NULL, 200,
                  "4a\x1e"
                  "4b\x1e"
                  "bAQI=");

    /* A poll is held until there is something, and what one turn sends goes out together. */
    ask(w, &poll, "GET", w->query, NULL);
    assert_int_equal(poll.answered, 0);
    expect_status(w, "POST", w->query,
                  "4c\x1e"
                  "4d",
                  200, "ok");
    fake_advance(&w->clock, 0);
    assert_string_equal(fake_body(&poll), "4c\x1e"
                                          "4d");
    fake_request_finish(&poll);
    expect_status(w, "PUT", w->query, NULL, 400, ERROR(2, "Bad handshake method"));
    assert_int_equal(w->closed, 0);
}

static void test_overlapping_polls(void **state)
{
    struct world *w = *state;
    struct fake_request first, second;

    open_polling(w);
    ask(w, &first, "GET", w->query, NULL);
    ask(w, &second, "GET", w->query, NULL);
    assert_string_equal(fake_body(&first), "1");
    assert_int_equal(second.status, 400);
    assert_int_equal(w->end, SESSION_TRANSPORT_ERROR);
    expect_status(w, "GET", w->query, NULL, 400, ERROR(1, "Session ID unknown"));
    fake_request_finish(&first);
    fake_request_finish(&second);
}

static void test_poll_gone(void **state)
{
    struct world *w = *state;
    struct fake_request poll;

    open_polling(w);
    ask(w, &poll, "GET", w->query, NULL);
    poll.request.on_gone(&poll.request);
    assert_int_equal(poll.answered, 1);
    assert_int_equal(w->end, SESSION_TRANSPORT_ERROR);
    fake_request_finish(&poll);
}

/* What it was told last waits for its next poll; who sent it away itself wants no words. */
static void test_last_words(void **state)
{
    struct world *w = *state;

    open_polling(w);
    expect_status(w, "POST", w->query,
                  "4x\x1e"
                  "4close",
                  200, "ok");
    assert_int_equal(w->end, SESSION_CLOSED);
    expect_status(w, "POST", w->query, "4y", 400, ERROR(1, "Session ID unknown"));
    expect_status(w, "GET", w->query, NULL, 200,
                  "4x\x1e"
                  "1");
    expect_status(w, "GET", w->query, NULL, 400, ERROR(1, "Session ID unknown"));

    open_polling(w);
    expect_status(w, "POST", w->query, "4close", 200, "ok");
    fake_advance(&w->clock, 31000);
    expect_status(w, "GET", w->query, NULL, 400, ERROR(1, "Session ID unknown"));

    open_polling(w);
    expect_status(w, "POST", w->query, "1", 200, "ok");
    expect_status(w, "GET", w->query, NULL, 400, ERROR(1, "Session ID unknown"));
}

static void test_polling_closes(void **state)
{
    struct world *w = *state;
    struct fake_request poll;

    open_polling(w);
    ask(w, &poll, "GET", w->query, NULL);
    expect_status(w, "POST", w->query, "1", 200, "ok");
    assert_string_equal(fake_body(&poll), "6");
    assert_int_equal(w->end, SESSION_CLIENT_LEFT);
    fake_request_finish(&poll);

    open_polling(w);
    ask(w, &poll, "GET", w->query, NULL);
    expect_status(w, "POST", w->query,
                  "4x\x1e"
                  "4close\x1e"
                  "4never",
                  200, "ok");
    assert_string_equal(fake_body(&poll), "4x\x1e"
                                          "1");
    assert_int_equal(w->end, SESSION_CLOSED);
    fake_request_finish(&poll);

    open_polling(w);
    expect_status(w, "POST", w->query, "4\xff", 400, ERROR(3, "Bad request"));
    open_polling(w);
    expect_status(w, "POST", w->query, "abc", 400, ERROR(3, "Bad request"));
    assert_int_equal(w->end, SESSION_PARSE_ERROR);
    expect_status(w, "GET", w->query, NULL, 400, ERROR(1, "Session ID unknown"));
}

static void test_websocket(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_websocket(w);

    fake_say_text(s, "4hello");
    fake_say(s, WEBSOCKET_BINARY, "\x01\x02", 2);
    fake_say(s, WEBSOCKET_PING, "x", 1);
    assert_string_equal(fake_heard(s), "4hello\n<2>\x01\x02\n<10>x\n");
    assert_int_equal(engine_stats(w->engine)->websockets, 1);
    fake_say(s, WEBSOCKET_CLOSE, "\x03\xe8", 2);
    assert_string_equal(fake_heard(s), "<close 1000>\n");
    assert_true(s->closed);
    assert_int_equal(w->end, SESSION_CLIENT_LEFT);
    fake_stream_free(s);

    s = open_websocket(w);
    fake_say_text(s, "abc");
    assert_true(s->closed);
    assert_int_equal(w->end, SESSION_PARSE_ERROR);
    fake_stream_free(s);

    s = open_websocket(w);
    fake_say(s, WEBSOCKET_TEXT, "4\xff", 2);
    assert_string_equal(fake_heard(s), "<close 1007>\n");
    assert_true(s->closed);
    fake_stream_free(s);

    s = open_websocket(w);
    s->stream.on_closed(&s->stream);
    assert_int_equal(w->end, SESSION_CLIENT_LEFT);
    assert_int_equal(engine_stats(w->engine)->websockets, 0);
    fake_stream_free(s);
}

/* A message that closes the session, with another one behind it in the same bytes. */
static void test_closed_while_reading(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_websocket(w);
    struct buf wire = {0};

    fake_frame(&wire, WEBSOCKET_TEXT, false, "4close", 6);
    fake_frame(&wire, WEBSOCKET_TEXT, false, "4more", 5);
    s->stream.on_data(&s->stream, (const uint8_t *)wire.data, wire.size);
    assert_string_equal(fake_heard(s), "<close 1000>\n");
    assert_int_equal(w->closed, 1);
    buf_finish(&wire);
    fake_stream_free(s);
}

static void test_heartbeat(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_websocket(w);

    for (int i = 0; i < 3; i++) {
        fake_advance(&w->clock, 24999);
        assert_string_equal(fake_heard(s), "");
        fake_advance(&w->clock, 1);
        assert_string_equal(fake_heard(s), "2\n");
        fake_advance(&w->clock, 19999);
        fake_say_text(s, "3");
    }
    fake_advance(&w->clock, 25000);
    fake_advance(&w->clock, 19999);
    assert_int_equal(w->closed, 0);
    fake_advance(&w->clock, 1);
    assert_int_equal(w->end, SESSION_PING_TIMEOUT);
    assert_true(s->closed);
    fake_stream_free(s);

    s = open_websocket(w); /* clients don't ping */
    fake_say_text(s, "2");
    assert_int_equal(w->end, SESSION_PARSE_ERROR);
    fake_stream_free(s);

    open_polling(w);
    fake_advance(&w->clock, 25000);
    expect_status(w, "GET", w->query, NULL, 200, "2");
    expect_status(w, "POST", w->query, "3", 200, "ok");
    fake_advance(&w->clock, 45000);
    assert_int_equal(w->end, SESSION_PING_TIMEOUT);
}

static void test_cors(void **state)
{
    struct world *w = *state;
    struct fake_request r;

    fake_request_init(&r, "OPTIONS", "EIO=4&transport=polling", NULL);
    fake_request_header(&r, "Origin", "https://b.example");
    fake_request_header(&r, "Access-Control-Request-Headers", "x-own");
    engine_request(w->engine, &r.request);
    assert_int_equal(r.status, 204);
    assert_non_null(strstr(r.headers.data, "Access-Control-Allow-Origin: https://b.example\n"));
    assert_non_null(strstr(r.headers.data, "Access-Control-Allow-Credentials: true\n"));
    assert_non_null(strstr(r.headers.data, "Access-Control-Allow-Headers: x-own\n"));
    assert_non_null(strstr(r.headers.data, "Vary: Origin\n"));
    fake_request_finish(&r);

    fake_request_init(&r, "GET", "transport=abc", NULL); /* on errors too */
    fake_request_header(&r, "Origin", "https://a.example");
    engine_request(w->engine, &r.request);
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(r.headers.data, "Access-Control-Allow-Origin: https://a.example\n"));
    fake_request_finish(&r);

    fake_request_init(&r, "GET", "transport=abc", NULL);
    fake_request_header(&r, "Origin", "https://c.example");
    engine_request(w->engine, &r.request);
    assert_null(strstr(r.headers.data, "Access-Control-Allow-Origin"));
    fake_request_finish(&r);
}

static void test_shutdown(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_websocket(w);
    struct fake_request poll, upgrade;
    struct fake_stream *late = fake_stream_make();

    open_polling(w);
    ask(w, &poll, "GET", w->query, NULL);
    fake_request_init(&upgrade, "GET", "EIO=4&transport=websocket", NULL);
    fake_request_header(&upgrade, "Upgrade", "websocket");
    fake_request_header(&upgrade, "Connection", "keep-alive, Upgrade");
    fake_request_header(&upgrade, "Sec-WebSocket-Version", "13");
    fake_request_header(&upgrade, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    engine_request(w->engine, &upgrade.request);
    engine_destroy(&w->engine);
    assert_string_equal(fake_heard(s), "<close 1001>\n");
    assert_string_equal(fake_body(&poll), "1");
    assert_int_equal(w->closed, 2);
    upgrade.on_stream(upgrade.context, &late->stream); /* comes too late */
    assert_true(late->aborted);
    fake_request_finish(&poll);
    fake_request_finish(&upgrade);
    fake_stream_free(s);
    fake_stream_free(late);
}

/* Binary as `b` and base64 in text frames: always understood, and spoken to who asks for it. */
static void test_base64_frames(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_websocket(w);
    char query[180];

    fake_say_text(s, "bAQI=");
    assert_string_equal(fake_heard(s), "<2>\x01\x02\n");
    fake_say_text(s, "b?");
    assert_true(s->closed);
    assert_int_equal(w->end, SESSION_PARSE_ERROR);
    fake_stream_free(s);

    s = open_stream(w, "EIO=4&transport=websocket&b64=1");
    fake_heard(s);
    fake_say(s, WEBSOCKET_BINARY, "\x01\x02", 2);
    fake_say_text(s, "bAQI=");
    fake_say_text(s, "4text");
    assert_string_equal(fake_heard(s), "bAQI=\nbAQI=\n4text\n");
    fake_say_text(s, "1");
    fake_stream_free(s);

    /* As the stream of an upgrade asks: the poll before it may have asked otherwise. */
    open_polling(w);
    snprintf(query, sizeof query, "EIO=4&transport=websocket&b64=1&%s", strstr(w->query, "sid="));
    s = open_stream(w, query);
    fake_say_text(s, "2probe");
    expect_status(w, "POST", w->query, "bAwQ=", 200, "ok");
    fake_say_text(s, "5");
    fake_say_text(s, "bAQI=");
    assert_string_equal(fake_heard(s), "3probe\nbAwQ=\nbAQI=\n");
    fake_say_text(s, "1");
    fake_stream_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_refusals),          TEST(test_refused_above), TEST(test_polling),
        TEST(test_overlapping_polls), TEST(test_poll_gone),     TEST(test_last_words),
        TEST(test_polling_closes),    TEST(test_websocket),     TEST(test_closed_while_reading),
        TEST(test_heartbeat),         TEST(test_cors),          TEST(test_shutdown),
        TEST(test_base64_frames)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
