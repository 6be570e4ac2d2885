#include "service/broker.h"

#include "core/log.h"
#include "core/topic.h"
#include "service/broker_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS       100
#define AWAKE_TICKS   4
#define GREETING_MS   2000 /* no STATE for so long after a HELLO: say it again */
#define CLIENT_ID_MAX 160

int64_t broker_now_ns(struct broker *b)
{
    struct clock_port *clock = loop_clock(b->loop);
    return clock->mono_ns(clock);
}

/* ---- Packing. ---- */

static void publish(struct broker *b)
{
    if (link_publish(b->link, b->packet.data, b->packet.size) != 0)
        log_debug("broker", "a packet could not be sent bytes=%zu", b->packet.size);
    buf_clear(&b->packet); /* what it held is sent again when the link is back */
}

void broker_put(struct broker *b, const struct wire_record *record)
{
    if (b->phase == PHASE_DOWN)
        return;
    if (b->packet.size == 0)
        wire_begin(&b->packet, ++b->number_out);
    wire_put(&b->packet, record);
    if (b->packet.size > WIRE_PACKET_MAX)
        publish(b);
}

/* ---- Watches. ---- */

static void put_watch(struct broker *b, struct watch *w)
{
    if (b->phase == PHASE_DOWN)
        return;
    w->awaiting++;
    broker_put(b, &(struct wire_record){.type = WIRE_WATCH, .room = w->room});
}

static void on_watch(struct broker_port *port, const struct uuid *room)
{
    struct broker *b = (struct broker *)port;
    struct watch *w = watches_add(&b->watches, room);
    if (w->wanted)
        return;
    w->wanted = true;
    put_watch(b, w);
}

static void on_unwatch(struct broker_port *port, const struct uuid *room)
{
    struct broker *b = (struct broker *)port;
    struct watch *w = watches_find(&b->watches, room);
    if (!w || !w->wanted)
        return;
    w->wanted = false;
    broker_put(b, &(struct wire_record){.type = WIRE_UNWATCH, .room = *room});
    if (w->awaiting == 0)
        watches_remove(&b->watches, w);
}

static void on_watched(struct broker *b, const struct uuid *room)
{
    struct watch *w = watches_find(&b->watches, room);
    if (!w || w->awaiting == 0 || --w->awaiting > 0)
        return;
    if (!w->wanted)
        watches_remove(&b->watches, w);
    else if (b->events)
        b->events->on_watched(b->events->self, room);
}

static void on_message(struct broker *b, const struct wire_record *r)
{
    struct watch *w = watches_find(&b->watches, &r->room);
    if (w && w->wanted && b->events)
        b->events->on_message(b->events->self, &r->room, r->seq, r->payload, r->payload_size);
    if (r->request != 0)
        broker_on_stored(b, r);
}

/* ---- Barriers. ---- */

static void check_barriers(struct broker *b)
{
    int64_t version = members_version(b->members);
    barriers_reach(&b->barriers, b->plugin_version < version ? b->plugin_version : version);
}

static void on_barrier(struct broker_port *port, int64_t version, int64_t timeout_ms, broker_barrier_fn done,
                       void *context)
{
    struct broker *b = (struct broker *)port;
    barriers_add(&b->barriers, version, timeout_ms, done, context);
    check_barriers(b);
}

/* ---- The link's life. ---- */

static void watch_again(void *context, struct watch *w)
{
    struct broker *b = context;
    w->awaiting = 0;
    if (w->wanted)
        put_watch(b, w);
    else
        watches_remove(&b->watches, w);
}

static void greet(struct broker *b)
{
    buf_clear(&b->packet);
    b->number_out = b->number_in = 0;
    b->phase = PHASE_GREETING;
    b->plugin_version = -1;
    b->database_up = false;
    b->greeted_ns = broker_now_ns(b);
    uint64_t boot;
    random_bytes(&boot, sizeof boot);
    broker_put(b, &(struct wire_record){.type = WIRE_HELLO, .boot = boot, .seq = b->event + 1});
    watches_each(&b->watches, watch_again, b);
    b->round++;
    b->forget_ns = 0;
    onlines_each(b->here, broker_put_here, b);
    for (struct send *s = b->first; s; s = s->next)
        broker_put_send(b, s);
}

static void on_up(void *self)
{
    greet(self);
}

static void on_down(void *self)
{
    struct broker *b = self;
    b->phase = PHASE_DOWN;
    b->down_ns = broker_now_ns(b);
    b->plugin_version = -1;
    b->database_up = false;
    buf_clear(&b->packet);
}

