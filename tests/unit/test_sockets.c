/* Namespaces and sockets: both kinds of ack, attachments, what ends a socket and what the whole session. */
#include "bridge/sockets.h"
#include "tests/unit/fake_ports.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct world {
    struct fake_clock clock;
    struct sockets *sockets;
    struct fake_stream *stream;
    struct socket *socket; /* the last that connected */
    int connected, disconnected;
    enum session_end end;
    struct buf answers; /* to socket_ask */
    bool later;         /* CONNECT is not answered at once */
};

static void on_connect(void *self, struct socket *socket, struct slice auth, const char *authorization)
{
    struct world *w = self;

    (void)authorization;
    w->connected++;
    w->socket = socket;
    if (w->later)
        return;
    socket_accept(socket, NULL);
    socket_emit(socket, "auth", auth);
}

static void on_event(void *self, struct socket *socket, const struct event *event)
{
    (void)self;
    if (slice_is(event->name, "bye"))
        socket_disconnect(socket);
    else if (event->ack.size > 0)
        socket_ack(socket, &event->ack, event->args, event->attachments, event->attachment_count);
    else
        socket_emit_binary(socket, "back", event->args, event->attachments, event->attachment_count);
}

static void on_disconnect(void *self, struct socket *socket, enum session_end end)
{
    struct world *w = self;

    (void)socket;
    w->disconnected++;
    w->end = end;
}

static void on_answer(void *context, const struct slice *args)
{
    struct world *w = context;

    if (args == NULL)
        buf_put_text(&w->answers, "none;");
    else
        buf_printf(&w->answers, "%.*s;", (int)args->size, args->text);
}

