/* The listener and the streams against raw sockets: every refusal, answers now and later, clients that go,
 * upgrades that outlive their connection. */
#include "core/buf.h"
#include "service/door.h"
#include "service/loop.h"
#include "service/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define TURNS_MAX  4000
#define REQUEST_MS 700

struct world {
    struct loop *loop;
    struct streams *streams;
    struct door *door;
    struct request *later; /* a request of /later, not answered yet */
    unsigned requests, gone, streams_opened, streams_refused, closed;
    struct stream *stream;
    struct buf heard; /* by the stream */
    bool stop_echo;
};

static void answer_text(struct request *r, int status, const char *text)
{
    struct reply reply = {
        .status = status, .content_type = "text/plain", .body = text, .body_size = strlen(text)};
    r->ops->answer(r, &reply);
}

static void on_gone(struct request *r)
{
    struct world *w = r->holder;
    w->gone++;
    w->later = NULL;
    answer_text(r, 200, "to nobody");
}

static void on_data(struct stream *s, const uint8_t *bytes, size_t size)
{
    struct world *w = s->holder;
    buf_put(&w->heard, bytes, size);
    if (w->stop_echo)
        return;
    struct shared *copy = shared_make(bytes, size);
    s->ops->write(s, copy);
    shared_drop(copy);
}

static void on_closed(struct stream *s)
{
    struct world *w = s->holder;
    w->closed++;
    w->stream = NULL;
}

static void on_stream(void *context, struct stream *s)
{
    struct world *w = context;
    if (!s) {
        w->streams_refused++;
        return;
    }
    w->streams_opened++;
    w->stream = s;
    s->holder = w;
    s->on_data = on_data;
    s->on_closed = on_closed;
}

static void on_request(void *context, struct request *r)
{
    struct world *w = context;
    w->requests++;
    if (strcmp(r->path, "/later") == 0) {
        w->later = r;
        r->holder = w;
        r->on_gone = on_gone;
    } else if (strcmp(r->path, "/upgrade") == 0) {
        static const char *const headers[] = {"Sec-WebSocket-Accept", "x", NULL};
        r->ops->upgrade(r, headers, on_stream, w);
    } else if (strcmp(r->path, "/echo") == 0 || strcmp(r->path, "/small/echo") == 0) {
        struct reply reply = {
            .status = 200, .content_type = "x/y", .body = r->body, .body_size = r->body_size};
        r->ops->answer(r, &reply);
    } else {
        struct buf text = {0};
        const char *test = r->header(r, "x-test");
        buf_printf(&text, "[%s][%s][%s][%s][%s][%s]", r->method, r->path, r->query, test ? test : "-",
                   r->address, r->request_id);
        answer_text(r, 200, text.data);
        buf_finish(&text);
    }
}

static int set_up(void **state)
{
    static const struct listener_bound bounds[] = {{"/small/", 10}, {NULL, 0}};
    struct world *w = mem_zalloc(1, sizeof *w);
    struct error e;
    assert_int_equal(loop_create(&w->loop, &e), 0);
    assert_int_equal(streams_create(w->loop, 3, &w->streams, &e), 0);
    struct listener_options options = {.request_ms = REQUEST_MS,
                                       .bounds = bounds,
                                       .cors_origins = "https://app.example,https://two.example",
                                       .open_stream = stream_open,
                                       .stream_context = w->streams};
    assert_int_equal(door_open(w->loop, "127.0.0.1", 0, &options, on_request, w, &w->door, &e), 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    door_close(&w->door);
    streams_destroy(&w->streams);
    loop_destroy(&w->loop);
    buf_finish(&w->heard);
    free(w);
    return 0;
}

static int dial(struct world *w)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)listener_port(door_listener(w->door))),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Turns the loop until `fd` has said `wanted` (NULL: until it is closed); what came is in `out`. */
static void hear(struct world *w, int fd, const char *wanted, struct buf *out)
{
    for (int i = 0; i < TURNS_MAX; i++) {
        loop_turn(w->loop, false);
        char bytes[65536];
        ssize_t size = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (size > 0) {
            buf_put(out, bytes, (size_t)size);
        } else if (size == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
            if (!wanted)
                return;
            fail_msg("closed; it said: %s", out->data ? out->data : "nothing");
        } else {
            struct pollfd p = {.fd = fd, .events = POLLIN};
            poll(&p, 1, 1);
        }
        if (wanted && out->data && strstr(out->data, wanted))
            return;
    }
    fail_msg("not heard: %s; but: %s", wanted ? wanted : "(end)", out->data ? out->data : "nothing");
}

static void expect(struct world *w, const char *request, const char *wanted)
{
    int fd = dial(w);
    struct buf heard = {0};
    say(fd, request);
    hear(w, fd, wanted, &heard);
    buf_finish(&heard);
    close(fd);
}