/* The first one after a HELLO stands behind the names of all who are online. */
static void on_state(struct broker *b, const struct wire_record *r)
{
    bool first = b->plugin_version < 0;
    b->plugin_version = r->version;
    b->database_up = r->database_up;
    if (first)
        b->forget_ns = broker_now_ns(b) + b->config->presence_grace_ms * NS_PER_MS;
    /* What was told before is not for this process. Both must have read the same database. */
    if (b->event < 0 && r->version == members_version(b->members))
        b->event = r->seq;
    b->acquainted = true;
    check_barriers(b);
}

static void on_record(struct broker *b, const struct wire_record *r)
{
    switch (r->type) {
    case WIRE_STATE:
        on_state(b, r);
        break;
    case WIRE_WATCHED:
        on_watched(b, &r->room);
        break;
    case WIRE_MESSAGE:
        on_message(b, r);
        break;
    case WIRE_STORED:
        broker_on_stored(b, r);
        break;
    case WIRE_REJECTED:
        broker_on_rejected(b, r);
        break;
    case WIRE_RECEIPT:
        broker_on_receipt(b, r);
        break;
    case WIRE_EVENT:
        broker_on_event(b, r);
        break;
    case WIRE_TYPED:
        broker_on_typed(b, r);
        break;
    case WIRE_PRESENCE:
        broker_on_presence(b, r);
        break;
    case WIRE_API:
        if (b->on_api)
            b->on_api(b->api_context, r);
        break;
    case WIRE_METRICS:
        buf_clear(&b->metrics);
        buf_put(&b->metrics, r->payload, r->payload_size);
        break;
    default:
        break;
    }
}

static void on_packet(void *self, const void *bytes, size_t size)
{
    struct broker *b = self;
    struct wire_reader reader;
    if (!wire_open(&reader, bytes, size)) {
        log_error("broker", "a packet of another version: update plugin and parlord together");
        return;
    }
    /* Until the HELLO is answered, by number 1, what comes is of the link before. */
    if (b->phase == PHASE_GREETING && reader.number != 1)
        return;
    if (b->phase == PHASE_GREETING) {
        b->phase = PHASE_LINKED;
        b->complained = false;
    }
    bool lost = reader.number != b->number_in + 1;
    b->number_in = reader.number;
    b->heard_ns = broker_now_ns(b);
    b->skips_events = lost;
    struct wire_record record;
    int more;
    while ((more = wire_next(&reader, &record)) > 0)
        on_record(b, &record);
    if (!lost && more == 0)
        return;
    log_warn("broker", "packets from the plugin were lost, beginning anew number=%u", reader.number);
    if (b->events)
        b->events->on_lost(b->events->self);
    greet(b);
}

/* ---- Time. ---- */

static void check_sends(struct broker *b)
{
    int64_t now = broker_now_ns(b);
    int64_t late_ns = b->config->answer_timeout_ms * NS_PER_MS;
    /* A broker that is started again is back in a second or two, and nobody need notice. */
    bool away = b->phase == PHASE_DOWN && now - b->down_ns >= late_ns / 5 * 4;
    struct send *next;
    for (struct send *s = b->first; s; s = next) {
        next = s->next;
        if (now - s->made_ns >= late_ns || (away && s->tries == 0))
            broker_fail_late(b, s);
        else if (s->put_back)
            broker_put_send(b, s);
    }
}

static void check_link(struct broker *b)
{
    int64_t now = broker_now_ns(b);
    if (b->phase == PHASE_GREETING && now - b->greeted_ns >= GREETING_MS * (int64_t)NS_PER_MS) {
        if (!b->complained)
            log_warn("broker", "the plugin does not answer: is mosquitto_parlor.so loaded in this broker?");
        b->complained = true;
        greet(b);
    } else if (b->phase == PHASE_LINKED && now - b->heard_ns >= BROKER_SILENT_MS * (int64_t)NS_PER_MS) {
        log_warn("broker", "the plugin is silent, beginning anew");
        if (b->events)
            b->events->on_lost(b->events->self);
        greet(b);
    }
}

/* paho's receiving thread sleeps for 100 ms, deaf, whenever nothing came for a second. So something comes
 * more often: the answer to a watch of the room that is none. */
static void keep_awake(struct broker *b)
{
    if (++b->ticks % AWAKE_TICKS == 0 && b->phase == PHASE_LINKED)
        broker_put(b, &(struct wire_record){.type = WIRE_WATCH});
}

static void on_tick(void *context)
{
    struct broker *b = context;
    struct clock_port *clock = loop_clock(b->loop);
    b->tick = clock->start(clock, TICK_MS, on_tick, b);
    keep_awake(b);
    check_sends(b);
    check_link(b);
    broker_forget_absent(b);
}

static bool tell_failed(struct broker *b)
{
    struct send *s = b->failed;
    bool any = s != NULL;
    b->failed = NULL;
    while (s) {
        struct send *next = s->next;
        broker_answer_failed(s);
        s = next;
    }
    return any;
}

