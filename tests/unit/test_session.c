/* Engine.IO sessions: handshake, polling, WebSocket, upgrade, heartbeat, limits and every error code. */
#include "bridge/engine.h"
#include "tests/unit/fake_ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SID_SIZE 20

struct world {
    struct fake_clock clock;
    struct engine *engine;
    struct session *session; /* the last that was opened */
    int opened, closed;
    enum session_end end;
    char query[128];
};

static bool on_open(void *self, struct session *session, const struct handshake *handshake)
{
    struct world *w = self;

    w->session = session;
    w->opened++;
    return handshake->authorization == NULL || strcmp(handshake->authorization, "refuse") != 0;
}

/* Echo; "close" closes, "flood" sends more than may wait. */
static void on_message(void *self, struct session *session, bool binary, const char *bytes, size_t size)
{
    (void)self;
    if (size == 5 && memcmp(bytes, "close", 5) == 0) {
        session_close(session, SESSION_CLOSED);
        return;
    }
    session_send_message(session, binary, bytes, size);
}

static void on_close(void *self, struct session *session, enum session_end end)
{
    struct world *w = self;

    (void)session;
    w->closed++;
    w->end = end;
}

static int setup(void **state)
{
    struct world *w = mem_zalloc(1, sizeof *w);

    fake_clock_init(&w->clock);
    w->engine = engine_create(&w->clock.port,
                              &(struct engine_options){.ping_interval_ms = 25000,
                                                       .ping_timeout_ms = 20000,
                                                       .upgrade_timeout_ms = 10000,
                                                       .payload_max = 1000,
                                                       .unsent_max = 5000,
                                                       .sessions_max = 3,
                                                       .cors_origins = "https://a.example,https://b.example"},
                              &(struct engine_handlers){w, on_open, on_message, on_close});
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    engine_destroy(&w->engine);
    assert_int_equal(w->opened, w->closed);
    assert_null(w->clock.timers);
    free(w);
    return 0;
}

/* Sends a request; its answer is to be looked at and finished. */
static void ask(struct world *w, struct fake_request *r, const char *method, const char *query,
                const char *body)
{
    fake_request_init(r, method, query, body);
    engine_request(w->engine, &r->request);
}

static void expect_status(struct world *w, const char *method, const char *query, const char *body,
                          int status, const char *text)
{
    struct fake_request r;

    ask(w, &r, method, query, body);
    assert_int_equal(r.answered, 1);
    assert_int_equal(r.status, status);
    assert_string_equal(fake_body(&r), text);
    fake_request_finish(&r);
}

#define ERROR(code, message) "{\"code\":" #code ",\"message\":\"" message "\"}"

/* Opens by polling; w->query is then the query of its requests. */
static void open_polling(struct world *w)
{
    struct fake_request r;

    ask(w, &r, "GET", "EIO=4&transport=polling", NULL);
    assert_int_equal(r.status, 200);
    assert_memory_equal(fake_body(&r), "0{\"sid\":\"", 9);
    snprintf(w->query, sizeof w->query, "EIO=4&transport=polling&sid=%.*s", SID_SIZE, fake_body(&r) + 9);
    assert_string_equal(fake_body(&r) + 9 + SID_SIZE,
                        "\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,\"pingTimeout\":20000,"
                        "\"maxPayload\":1000}");
    fake_request_finish(&r);
}

static struct fake_stream *open_stream(struct world *w, const char *query)
{
    struct fake_stream *s = fake_stream_make();
    struct fake_request r;

    fake_request_init(&r, "GET", query, NULL);
    fake_request_header(&r, "Upgrade", "websocket");
    fake_request_header(&r, "Connection", "keep-alive, Upgrade");
    fake_request_header(&r, "Sec-WebSocket-Version", "13");
    fake_request_header(&r, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    engine_request(w->engine, &r.request);
    assert_int_equal(r.status, 101);
    assert_string_equal(r.headers.data, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n");
    r.on_stream(r.context, &s->stream);
    fake_request_finish(&r);
    return s;
}

static struct fake_stream *open_websocket(struct world *w)
{
    struct fake_stream *s = open_stream(w, "EIO=4&transport=websocket");
    const char *text = fake_heard(s);

    assert_memory_equal(text, "0{\"sid\":\"", 9);
    assert_string_equal(
        text + 9 + SID_SIZE,
        "\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000}\n");
    return s;
}

static struct fake_stream *open_upgrade(struct world *w)
{
    char query[160];

    snprintf(query, sizeof query, "EIO=4&transport=websocket&%s", strstr(w->query, "sid="));
    return open_stream(w, query);
}

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

static void test_sessions_max(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 3; i++)
        open_polling(w);
    expect_status(w, "GET", "EIO=4&transport=polling", NULL, 503, ERROR(4, "Too many sessions"));
    assert_int_equal(engine_stats(w->engine)->refused[REFUSED_SESSIONS], 1);
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

    /* Until the upgrade every poll gets NOOP, posts are taken, and output waits. */
    expect_status(w, "POST", w->query, "4waits", 200, "ok");
    expect_status(w, "GET", w->query, NULL, 200, "6");
    expect_status(w, "GET", w->query, NULL, 200, "6");
    assert_string_equal(fake_heard(s), "");
    fake_say_text(s, "5");
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_refusals),       TEST(test_refused_above),
                                       TEST(test_sessions_max),   TEST(test_polling),
                                       TEST(test_poll_gone),      TEST(test_overlapping_polls),
                                       TEST(test_polling_closes), TEST(test_payload_max),
                                       TEST(test_websocket),      TEST(test_closed_while_reading),
                                       TEST(test_heartbeat),      TEST(test_upgrade),
                                       TEST(test_failed_upgrade), TEST(test_slow_readers),
                                       TEST(test_cors),           TEST(test_shutdown),
                                       TEST(test_base64_frames),  TEST(test_strangers),
                                       TEST(test_flood)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