/* The status line, the word, and the end of the connection; the handler was not called. */
static void expect_refused(struct world *w, const char *request, const char *status, const char *word)
{
    unsigned before = w->requests;
    int fd = dial(w);
    struct buf heard = {0};
    say(fd, request);
    hear(w, fd, NULL, &heard);
    assert_non_null(heard.data);
    assert_non_null(strstr(heard.data, status));
    assert_non_null(strstr(heard.data, word));
    const char *id = strstr(heard.data, "X-Request-Id: ");
    const char *named = strstr(heard.data, "\"requestId\":\"");
    assert_non_null(id);
    assert_non_null(named);
    id += strlen("X-Request-Id: ");
    assert_memory_equal(named + strlen("\"requestId\":\""), id, strcspn(id, "\r"));
    assert_int_equal(w->requests, before);
    buf_finish(&heard);
    close(fd);
}

static void request_has_its_parts(void **state)
{
    struct world *w = *state;
    expect(w, "GET /a%20b/c?x=%00&y=1 HTTP/1.1\r\nHost: x\r\nX-TEST: yes\r\nX-Request-Id: abc-1\r\n\r\n",
           "[GET][/a b/c][x=%00&y=1][yes][127.0.0.1][abc-1]");
    expect(w, "PATCH /a HTTP/1.1\r\nHost: x\r\nX-Request-Id: a b\r\nContent-Length: 0\r\n\r\n",
           "[PATCH][/a][][-]");
    expect(w, "GET http://h:1/abs?q HTTP/1.1\r\nHost: x\r\n\r\n", "[GET][/abs][q]");
    expect(w, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "\r\n\r\nhello");
    expect(w,
           "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
           "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
           "\r\n\r\nabcde");
    expect(w, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
           "100 Continue\r\n\r\n");
}

static void connections_are_kept(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    struct buf heard = {0};
    say(fd,
        "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
        "HEAD /3 HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nend");
    hear(w, fd, "\r\n\r\nend", &heard);
    assert_non_null(strstr(heard.data, "[GET][/1]"));
    assert_non_null(strstr(heard.data, "[GET][/2]"));
    assert_null(strstr(heard.data, "[HEAD]"));
    assert_int_equal(w->requests, 4);
    buf_finish(&heard);
    close(fd);
}

/* Half a line, half a header, half a body, said bit by bit: each is cut off; a request that waits for its
 * answer is not. */
static void half_a_request_is_cut_off(void **state)
{
    static const char *const halves[] = {"", "GET /a", "GET /a HTTP/1.1\r\nHos",
                                         "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe"};
    struct world *w = *state;
    struct buf heard = {0};
    int later = dial(w), fds[4];

    say(later, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 4; i++) {
        fds[i] = dial(w);
        say(fds[i], halves[i]);
    }
    for (int i = 0; i < 4; i++) {
        hear(w, fds[i], NULL, &heard);
        close(fds[i]);
    }
    assert_int_equal(heard.size, 0);
    assert_int_equal(listener_cut(door_listener(w->door)), 4);
    assert_non_null(w->later);
    answer_text(w->later, 200, "late");
    hear(w, later, "late", &heard);
    buf_finish(&heard);
    close(later);
}

static void dangerous_requests_are_refused(void **state)
{
    struct world *w = *state;
    expect_refused(w, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
                   " 400 ", "ambiguous_request");
    expect_refused(w,
                   "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "0\r\n\r\n",
                   " 400 ", "ambiguous_request");
    expect_refused(w, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", " 501 ",
                   "unknown_encoding");
    expect_refused(w, "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", " 400 ", "ambiguous_request");
    expect_refused(w, "GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n", " 400 ", "bad_path");
    expect_refused(w, "GET /a%0 HTTP/1.1\r\nHost: x\r\n\r\n", " 400 ", "bad_path");
    expect_refused(w, "GET /a%zz HTTP/1.1\r\nHost: x\r\n\r\n", " 400 ", "bad_path");
    expect_refused(w, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", " 400 ", "bad_path");
    expect_refused(w, "BREW / HTTP/1.1\r\nHost: x\r\n\r\n", " 501 ", "unknown_method");
    expect_refused(w, "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", " 501 ", "unknown_method");
}

/* What the request is answered with, to its end. */
static void ask_as(struct world *w, const char *head, const char *origin, struct buf *heard)
{
    struct buf request = {0};
    int fd = dial(w);
    buf_printf(&request, "%s\r\nHost: x\r\nOrigin: %s\r\n\r\n", head, origin);
    say(fd, request.data);
    buf_clear(heard);
    hear(w, fd, NULL, heard);
    buf_finish(&request);
    close(fd);
}

static void browsers_may_read_a_refusal(void **state)
{
    static const char *const heads[] = {
        "GET /a%00b HTTP/1.1",
        "BREW / HTTP/1.1",
        "POST /echo HTTP/1.1\r\nContent-Length: 262145",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip",
        "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1",
    };
    struct world *w = *state;
    struct buf heard = {0};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        ask_as(w, heads[i], "https://two.example", &heard);
        assert_non_null(strstr(heard.data, "\r\nAccess-Control-Allow-Origin: https://two.example\r\n"));
        assert_non_null(strstr(heard.data, "\r\nAccess-Control-Allow-Credentials: true\r\n"));
        assert_non_null(strstr(heard.data, "\r\nAccess-Control-Expose-Headers: X-Request-Id"));
        assert_non_null(strstr(heard.data, "\r\nVary: Origin\r\n"));
        ask_as(w, heads[i], "https://app.example.evil", &heard);
        assert_null(strstr(heard.data, "Access-Control"));
        assert_non_null(strstr(heard.data, "\r\nVary: Origin\r\n"));
    }
    assert_int_equal(w->requests, 0);
    buf_finish(&heard);
}

