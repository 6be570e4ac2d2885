/* All sockets are in one epoll set, which itself is one handle of the loop: a stream costs its struct and
 * nothing more while it is idle. A stream that ended stays allocated until the turn's end, since events of
 * the same batch, the dirty list or a caller further up may still name it. */
#include "service/stream.h"

#include "core/buf.h"
#include "core/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define EVENTS_MAX   256
#define PARTS_MAX    64          /* of one writev */
#define READ_SIZE    (64 * 1024) /* of the shared buffer */
#define FEW          2           /* queued parts that need no ring of their own */
#define RING_MIN     16
#define WRITE_ROUNDS 4 /* writev calls for one stream in a turn, then others have theirs */

enum stream_state {
    STREAM_OPEN,
    STREAM_CLOSING,  /* closed by its holder: sends its rest, then waits for the other end's FIN */
    STREAM_SHUT,     /* ... which is what it does now */
    STREAM_FINISHED, /* on the list of the dead */
};

struct socket_stream {
    struct stream base; /* first */
    struct streams *group;
    struct socket_stream *next, *previous; /* of all */
    struct socket_stream *next_dirty, *next_closing, *next_dead;
    union {
        struct shared *few[FEW];
        struct shared **ring;
    } queue;
    uint32_t first, count, capacity; /* of the queue; capacity FEW: no ring */
    uint32_t sent;                   /* bytes of the first part */
    int64_t close_by_ns;
    struct shared *extra;
    int fd;
    uint8_t state;
    bool dirty;
    bool blocked; /* the kernel takes no more: EPOLLOUT is awaited */
};

struct streams {
    struct loop *loop;
    uv_poll_t *poll;
    struct loop_hook hook;
    int set;
    size_t count, max;
    struct socket_stream *all, *dirty, *dead;
    struct socket_stream *closing, **closing_end; /* in the order of close_by_ns */
    struct timer *closing_timer;
    uint8_t bytes[READ_SIZE];
};

/* ---- The queue. ---- */

static struct shared **slot(struct socket_stream *s, uint32_t i)
{
    struct shared **slots = s->capacity == FEW ? s->queue.few : s->queue.ring;
    return &slots[(s->first + i) & (s->capacity - 1)];
}

static void grow(struct socket_stream *s)
{
    uint32_t capacity = s->capacity == FEW ? RING_MIN : 2 * s->capacity;
    struct shared **ring = mem_alloc(capacity * sizeof *ring);
    for (uint32_t i = 0; i < s->count; i++)
        ring[i] = *slot(s, i);
    if (s->capacity != FEW)
        free(s->queue.ring);
    s->queue.ring = ring;
    s->capacity = capacity;
    s->first = 0;
}

static void drop_first(struct socket_stream *s)
{
    shared_drop(*slot(s, 0));
    s->first = (s->first + 1) & (s->capacity - 1);
    s->count--;
    s->sent = 0;
    if (s->count > 0 || s->capacity == FEW)
        return;
    free(s->queue.ring);
    s->capacity = FEW;
    s->first = 0;
}

static void drop_queue(struct socket_stream *s)
{
    while (s->count > 0)
        drop_first(s);
    s->base.unsent_bytes = 0;
}

/* ---- Endings. ---- */

static void mark_dirty(struct socket_stream *s)
{
    if (s->dirty)
        return;
    s->dirty = true;
    s->next_dirty = s->group->dirty;
    s->group->dirty = s;
}

static void finish(struct socket_stream *s)
{
    struct streams *g = s->group;
    if (s->state == STREAM_FINISHED)
        return;
    s->state = STREAM_FINISHED;
    close(s->fd);
    drop_queue(s);
    shared_drop(s->extra);
    s->extra = NULL;
    if (s->previous)
        s->previous->next = s->next;
    else
        g->all = s->next;
    if (s->next)
        s->next->previous = s->previous;
    g->count--;
    s->next_dead = g->dead;
    g->dead = s;
}

/* The other end is gone, or the socket broke. */
static void lose(struct socket_stream *s)
{
    bool tell = s->state == STREAM_OPEN;
    finish(s);
    if (tell && s->base.on_closed)
        s->base.on_closed(&s->base);
}

static void on_closing_late(void *context);

