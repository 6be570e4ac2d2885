/* Frames that wait are kept as they go out on WebSocket; a poll's answer leaves their headers out. What a
 * turn of the loop sends to a held poll goes out together at its end, by the engine's turn timer; there too
 * are sessions ended that overflowed, so that session_send never ends one under the hands of its caller. */
#include "bridge/session.h"

#include "bridge/admission.h"
#include "bridge/engineio.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S        1000000000
#define SESSION_BURST_S 5 /* a session's bucket holds so many seconds' worth of packets */

/* ---- Life. ---- */

void session_use(struct session *s)
{
    s->busy++;
}

static void session_free(struct session *s)
{
    assert(!s->in_turn);
    free(s);
}

/* Frees what was closed meanwhile. */
void session_unuse(struct session *s)
{
    if (--s->busy == 0 && s->closed && !s->in_turn)
        session_free(s);
}

static void stream_drop(struct session *s, enum websocket_status status)
{
    struct stream *stream = s->stream;

    s->stream = NULL;
    websocket_release(s->engine->readers, &s->reader);
    if (stream == NULL)
        return;
    if (status != 0) {
        struct shared *frame = websocket_close_frame(status);

        stream->ops->write(stream, frame);
        shared_drop(frame);
        stream->ops->close(stream);
    } else {
        stream->ops->abort(stream);
    }
}

static enum websocket_status close_status(enum session_end end)
{
    switch (end) {
    case SESSION_TRANSPORT_ERROR:
    case SESSION_SLOW_READER:
        return 0;
    case SESSION_FLOOD:
        return WEBSOCKET_POLICY;
    case SESSION_TOO_BIG:
        return WEBSOCKET_TOO_BIG;
    case SESSION_SHUTDOWN:
        return WEBSOCKET_GOING_AWAY;
    default:
        return WEBSOCKET_NORMAL;
    }
}

/* ---- The end of a turn. ---- */

static void at_turn(struct session *s)
{
    struct engine *e = s->engine;

    if (s->in_turn)
        return;
    s->in_turn = true;
    s->turn_next = e->turn;
    e->turn = s;
    if (e->turn_timer == NULL)
        e->turn_timer = e->clock->start(e->clock, 0, session_turn, e);
}

size_t session_unsent(const struct session *s)
{
    return (s->stream != NULL ? s->stream->unsent_bytes : 0) + (s->polling != NULL ? s->polling->bytes : 0);
}

/* Judged at the end of the turn, when what could be sent has been: however much one turn brings, only what
 * its reader leaves lying counts. */
static bool is_behind(const struct session *s)
{
    return session_unsent(s) > s->engine->options.unsent_max;
}

void session_turn(void *context)
{
    struct engine *e = context;
    struct session *s = e->turn, *next;

    e->turn_timer = NULL;
    e->turn = NULL;
    for (; s != NULL; s = next) {
        next = s->turn_next;
        s->in_turn = false;
        session_use(s);
        if (!s->closed && s->polling != NULL && s->transport < TRANSPORT_PROBED)
            session_flush_poll(s, NULL);
        if (!s->closed && is_behind(s))
            session_end(s, SESSION_SLOW_READER);
        session_unuse(s);
    }
}

/* Writes a frame made by websocket_frame, its bytes as base64 to a client that can't take them. */
static void write_frame(struct session *s, struct shared *frame)
{
    struct buf text = {0};
    struct shared *as_text;
    const char *bytes;
    size_t size;

    if (!s->base64 || websocket_payload(frame, &bytes, &size) != WEBSOCKET_BINARY) {
        s->stream->ops->write(s->stream, frame);
        return;
    }
    engineio_batch_put(&text, true, bytes, size);
    as_text = websocket_frame(WEBSOCKET_TEXT, text.data, text.size);
    s->stream->ops->write(s->stream, as_text);
    shared_drop(as_text);
    buf_finish(&text);
}

void session_send(struct session *s, struct shared *frame)
{
    struct polling *p = s->polling;

    if (s->closed)
        return;
    if (s->transport == TRANSPORT_WEBSOCKET) {
        write_frame(s, frame);
    } else {
        if (p->count == p->capacity) {
            p->capacity = p->capacity == 0 ? 4 : p->capacity * 2;
            p->waiting = mem_realloc(p->waiting, p->capacity * sizeof(struct shared *));
        }
        p->waiting[p->count++] = shared_hold(frame);
        p->bytes += frame->size;
        if (p->poll != NULL)
            at_turn(s);
    }
    if (is_behind(s))
        at_turn(s);
}