static void bodies_have_bounds(void **state)
{
    struct world *w = *state;
    expect(w, "POST /small/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789",
           "\r\n\r\n0123456789");
    expect_refused(w, "POST /small/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n01234567890",
                   " 413 ", "payload_too_large");
    expect_refused(
        w,
        "POST /small/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        "b\r\n01234567890\r\n0\r\n\r\n",
        " 413 ", "payload_too_large");
    expect_refused(w, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 262145\r\n\r\n", " 413 ",
                   "payload_too_large");
}

static void answers_may_come_later(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    struct buf heard = {0};
    for (int i = 0; i < 3; i++) {
        say(fd, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
        for (int turn = 0; !w->later && turn < TURNS_MAX; turn++)
            loop_turn(w->loop, false);
        assert_non_null(w->later);
        assert_int_equal(listener_unanswered(door_listener(w->door)), 1);
        assert_memory_equal(w->later->body, "hi", 3);
        struct request *r = w->later;
        w->later = NULL;
        answer_text(r, 202, "later");
        buf_clear(&heard);
        hear(w, fd, "\r\n\r\nlater", &heard);
        assert_int_equal(listener_unanswered(door_listener(w->door)), 0);
    }
    assert_int_equal(w->gone, 0);
    buf_finish(&heard);
    close(fd);
}

static void holders_hear_that_a_client_went(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int turn = 0; !w->later && turn < TURNS_MAX; turn++)
        loop_turn(w->loop, false);
    assert_non_null(w->later);
    close(fd);
    for (int turn = 0; (w->gone == 0 || listener_connections(door_listener(w->door)) > 0) && turn < TURNS_MAX;
         turn++)
        loop_turn(w->loop, false);
    assert_int_equal(w->gone, 1);
    assert_int_equal(listener_unanswered(door_listener(w->door)), 0);
    assert_int_equal(listener_connections(door_listener(w->door)), 0);
}

static const char upgrade[] =
    "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

static void upgraded_sockets_outlive_their_connection(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    struct buf heard = {0};
    struct buf both = {0};
    buf_put_text(&both, upgrade);
    buf_put_text(&both, "early");
    say(fd, both.data);
    hear(w, fd, "early", &heard);
    assert_non_null(strstr(heard.data, " 101 "));
    assert_non_null(strstr(heard.data, "Sec-WebSocket-Accept: x"));
    assert_int_equal(listener_connections(door_listener(w->door)), 0);
    assert_int_equal(streams_count(w->streams), 1);
    buf_clear(&heard);
    say(fd, "and more");
    hear(w, fd, "and more", &heard);
    assert_string_equal(w->heard.data, "earlyand more");
    assert_non_null(w->stream);
    assert_int_equal(w->stream->unsent_bytes, 0);
    close(fd);
    for (int turn = 0; w->closed == 0 && turn < TURNS_MAX; turn++)
        loop_turn(w->loop, false);
    assert_int_equal(w->closed, 1);
    assert_int_equal(streams_count(w->streams), 0);
    buf_finish(&heard);
    buf_finish(&both);
}

static int upgraded(struct world *w)
{
    int fd = dial(w);
    struct buf heard = {0};
    say(fd, upgrade);
    hear(w, fd, "\r\n\r\n", &heard);
    for (int turn = 0; !w->stream && turn < TURNS_MAX; turn++)
        loop_turn(w->loop, false);
    assert_non_null(w->stream);
    buf_finish(&heard);
    return fd;
}