static void await_closing(struct streams *g)
{
    if (g->closing_timer || !g->closing)
        return;
    struct clock_port *clock = loop_clock(g->loop);
    int64_t left_ms = (g->closing->close_by_ns - clock->mono_ns(clock)) / 1000000 + 1;
    g->closing_timer = clock->start(clock, left_ms, on_closing_late, g);
}

static void on_closing_late(void *context)
{
    struct streams *g = context;
    struct clock_port *clock = loop_clock(g->loop);
    int64_t now_ns = clock->mono_ns(clock);
    g->closing_timer = NULL;
    for (struct socket_stream *s = g->closing; s && s->close_by_ns <= now_ns; s = s->next_closing)
        finish(s);
    await_closing(g);
}

/* Forgets finished streams on the list of the closing ones. */
static void sweep_closing(struct streams *g)
{
    struct socket_stream **at = &g->closing;
    while (*at) {
        if ((*at)->state == STREAM_FINISHED)
            *at = (*at)->next_closing;
        else
            at = &(*at)->next_closing;
    }
    g->closing_end = at;
}

/* ---- Writing. ---- */

static void await_writable(struct socket_stream *s, bool blocked)
{
    if (s->blocked == blocked)
        return;
    s->blocked = blocked;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | (blocked ? EPOLLOUT : 0U), .data.ptr = s};
    epoll_ctl(s->group->set, EPOLL_CTL_MOD, s->fd, &event);
}

static void take_sent(struct socket_stream *s, size_t sent)
{
    s->base.unsent_bytes -= sent;
    while (s->count > 0) {
        size_t left = (*slot(s, 0))->size - s->sent;
        if (sent < left)
            break;
        sent -= left;
        drop_first(s);
    }
    s->sent += (uint32_t)sent;
}

/* 1: all that was asked for was taken; 0: the kernel is full; -1: the socket is broken. */
static int write_some(struct socket_stream *s)
{
    struct iovec parts[PARTS_MAX];
    int count = 0;
    size_t asked = 0;
    for (uint32_t i = 0; i < s->count && count < PARTS_MAX; i++) {
        struct shared *bytes = *slot(s, i);
        size_t skip = i == 0 ? s->sent : 0;
        parts[count++] = (struct iovec){bytes->data + skip, bytes->size - skip};
        asked += bytes->size - skip;
    }
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    ssize_t sent = sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
    take_sent(s, (size_t)sent);
    return (size_t)sent == asked ? 1 : 0;
}

static void flush(struct socket_stream *s)
{
    int rc = 1;
    for (int round = 0; rc == 1 && s->count > 0 && round < WRITE_ROUNDS; round++)
        rc = write_some(s);
    if (rc < 0) {
        lose(s);
        return;
    }
    await_writable(s, s->count > 0);
    if (s->count == 0 && s->state == STREAM_CLOSING) {
        s->state = STREAM_SHUT;
        shutdown(s->fd, SHUT_WR);
    }
}

static void on_write(struct stream *stream, struct shared *bytes)
{
    struct socket_stream *s = (struct socket_stream *)stream;
    if (s->state != STREAM_OPEN || bytes->size == 0)
        return;
    if (s->count == s->capacity)
        grow(s);
    s->count++;
    *slot(s, s->count - 1) = shared_hold(bytes);
    stream->unsent_bytes += bytes->size;
    if (!s->blocked)
        mark_dirty(s);
}

static void on_close(struct stream *stream)
{
    struct socket_stream *s = (struct socket_stream *)stream;
    struct streams *g = s->group;
    if (s->state != STREAM_OPEN)
        return;
    struct clock_port *clock = loop_clock(g->loop);
    s->state = STREAM_CLOSING;
    s->close_by_ns = clock->mono_ns(clock) + STREAM_CLOSE_MS * (int64_t)1000000;
    *g->closing_end = s;
    g->closing_end = &s->next_closing;
    await_closing(g);
    mark_dirty(s);
}

static void on_abort(struct stream *stream)
{
    finish((struct socket_stream *)stream);
}

static const struct stream_ops ops = {.write = on_write, .close = on_close, .abort = on_abort};

/* ---- Reading. ---- */

static void give_extra(struct socket_stream *s)
{
    struct shared *extra = s->extra;
    s->extra = NULL;
    if (s->state == STREAM_OPEN && s->base.on_data)
        s->base.on_data(&s->base, (const uint8_t *)extra->data, extra->size);
    shared_drop(extra);
}

