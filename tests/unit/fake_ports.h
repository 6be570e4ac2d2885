/* The service's edges for tests of the bridge: a clock that stands until it is moved, requests and streams
 * that remember what was sent, a database and a broker that answer when told to.
 *
 * Flow:   test -> fake -> the bridge -> fake -> test.
 * Thread: one.
 * Owns:   what it made, until its finish function. */
#ifndef PARLOR_TESTS_UNIT_FAKE_PORTS_H
#define PARLOR_TESTS_UNIT_FAKE_PORTS_H

#include "bridge/websocket.h"
#include "core/buf.h"
#include "core/ports.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- Clock. ---- */

struct timer {
    struct timer *next;
    int64_t due_ns;
    timer_fn fn;
    void *context;
};

struct fake_clock {
    struct clock_port port; /* first */
    int64_t now_ns, wall_offset_ms;
    struct timer *timers;
};

static inline int64_t fake_wall_ms(struct clock_port *port)
{
    struct fake_clock *c = (struct fake_clock *)port;

    return c->now_ns / 1000000 + c->wall_offset_ms;
}

static inline int64_t fake_mono_ns(struct clock_port *port)
{
    return ((struct fake_clock *)port)->now_ns;
}

static inline struct timer *fake_start(struct clock_port *port, int64_t delay_ms, timer_fn fn, void *context)
{
    struct fake_clock *c = (struct fake_clock *)port;
    struct timer *t = mem_zalloc(1, sizeof *t), **place = &c->timers;

    t->due_ns = c->now_ns + delay_ms * 1000000;
    t->fn = fn;
    t->context = context;
    while (*place != NULL && (*place)->due_ns <= t->due_ns)
        place = &(*place)->next;
    t->next = *place;
    *place = t;
    return t;
}

static inline void fake_cancel(struct clock_port *port, struct timer **timer)
{
    struct fake_clock *c = (struct fake_clock *)port;

    for (struct timer **place = &c->timers; *timer != NULL && *place != NULL; place = &(*place)->next) {
        if (*place == *timer) {
            *place = (*timer)->next;
            free(*timer);
            break;
        }
    }
    *timer = NULL;
}

static inline void fake_clock_init(struct fake_clock *c)
{
    *c = (struct fake_clock){.port = {fake_wall_ms, fake_mono_ns, fake_start, fake_cancel},
                             .now_ns = 1000000000,
                             .wall_offset_ms = 1700000000000};
}

/* Moves it, running what is due on the way. With 0: what is due now. */
static inline void fake_advance(struct fake_clock *c, int64_t ms)
{
    int64_t end = c->now_ns + ms * 1000000;

    while (c->timers != NULL && c->timers->due_ns <= end) {
        struct timer *t = c->timers;

        c->timers = t->next;
        if (t->due_ns > c->now_ns)
            c->now_ns = t->due_ns;
        t->fn(t->context);
        free(t);
    }
    c->now_ns = end;
}

/* ---- Streams. ---- */

struct fake_stream {
    struct stream stream; /* first */
    struct buf out;
    bool closed, aborted;
};

static inline void fake_write(struct stream *stream, struct shared *bytes)
{
    struct fake_stream *s = (struct fake_stream *)stream;

    assert(!s->closed && !s->aborted);
    buf_put(&s->out, bytes->data, bytes->size);
}

static inline void fake_close(struct stream *stream)
{
    ((struct fake_stream *)stream)->closed = true;
}

static inline void fake_abort(struct stream *stream)
{
    ((struct fake_stream *)stream)->aborted = true;
}

static inline struct fake_stream *fake_stream_make(void)
{
    static const struct stream_ops ops = {fake_write, fake_close, fake_abort};
    struct fake_stream *s = mem_zalloc(1, sizeof *s);

    s->stream.ops = &ops;
    return s;
}

static inline void fake_stream_free(struct fake_stream *s)
{
    buf_finish(&s->out);
    free(s);
}

/* Appends a client's frame: masked, final unless `more`. */
static inline void fake_frame(struct buf *out, unsigned opcode, bool more, const void *bytes, size_t size)
{
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    uint8_t header[WEBSOCKET_HEADER_MAX];
    size_t length = websocket_header(header, (enum websocket_opcode)opcode, size);

    header[0] = (uint8_t)((more ? 0 : 0x80) | opcode);
    header[1] |= 0x80;
    buf_put(out, header, length);
    buf_put(out, mask, sizeof mask);
    for (size_t i = 0; i < size; i++)
        buf_put_byte(out, (unsigned char)(((const uint8_t *)bytes)[i] ^ mask[i % 4]));
}