static int setup(void **state)
{
    struct world *w = mem_zalloc(1, sizeof *w);
    struct fake_request r;

    fake_clock_init(&w->clock);
    w->sockets = sockets_create(&w->clock.port,
                                &(struct engine_options){.ping_interval_ms = 25000,
                                                         .ping_timeout_ms = 20000,
                                                         .upgrade_timeout_ms = 10000,
                                                         .payload_max = 1000,
                                                         .unsent_max = 100000},
                                1000);
    sockets_add(
        w->sockets, "/",
        &(struct nsp_handlers){
            .self = w, .on_connect = on_connect, .on_event = on_event, .on_disconnect = on_disconnect});
    sockets_add(w->sockets, "/free",
                &(struct nsp_handlers){.self = w,
                                       .anonymous = true,
                                       .on_connect = on_connect,
                                       .on_event = on_event,
                                       .on_disconnect = on_disconnect});
    w->stream = fake_stream_make();
    fake_request_init(&r, "GET", "EIO=4&transport=websocket", NULL);
    fake_request_header(&r, "Upgrade", "websocket");
    fake_request_header(&r, "Connection", "keep-alive, Upgrade");
    fake_request_header(&r, "Sec-WebSocket-Version", "13");
    fake_request_header(&r, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    sockets_request(w->sockets, &r.request);
    r.on_stream(r.context, &w->stream->stream);
    fake_request_finish(&r);
    fake_heard(w->stream);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sockets_destroy(&w->sockets);
    assert_int_equal(w->connected, w->disconnected);
    assert_null(w->clock.timers);
    fake_stream_free(w->stream);
    buf_finish(&w->answers);
    free(w);
    return 0;
}

static void say(struct world *w, const char *text)
{
    fake_say_text(w->stream, text);
}

static void connect_root(struct world *w)
{
    const char *text;

    say(w, "40{\"a\":1}");
    text = fake_heard(w->stream);
    assert_memory_equal(text, "40{\"sid\":\"", 10);
    assert_string_equal(text + 10 + 20, "\"}\n42[\"auth\",{\"a\":1}]\n");
}

static void test_events_and_acks(void **state)
{
    struct world *w = *state;

    connect_root(w);
    say(w, "42[\"m\",1,\"2\",{\"3\":[true]}]");
    assert_string_equal(fake_heard(w->stream), "42[\"back\",1,\"2\",{\"3\":[true]}]\n");
    say(w, "42456[\"m\",1]");
    assert_string_equal(fake_heard(w->stream), "43456[1]\n");
    say(w, "420[\"m\"]");
    assert_string_equal(fake_heard(w->stream), "430[]\n");
}

static void test_attachments(void **state)
{
    struct world *w = *state;

    connect_root(w);
    say(w, "452-9[\"m\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]");
    fake_say(w->stream, WEBSOCKET_BINARY, "\x01\x02", 2);
    assert_string_equal(fake_heard(w->stream), "");
    fake_say(w->stream, WEBSOCKET_BINARY, "\x03", 1);
    assert_string_equal(
        fake_heard(w->stream),
        "462-9[{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]\n<2>\x01\x02\n<2>\x03\n");
    say(w, "451-[\"m\",{\"_placeholder\":true,\"num\":0}]");
    assert_false(w->stream->closed);
    say(w, "42[\"m\"]"); /* text where an attachment is due */
    assert_true(w->stream->closed);
    assert_int_equal(w->end, SESSION_PARSE_ERROR);
}

static void test_attachment_unasked(void **state)
{
    struct world *w = *state;

    connect_root(w);
    fake_say(w->stream, WEBSOCKET_BINARY, "\x01", 1);
    assert_true(w->stream->closed);
}

static void test_server_asks(void **state)
{
    struct world *w = *state;

    connect_root(w);
    socket_ask(w->socket, "q", (struct slice){"1", 1}, on_answer, w);
    socket_ask(w->socket, "q", (struct slice){"2", 1}, on_answer, w);
    socket_ask(w->socket, "q", (struct slice){NULL, 0}, on_answer, w);
    assert_string_equal(fake_heard(w->stream), "420[\"q\",1]\n421[\"q\",2]\n422[\"q\"]\n");
    say(w, "431[\"b\",2]");
    say(w, "431[\"again\"]");
    say(w, "4399[]");
    say(w, "430[]");
    assert_string_equal(w->answers.data, "\"b\",2;;");
    say(w, "41");
    assert_string_equal(w->answers.data, "\"b\",2;;none;");
}

static void test_disconnects(void **state)
{
    struct world *w = *state;

    connect_root(w);
    say(w, "42[\"b\\u0079e\"]");
    assert_string_equal(fake_heard(w->stream), "41\n");
    assert_int_equal(w->end, SESSION_CLOSED);
    connect_root(w);
    say(w, "41");
    assert_int_equal(w->end, SESSION_CLIENT_LEFT);
    assert_false(w->stream->closed);
    say(w, "42[\"m\"]"); /* not connected any more */
    assert_true(w->stream->closed);
}

/* Only a socket that counts keeps the session; when it is gone the time runs again. */
static void test_connect_timeout(void **state)
{
    struct world *w = *state;

    fake_advance(&w->clock, 999);
    say(w, "40/free,");
    fake_heard(w->stream);
    connect_root(w);
    fake_advance(&w->clock, 5000);
    assert_false(w->stream->closed);
    say(w, "41");
    fake_advance(&w->clock, 999);
    assert_false(w->stream->closed);
    fake_advance(&w->clock, 1);
    assert_true(w->stream->closed);
}

static void test_later_answers(void **state)
{
    struct world *w = *state;

    w->later = true;
    say(w, "40");
    assert_string_equal(fake_heard(w->stream), "");
    socket_refuse(w->socket, "{\"message\":\"no\"}");
    w->connected--; /* a refused one is not told again */
    assert_string_equal(fake_heard(w->stream), "44{\"message\":\"no\"}\n");
    say(w, "40");
    say(w, "41"); /* left before the answer */
    assert_int_equal(w->disconnected, 1);
    say(w, "40");
    say(w, "42[\"m\"]"); /* spoke before it */
    assert_true(w->stream->closed);
}

/* A client whose socket disconnects before it is connected says nothing of it, and CONNECT again when it is
 * to connect anew: that one counts, and others of the session stay. */
static void test_connects_anew(void **state)
{
    struct world *w = *state;
    const char *text;

    say(w, "40/free,");
    fake_heard(w->stream);
    w->later = true;
    say(w, "40{\"a\":1}");
    say(w, "40{\"a\":2}");
    assert_false(w->stream->closed);
    assert_int_equal(w->disconnected, 1);
    assert_int_equal(w->end, SESSION_CLIENT_LEFT);
    socket_accept(w->socket, NULL);
    text = fake_heard(w->stream);
    assert_memory_equal(text, "40{\"sid\":\"", 10);
    assert_string_equal(text + 10 + 20, "\"}\n");
    say(w, "40{\"a\":3}"); /* connected already */
    assert_true(w->stream->closed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_events_and_acks), TEST(test_attachments),
                                       TEST(test_server_asks),     TEST(test_attachment_unasked),
                                       TEST(test_disconnects),     TEST(test_connect_timeout),
                                       TEST(test_later_answers),   TEST(test_connects_anew)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