static void read_some(struct socket_stream *s)
{
    struct streams *g = s->group;
    if (s->extra)
        give_extra(s);
    if (s->state == STREAM_FINISHED)
        return;
    ssize_t size = recv(s->fd, g->bytes, sizeof g->bytes, MSG_DONTWAIT);
    if (size > 0) {
        if (s->state == STREAM_OPEN && s->base.on_data)
            s->base.on_data(&s->base, g->bytes, (size_t)size);
        return;
    }
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    lose(s);
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    struct streams *g = handle->data;
    struct epoll_event ready[EVENTS_MAX];
    int count = epoll_wait(g->set, ready, EVENTS_MAX, 0);
    for (int i = 0; i < count; i++) {
        struct socket_stream *s = ready[i].data.ptr;
        if (s->state != STREAM_FINISHED && (ready[i].events & EPOLLOUT))
            flush(s);
        if (s->state != STREAM_FINISHED && (ready[i].events & ~(uint32_t)EPOLLOUT))
            read_some(s);
    }
}

/* ---- The turn's end. ---- */

static void free_dead(struct streams *g)
{
    if (g->dead && g->closing)
        sweep_closing(g);
    while (g->dead) {
        struct socket_stream *s = g->dead;
        g->dead = s->next_dead;
        free(s);
    }
}

static bool on_turn_end(void *context)
{
    struct streams *g = context;
    struct socket_stream *s = g->dirty;
    bool worked = s != NULL;
    g->dirty = NULL;
    while (s) {
        struct socket_stream *next = s->next_dirty;
        s->dirty = false;
        if (s->extra)
            give_extra(s);
        if (s->state != STREAM_FINISHED)
            flush(s);
        s = next;
    }
    /* Those that a callback above made dirty again are still named by the list: the dead among them wait. */
    if (!g->dirty)
        free_dead(g);
    return worked;
}

/* ---- The group. ---- */

struct stream *stream_open(void *streams, int fd, const void *extra, size_t extra_size)
{
    struct streams *g = streams;
    if (g->max > 0 && g->count >= g->max) {
        log_debug("stream", "no room for one more streams=%zu", g->count);
        return NULL;
    }
    struct socket_stream *s = mem_zalloc(1, sizeof *s);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = s};
    if (epoll_ctl(g->set, EPOLL_CTL_ADD, fd, &event) != 0) {
        log_error("stream", "no place in epoll errno=%d", errno);
        free(s);
        return NULL;
    }
    int on = 1;
    int off = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    s->base.ops = &ops;
    s->group = g;
    s->fd = fd;
    s->capacity = FEW;
    s->next = g->all;
    if (g->all)
        g->all->previous = s;
    g->all = s;
    g->count++;
    if (extra_size > 0) {
        s->extra = shared_make(extra, extra_size);
        mark_dirty(s);
    }
    return &s->base;
}

size_t streams_count(const struct streams *streams)
{
    return streams->count;
}

int streams_create(struct loop *loop, size_t streams_max, struct streams **out, struct error *e)
{
    struct streams *g = mem_zalloc(1, sizeof *g);
    g->loop = loop;
    g->max = streams_max;
    g->closing_end = &g->closing;
    g->set = epoll_create1(EPOLL_CLOEXEC);
    g->poll = mem_zalloc(1, sizeof *g->poll);
    if (g->set < 0 || uv_poll_init(loop_uv(loop), g->poll, g->set) != 0) {
        error_set(e, ERROR_INTERNAL, "loop", "no epoll for streams: %s", strerror(errno));
        if (g->set >= 0)
            close(g->set);
        free(g->poll);
        free(g);
        return -1;
    }
    g->poll->data = g;
    uv_poll_start(g->poll, UV_READABLE, on_ready);
    g->hook = (struct loop_hook){.fn = on_turn_end, .context = g};
    loop_add_hook(loop, &g->hook);
    *out = g;
    return 0;
}

void streams_destroy(struct streams **streams)
{
    struct streams *g = *streams;
    if (!g)
        return;
    *streams = NULL;
    while (g->all)
        finish(g->all);
    g->dirty = NULL;
    free_dead(g);
    struct clock_port *clock = loop_clock(g->loop);
    clock->cancel(clock, &g->closing_timer);
    loop_remove_hook(g->loop, &g->hook);
    uv_poll_stop(g->poll);
    loop_close_and_free((uv_handle_t *)g->poll);
    close(g->set);
    free(g);
}
