/* An engine behind faked requests, streams and time, for tests of Engine.IO: it echoes what comes.
 *
 * Included by one test program, after cmocka.h. */
#ifndef PARLOR_TESTS_ENGINE_WORLD_H
#define PARLOR_TESTS_ENGINE_WORLD_H

#include "bridge/engine.h"
#include "tests/unit/fake_ports.h"

#include <stdio.h>

#define SID_SIZE 20

struct world {
    struct fake_clock clock;
    struct engine *engine;
    struct session *session; /* the last that was opened */
    int opened, closed;
    enum session_end end;
    char query[128];
};

static inline bool on_open(void *self, struct session *session, const struct handshake *handshake)
{
    struct world *w = self;

    w->session = session;
    w->opened++;
    return handshake->authorization == NULL || strcmp(handshake->authorization, "refuse") != 0;
}

/* Echo; "close" closes, "flood" sends more than may wait. */
static inline void on_message(void *self, struct session *session, bool binary, const char *bytes,
                              size_t size)
{
    (void)self;
    if (size == 5 && memcmp(bytes, "close", 5) == 0) {
        session_close(session, SESSION_CLOSED);
        return;
    }
    session_send_message(session, binary, bytes, size);
}

static inline void on_close(void *self, struct session *session, enum session_end end)
{
    struct world *w = self;

    (void)session;
    w->closed++;
    w->end = end;
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
{
    struct world *w = *state;

    engine_destroy(&w->engine);
    assert_int_equal(w->opened, w->closed);
    assert_null(w->clock.timers);
    free(w);
    return 0;
}

/* Sends a request; its answer is to be looked at and finished. */
static inline void ask(struct world *w, struct fake_request *r, const char *method, const char *query,
                       const char *body)
{
    fake_request_init(r, method, query, body);
    engine_request(w->engine, &r->request);
}

static inline void expect_status(struct world *w, const char *method, const char *query, const char *body,
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
static inline void open_polling(struct world *w)
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

static inline struct fake_stream *open_stream(struct world *w, const char *query)
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

static inline struct fake_stream *open_websocket(struct world *w)
{
    struct fake_stream *s = open_stream(w, "EIO=4&transport=websocket");
    const char *text = fake_heard(s);

    assert_memory_equal(text, "0{\"sid\":\"", 9);
    assert_string_equal(
        text + 9 + SID_SIZE,
        "\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000}\n");
    return s;
}

static inline struct fake_stream *open_upgrade(struct world *w)
{
    char query[160];

    snprintf(query, sizeof query, "EIO=4&transport=websocket&%s", strstr(w->query, "sid="));
    return open_stream(w, query);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