void session_send_message(struct session *s, bool binary, const char *bytes, size_t size)
{
    struct shared *frame;

    if (binary) {
        frame = websocket_frame(WEBSOCKET_BINARY, bytes, size);
    } else {
        frame = websocket_frame(WEBSOCKET_TEXT, NULL, size + 1);
        frame->data[frame->size - size - 1] = '0' + ENGINEIO_MESSAGE;
        if (size > 0)
            memcpy(frame->data + frame->size - size, bytes, size);
    }
    session_send(s, frame);
    shared_drop(frame);
}

/* ---- Packets. ---- */

void session_end(struct session *s, enum session_end end)
{
    struct engine *e = s->engine;

    if (s->closed)
        return;
    session_use(s);
    s->closed = true;
    e->stats.sessions--;
    e->stats.websockets -= s->transport == TRANSPORT_WEBSOCKET;
    e->stats.ended[end]++;
    session_is_known(s, true);
    engine_remove(e, s);
    deadlines_clear(e->beats, &s->beat);
    e->handlers.on_close(e->handlers.self, s, end);
    if (s->polling != NULL && s->polling->poll != NULL)
        session_flush_poll(s, end == SESSION_CLIENT_LEFT ? "6" : "1");
    else if (s->polling != NULL && s->parting)
        session_leave_words(s, "1");
    stream_drop(s, close_status(end));
    session_free_polling(s);
    session_unuse(s);
}

void session_close(struct session *s, enum session_end end)
{
    s->parting = true;
    session_end(s, end);
}

/* After the probe everything waits, a ping too: the time of its pong begins when it goes out. */
static void await_pong_anew(struct session *s)
{
    if (s->awaits_pong)
        deadlines_set(s->engine->beats, &s->beat, s->engine->options.ping_timeout_ms);
}

static void upgrade_done(struct session *s)
{
    struct polling *p = s->polling;

    s->transport = TRANSPORT_WEBSOCKET;
    await_pong_anew(s);
    s->engine->stats.websockets++;
    if (p->poll != NULL)
        session_answer_poll(s, "6", 1);
    for (size_t i = 0; i < p->count; i++)
        write_frame(s, p->waiting[i]);
    session_free_polling(s);
}

void session_is_known(struct session *s, bool known)
{
    if (s->known == known)
        return;
    s->known = known;
    admission_count(s->engine->admission, s->place, known ? -1 : 1);
}

/* False when it was a packet too many, and the session has ended for it. */
static bool within_rate(struct session *s)
{
    struct engine *e = s->engine;
    int64_t now, cost, at;

    if (e->options.packets_per_s <= 0)
        return true;
    now = e->clock->mono_ns(e->clock);
    cost = NS_PER_S / e->options.packets_per_s;
    at = s->full_ns > now ? s->full_ns : now;
    if (at + cost - now > (int64_t)SESSION_BURST_S * NS_PER_S) {
        session_end(s, SESSION_FLOOD);
        return false;
    }
    s->full_ns = at + cost;
    return true;
}

bool session_on_packet(struct session *s, const struct engineio_packet *packet)
{
    struct engine *e = s->engine;

    if (!within_rate(s))
        return false;
    switch (packet->type) {
    case ENGINEIO_MESSAGE:
        e->handlers.on_message(e->handlers.self, s, packet->binary, packet->data, packet->size);
        break;
    case ENGINEIO_PONG:
        s->awaits_pong = false;
        deadlines_set(e->beats, &s->beat, e->options.ping_interval_ms);
        break;
    case ENGINEIO_CLOSE:
        session_end(s, SESSION_CLIENT_LEFT);
        break;
    case ENGINEIO_NOOP:
        break;
    default: /* the server opens and pings; an upgrade needs a stream */
        session_end(s, SESSION_PARSE_ERROR);
    }
    return !s->closed;
}

void session_on_beat(void *context, struct deadline *deadline)
{
    struct engine *e = context;
    struct session *s = owner_of(deadline, struct session, beat);

    if (s->awaits_pong && s->transport == TRANSPORT_PROBED) { /* the upgrade has a limit of its own */
        deadlines_repeat(e->beats, &s->beat, e->options.ping_timeout_ms);
        return;
    }
    if (s->awaits_pong) {
        session_end(s, SESSION_PING_TIMEOUT);
        return;
    }
    s->awaits_pong = true;
    deadlines_repeat(e->beats, &s->beat, e->options.ping_timeout_ms);
    session_send(s, e->ping);
}

/* ---- Opening. ---- */