static inline void fake_say(struct fake_stream *s, unsigned opcode, const void *bytes, size_t size)
{
    struct buf frame = {0};

    fake_frame(&frame, opcode, false, bytes, size);
    s->stream.on_data(&s->stream, (const uint8_t *)frame.data, frame.size);
    buf_finish(&frame);
}

static inline void fake_say_text(struct fake_stream *s, const char *text)
{
    fake_say(s, WEBSOCKET_TEXT, text, strlen(text));
}

/* What was written since the last call, frame by frame: text as it is, other opcodes as <opcode> and the
 * payload, with a line end behind each. Lives until the next call. */
static inline const char *fake_heard(struct fake_stream *s)
{
    static struct buf text;

    buf_clear(&text);
    buf_put_text(&text, "");
    for (size_t at = 0; at < s->out.size;) {
        const uint8_t *h = (const uint8_t *)s->out.data + at;
        size_t size = h[1], header = 2;
        unsigned opcode = h[0] & 15;

        if (size == 126) {
            size = ((size_t)h[2] << 8) | h[3];
            header = 4;
        } else if (size == 127) {
            size = ((size_t)h[6] << 24) | ((size_t)h[7] << 16) | ((size_t)h[8] << 8) | h[9];
            header = 10;
        }
        if (opcode == WEBSOCKET_CLOSE)
            buf_printf(&text, "<close %d>", (h[header] << 8) | h[header + 1]);
        else if (opcode != WEBSOCKET_TEXT)
            buf_printf(&text, "<%u>", opcode);
        if (opcode != WEBSOCKET_CLOSE)
            buf_put(&text, h + header, size);
        buf_put_byte(&text, '\n');
        at += header + size;
    }
    buf_clear(&s->out);
    return text.data != NULL ? text.data : "";
}

/* ---- Requests. ---- */

#define FAKE_HEADERS_MAX 8

struct fake_request {
    struct request request; /* first */
    const char *names[FAKE_HEADERS_MAX], *values[FAKE_HEADERS_MAX];
    int answered, status;
    struct buf body, headers;
    request_stream_fn on_stream;
    void *context;
};

static inline const char *fake_header(const struct request *request, const char *name)
{
    const struct fake_request *r = (const struct fake_request *)request;

    for (int i = 0; i < FAKE_HEADERS_MAX; i++) {
        if (r->names[i] != NULL && strcasecmp(r->names[i], name) == 0)
            return r->values[i];
    }
    return NULL;
}

static inline void fake_headers(struct fake_request *r, const char *const *headers)
{
    for (; headers != NULL && *headers != NULL; headers += 2)
        buf_printf(&r->headers, "%s: %s\n", headers[0], headers[1]);
}

static inline void fake_answer(struct request *request, const struct reply *reply)
{
    struct fake_request *r = (struct fake_request *)request;

    assert(r->answered == 0);
    r->answered++;
    r->status = reply->status;
    buf_put_text(&r->body, "");
    buf_reserve(&r->body, 1);
    if (reply->body_size > 0)
        buf_put(&r->body, reply->body, reply->body_size);
    fake_headers(r, reply->headers);
}

static inline void fake_upgrade(struct request *request, const char *const *headers,
                                request_stream_fn on_stream, void *context)
{
    struct fake_request *r = (struct fake_request *)request;

    assert(r->answered == 0);
    r->answered++;
    r->status = 101;
    fake_headers(r, headers);
    r->on_stream = on_stream;
    r->context = context;
}

static inline void fake_request_init(struct fake_request *r, const char *method, const char *query,
                                     const char *body)
{
    static const struct request_ops ops = {fake_upgrade, fake_answer};

    *r = (struct fake_request){.request = {.ops = &ops,
                                           .method = method,
                                           .path = "/socket.io/",
                                           .query = query,
                                           .body = body,
                                           .body_size = body != NULL ? strlen(body) : 0,
                                           .address = "127.0.0.1",
                                           .request_id = "r1",
                                           .header = fake_header}};
}

static inline void fake_request_header(struct fake_request *r, const char *name, const char *value)
{
    int i = 0;

    while (r->names[i] != NULL)
        i++;
    r->names[i] = name;
    r->values[i] = value;
}

static inline void fake_request_finish(struct fake_request *r)
{
    buf_finish(&r->body);
    buf_finish(&r->headers);
}

static inline const char *fake_body(const struct fake_request *r)
{
    return r->body.data != NULL ? r->body.data : "";
}

#endif