static void upgrades_have_limits(void **state)
{
    struct world *w = *state;
    expect(w, "GET /upgrade HTTP/1.0\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
           " 400 ");
    assert_int_equal(w->streams_refused, 1);
    int fds[4];
    for (int i = 0; i < 3; i++)
        fds[i] = upgraded(w);
    struct buf heard = {0};
    fds[3] = dial(w);
    say(fds[3], upgrade);
    hear(w, fds[3], NULL, &heard);
    assert_int_equal(w->streams_refused, 2);
    assert_int_equal(w->streams_opened, 3);
    buf_finish(&heard);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

static void a_closed_stream_sends_its_rest(void **state)
{
    struct world *w = *state;
    int fd = upgraded(w);
    size_t total = 0;
    struct stream *s = w->stream;
    struct shared *part = shared_make(NULL, 100000);
    memset(part->data, 'x', part->size);
    for (int i = 0; i < 100; i++) {
        s->ops->write(s, part);
        total += part->size;
    }
    assert_int_equal(s->unsent_bytes, total);
    assert_int_equal(part->holders, 101);
    loop_turn(w->loop, false);
    assert_true(s->unsent_bytes > 0); /* more than the kernel takes */
    assert_true(s->unsent_bytes < total);
    s->ops->close(s);
    s->ops->write(s, part); /* too late */
    struct buf heard = {0};
    hear(w, fd, NULL, &heard);
    assert_int_equal(heard.size, total);
    assert_int_equal(part->holders, 1);
    close(fd);
    for (int turn = 0; streams_count(w->streams) > 0 && turn < TURNS_MAX; turn++)
        loop_turn(w->loop, false);
    assert_int_equal(streams_count(w->streams), 0);
    assert_int_equal(w->closed, 0);
    shared_drop(part);
    buf_finish(&heard);
}

static void a_stream_that_nobody_reads_is_ended(void **state)
{
    struct world *w = *state;
    int fd = upgraded(w);
    struct shared *part = shared_make(NULL, 10000000);
    memset(part->data, 'x', part->size);
    w->stream->ops->write(w->stream, part);
    w->stream->ops->close(w->stream);
    struct clock_port *clock = loop_clock(w->loop);
    int64_t from_ns = clock->mono_ns(clock);
    while (streams_count(w->streams) > 0 && clock->mono_ns(clock) - from_ns < 10 * INT64_C(1000000000))
        loop_turn(w->loop, true);
    assert_int_equal(streams_count(w->streams), 0);
    loop_turn(w->loop, false);
    assert_int_equal(part->holders, 1);
    shared_drop(part);
    close(fd);
}

static void an_aborted_stream_is_gone_at_once(void **state)
{
    struct world *w = *state;
    int fd = upgraded(w);
    struct shared *part = shared_make("abc", 3);
    w->stream->ops->write(w->stream, part);
    w->stream->ops->abort(w->stream);
    assert_int_equal(part->holders, 1);
    struct buf heard = {0};
    hear(w, fd, NULL, &heard);
    assert_int_equal(heard.size, 0);
    assert_int_equal(w->closed, 0);
    shared_drop(part);
    close(fd);
}

static void a_quiesced_listener_answers_what_it_has(void **state)
{
    struct world *w = *state;
    int fd = dial(w);
    say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int turn = 0; !w->later && turn < TURNS_MAX; turn++)
        loop_turn(w->loop, false);
    listener_quiesce(door_listener(w->door));
    loop_turn(w->loop, false);
    int other = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)listener_port(door_listener(w->door))),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(other, (struct sockaddr *)&a, sizeof a), -1);
    close(other);
    answer_text(w->later, 200, "last");
    struct buf heard = {0};
    hear(w, fd, NULL, &heard);
    assert_non_null(strstr(heard.data, "\r\n\r\nlast"));
    buf_finish(&heard);
    close(fd);
}

static void a_port_in_use_is_said(void **state)
{
    struct world *w = *state;
    struct door *door = NULL;
    struct error e;
    int port = listener_port(door_listener(w->door));
    assert_int_equal(door_open(w->loop, "127.0.0.1", port, NULL, on_request, w, &door, &e), -1);
    assert_string_equal(e.word, "address_in_use");
    assert_int_equal(door_open(w->loop, "no.such.host", port, NULL, on_request, w, &door, &e), -1);
    assert_string_equal(e.word, "bad_option");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(request_has_its_parts),
        CASE(connections_are_kept),
        CASE(half_a_request_is_cut_off),
        CASE(dangerous_requests_are_refused),
        CASE(browsers_may_read_a_refusal),
        CASE(bodies_have_bounds),
        CASE(answers_may_come_later),
        CASE(holders_hear_that_a_client_went),
        CASE(upgraded_sockets_outlive_their_connection),
        CASE(upgrades_have_limits),
        CASE(a_closed_stream_sends_its_rest),
        CASE(a_stream_that_nobody_reads_is_ended),
        CASE(an_aborted_stream_is_gone_at_once),
        CASE(a_quiesced_listener_answers_what_it_has),
        CASE(a_port_in_use_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