void session_make_id(char out[SESSION_ID_SIZE])
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    uint8_t random[SESSION_ID_SIZE];

    random_bytes(random, sizeof random);
    for (size_t i = 0; i < SESSION_ID_SIZE; i++)
        out[i] = set[random[i] & 63];
}

struct shared *session_open_frame(const struct session *s)
{
    const struct engine_options *o = &s->engine->options;
    struct buf text = {0};
    struct shared *frame;

    buf_printf(&text,
               "0{\"sid\":\"%.*s\",\"upgrades\":[%s],\"pingInterval\":%lld,\"pingTimeout\":%lld,"
               "\"maxPayload\":%zu}",
               SESSION_ID_SIZE, s->id, s->polling != NULL ? "\"websocket\"" : "",
               (long long)o->ping_interval_ms, (long long)o->ping_timeout_ms, o->payload_max);
    frame = websocket_frame(WEBSOCKET_TEXT, text.data, text.size);
    buf_finish(&text);
    return frame;
}

static void on_data(struct stream *stream, const uint8_t *bytes, size_t size);
static void on_closed(struct stream *stream);

static void take_stream(struct session *s, struct stream *stream)
{
    s->stream = stream;
    stream->holder = s;
    stream->on_data = on_data;
    stream->on_closed = on_closed;
}

struct session *session_open(struct engine *e, struct stream *stream, const struct handshake *handshake)
{
    struct session *s = mem_zalloc(1, sizeof *s);
    struct shared *frame;

    s->engine = e;
    s->base64 = handshake->base64;
    session_make_id(s->id);
    if (stream != NULL) {
        s->transport = TRANSPORT_WEBSOCKET;
        take_stream(s, stream);
    } else {
        s->polling = mem_zalloc(1, sizeof *s->polling);
        s->polling->session = s;
    }
    /* Sent before on_open, so that it is the first packet. */
    frame = session_open_frame(s);
    session_send(s, frame);
    shared_drop(frame);
    if (!e->handlers.on_open(e->handlers.self, s, handshake)) {
        stream_drop(s, WEBSOCKET_NORMAL);
        session_free_polling(s);
        free(s);
        return NULL;
    }
    e->stats.sessions++;
    e->stats.opened++;
    s->place = admission_place(handshake->address);
    if (!s->known)
        admission_count(e->admission, s->place, 1);
    e->stats.websockets += stream != NULL;
    engine_add(e, s);
    deadlines_set(e->beats, &s->beat, e->options.ping_interval_ms);
    return s;
}

/* ---- The WebSocket transport, and the upgrade to it. ---- */

/* What the stream is answered with at once, whatever the transport; it counts as unsent like all else. */
static void answer_stream(struct session *s, enum websocket_opcode opcode, const char *bytes, size_t size)
{
    struct shared *frame = websocket_frame(opcode, bytes, size);

    s->stream->ops->write(s->stream, frame);
    shared_drop(frame);
    if (is_behind(s))
        at_turn(s);
}

/* The stream was no good; polling goes on. */
static void upgrade_failed(struct session *s, enum websocket_status status)
{
    stream_drop(s, status);
    if (s->transport == TRANSPORT_PROBED)
        await_pong_anew(s);
    s->transport = TRANSPORT_POLLING;
    deadlines_clear(s->engine->upgrades, &s->polling->upgrade);
    deadlines_clear(s->engine->noops, &s->polling->noop);
    if (s->polling->count > 0)
        session_flush_poll(s, NULL);
}

void session_on_upgrade_timeout(void *context, struct deadline *deadline)
{
    (void)context;
    upgrade_failed(owner_of(deadline, struct polling, upgrade)->session, WEBSOCKET_NORMAL);
}

static bool on_upgrade_packet(struct session *s, const struct engineio_packet *packet)
{
    if (!within_rate(s))
        return false;
    if (packet->type == ENGINEIO_PING && packet->size == 5 && memcmp(packet->data, "probe", 5) == 0) {
        answer_stream(s, WEBSOCKET_TEXT, "3probe", 6);
        s->transport = TRANSPORT_PROBED;
        if (s->polling->poll != NULL)
            session_answer_poll(s, "6", 1);
        return true;
    }
    if (packet->type == ENGINEIO_UPGRADE) {
        upgrade_done(s);
        return true;
    }
    upgrade_failed(s, WEBSOCKET_NORMAL);
    return false;
}