static bool on_turn_end(void *context)
{
    struct broker *b = context;
    bool worked = tell_failed(b);
    worked = barriers_tell(&b->barriers) || worked;
    if (b->packet.size > 0)
        publish(b);
    return worked;
}

/* ---- The port. ---- */

static bool on_ready(struct broker_port *port)
{
    return broker_linked((struct broker *)port) && ((struct broker *)port)->database_up;
}

static int open_link(struct broker *b, struct token_keys *tokens, const char *node, struct error *e)
{
    char in[TOPIC_TEXT_MAX], out[TOPIC_TEXT_MAX], client_id[CLIENT_ID_MAX];
    topic_format_service(in, b->config->prefix, TOPIC_SERVICE_IN, node);
    topic_format_service(out, b->config->prefix, TOPIC_SERVICE_OUT, node);
    snprintf(client_id, sizeof client_id, "%s:%s", SERVICE_USER, node);
    struct link_options options = {.address = b->config->broker_address,
                                   .port = (int)b->config->broker_port,
                                   .client_id = client_id,
                                   .subscribe_topic = out,
                                   .publish_topic = in,
                                   .tokens = tokens};
    struct link_events events = {.self = b, .on_up = on_up, .on_down = on_down, .on_packet = on_packet};
    return link_create(b->loop, &options, &events, &b->link, e);
}

int broker_create(struct loop *loop, const struct config *config, struct token_keys *tokens,
                  const struct members *members, const char *node, struct broker **out, struct error *e)
{
    struct broker *b = mem_zalloc(1, sizeof *b);
    b->event = -1;
    b->port = (struct broker_port){.send = broker_on_send,
                                   .watch = on_watch,
                                   .unwatch = on_unwatch,
                                   .barrier = on_barrier,
                                   .mark = broker_on_mark,
                                   .typing = broker_on_typing,
                                   .online = broker_on_online,
                                   .ready = on_ready};
    b->loop = loop;
    b->config = config;
    b->members = members;
    b->plugin_version = -1;
    b->barriers.clock = loop_clock(loop);
    if (open_link(b, tokens, node, e) != 0) {
        free(b);
        return -1;
    }
    b->here = onlines_create();
    b->online = onlines_create();
    b->down_ns = broker_now_ns(b);
    b->hook = (struct loop_hook){.fn = on_turn_end, .context = b};
    loop_add_hook(loop, &b->hook);
    struct clock_port *clock = loop_clock(loop);
    b->tick = clock->start(clock, TICK_MS, on_tick, b);
    *out = b;
    return 0;
}

void broker_destroy(struct broker **broker)
{
    struct broker *b = *broker;
    if (!b)
        return;
    *broker = NULL;
    link_destroy(&b->link);
    b->phase = PHASE_DOWN;
    while (b->first)
        broker_fail_late(b, b->first);
    tell_failed(b);
    barriers_finish(&b->barriers);
    struct clock_port *clock = loop_clock(b->loop);
    clock->cancel(clock, &b->tick);
    loop_remove_hook(b->loop, &b->hook);
    watches_finish(&b->watches);
    onlines_destroy(&b->here);
    onlines_destroy(&b->online);
    buf_finish(&b->metrics);
    buf_finish(&b->packet);
    free(b);
}

struct broker_port *broker_port(struct broker *broker)
{
    return &broker->port;
}

void broker_listen(struct broker *broker, const struct broker_events *events)
{
    broker->events = events;
}

void broker_members_applied(struct broker *broker)
{
    check_barriers(broker);
}

size_t broker_unanswered(const struct broker *broker)
{
    return broker->send_count;
}

bool broker_linked(const struct broker *broker)
{
    struct clock_port *clock = loop_clock(broker->loop);
    return broker->phase == PHASE_LINKED &&
           clock->mono_ns(clock) - broker->heard_ns < BROKER_SILENT_MS * (int64_t)NS_PER_MS;
}

void broker_on_api(struct broker *broker, broker_api_fn fn, void *context)
{
    broker->on_api = fn;
    broker->api_context = context;
}

void broker_reply(struct broker *broker, const char *user, const char *request_id, const char *payload,
                  size_t size)
{
    broker_put(broker, &(struct wire_record){.type = WIRE_REPLY,
                                             .user = user,
                                             .user_size = strlen(user),
                                             .word = request_id,
                                             .word_size = strlen(request_id),
                                             .payload = payload,
                                             .payload_size = size});
}

const char *broker_plugin_metrics(const struct broker *broker)
{
    return broker->metrics.size > 0 ? broker->metrics.data : "";
}

size_t broker_online(const struct broker *broker)
{
    return onlines_count(broker->online);
}