/* A text or binary frame. False when the session or its stream has ended. */
static bool on_message_frame(struct session *s, bool binary, const char *bytes, size_t size)
{
    struct engineio_packet packet;
    struct buf scratch = {0};
    bool good = binary ? engineio_parse(true, bytes, size, &packet)
                       : engineio_parse_text(bytes, size, &scratch, &packet);

    if (good) {
        good = s->transport == TRANSPORT_WEBSOCKET ? session_on_packet(s, &packet)
                                                   : on_upgrade_packet(s, &packet);
    } else if (s->transport == TRANSPORT_WEBSOCKET) {
        session_end(s, SESSION_PARSE_ERROR);
    } else {
        upgrade_failed(s, WEBSOCKET_NORMAL);
    }
    buf_finish(&scratch);
    return good;
}

static bool on_frame(void *context, enum websocket_opcode opcode, const char *bytes, size_t size)
{
    struct session *s = context;

    if ((opcode == WEBSOCKET_PING || opcode == WEBSOCKET_PONG) && !within_rate(s))
        return false;
    if (opcode == WEBSOCKET_PING) {
        answer_stream(s, WEBSOCKET_PONG, bytes, size);
        return true;
    }
    if (opcode == WEBSOCKET_PONG)
        return true;
    if (opcode == WEBSOCKET_CLOSE) {
        if (s->transport == TRANSPORT_WEBSOCKET) {
            stream_drop(s, websocket_close_reply(bytes, size));
            session_end(s, SESSION_CLIENT_LEFT);
        } else {
            upgrade_failed(s, websocket_close_reply(bytes, size));
        }
        return false;
    }
    return on_message_frame(s, opcode == WEBSOCKET_BINARY, bytes, size);
}

static void on_data(struct stream *stream, const uint8_t *bytes, size_t size)
{
    struct session *s = stream->holder;
    struct websocket_reader *reader = s->reader;
    int status;

    /* The reader is taken out: a session that ends in on_frame must not give it back under the parser. */
    session_use(s);
    s->reader = NULL;
    status =
        websocket_feed(s->engine->readers, &reader, bytes, size, s->engine->options.payload_max, on_frame, s);
    if (status == 0 && s->stream == stream) {
        s->reader = reader;
    } else {
        websocket_release(s->engine->readers, &reader);
        if (s->stream == stream && s->transport != TRANSPORT_WEBSOCKET) {
            upgrade_failed(s, (enum websocket_status)status);
        } else if (s->stream == stream) {
            if (status == WEBSOCKET_PROTOCOL || status == WEBSOCKET_BAD_TEXT)
                stream_drop(s, (enum websocket_status)status);
            session_end(s, status == WEBSOCKET_TOO_BIG ? SESSION_TOO_BIG : SESSION_PARSE_ERROR);
        }
    }
    session_unuse(s);
}

static void on_closed(struct stream *stream)
{
    struct session *s = stream->holder;

    s->stream = NULL; /* freed by its owner */
    websocket_release(s->engine->readers, &s->reader);
    if (s->transport == TRANSPORT_WEBSOCKET)
        session_end(s, SESSION_CLIENT_LEFT);
    else
        upgrade_failed(s, 0);
}

void session_on_stream(struct session *s, struct stream *stream, bool base64)
{
    if (s->transport != TRANSPORT_POLLING) {
        struct shared *frame = websocket_close_frame(WEBSOCKET_NORMAL);

        stream->ops->write(stream, frame);
        shared_drop(frame);
        stream->ops->close(stream);
        return;
    }
    s->transport = TRANSPORT_UPGRADING;
    s->base64 = base64;
    take_stream(s, stream);
    deadlines_set(s->engine->upgrades, &s->polling->upgrade, s->engine->options.upgrade_timeout_ms);
}

void *session_holder(const struct session *s)
{
    return s->holder;
}

void session_set_holder(struct session *s, void *holder)
{
    s->holder = holder;
}

const char *session_end_name(enum session_end end)
{
    static const char *const names[SESSION_ENDS] = {[SESSION_CLIENT_LEFT] = "transport close",
                                                    [SESSION_TRANSPORT_ERROR] = "transport error",
                                                    [SESSION_PING_TIMEOUT] = "ping timeout",
                                                    [SESSION_PARSE_ERROR] = "parse error",
                                                    [SESSION_TOO_BIG] = "message too big",
                                                    [SESSION_SLOW_READER] = "slow reader",
                                                    [SESSION_CLOSED] = "forced close",
                                                    [SESSION_SHUTDOWN] = "server shutting down",
                                                    [SESSION_FLOOD] = "flood"};

    return names[end];
}
