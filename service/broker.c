#include "service/broker.h"

#include "core/log.h"
#include "core/topic.h"
#include "core/wire.h"
#include "service/barriers.h"
#include "service/link.h"
#include "service/onlines.h"
#include "service/watches.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENDS_TABLE   4096 /* a power of two */
#define TICK_MS       100
#define AWAKE_TICKS   4
#define GREETING_MS   2000 /* no STATE for so long after a HELLO: say it again */
#define NS_PER_MS     1000000
#define CLIENT_ID_MAX 160

/* A send or a mark without an answer. */
struct send {
    struct send *next, *previous; /* in the order of their making */
    struct send *next_hashed;
    enum wire_type type; /* SEND, READ or DELIVERED */
    uint64_t request;
    struct uuid room;
    int64_t made_ns;
    unsigned tries;
    bool put_back; /* the plugin had no room for it: again at the next tick */
    struct error error;
    broker_answer_fn done;
    void *context;
    char fallback_id[UUID_TEXT_SIZE];
    size_t user_size, payload_size;
    char user[]; /* and the payload behind */
};

enum phase { PHASE_DOWN, PHASE_GREETING, PHASE_LINKED };

struct broker {
    struct broker_port port; /* first */
    struct loop *loop;
    const struct config *config;
    const struct members *members;
    const struct broker_events *events;
    struct link *link;
    struct loop_hook hook;
    struct timer *tick;
    unsigned ticks;
    enum phase phase;
    struct buf packet;
    uint32_t number_out, number_in; /* of the last packet each way */
    int64_t greeted_ns, heard_ns;
    bool database_up;
    bool complained;        /* that the plugin does not answer */
    int64_t plugin_version; /* of the plugin's members; -1: not known on this link */
    struct send *first, *last, *failed;
    struct send *table[SENDS_TABLE];
    size_t send_count;
    uint64_t last_request;
    struct watches watches;
    struct barriers barriers;
    struct onlines *here;   /* users with sockets at this node */
    struct onlines *online; /* at any door, as the plugin told; named in the round of the last HELLO */
    uint32_t round;
    int64_t forget_ns; /* when those of older rounds are offline; 0: it was done */
    bool acquainted;   /* the plugin has told once who is online */
    broker_api_fn on_api;
    void *api_context;
    struct buf metrics;
};

static int64_t now_ns(struct broker *b)
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

static void put(struct broker *b, const struct wire_record *record)
{
    if (b->phase == PHASE_DOWN)
        return;
    if (b->packet.size == 0)
        wire_begin(&b->packet, ++b->number_out);
    wire_put(&b->packet, record);
    if (b->packet.size > WIRE_PACKET_MAX)
        publish(b);
}

/* ---- Sends. ---- */

static struct send **bucket(struct broker *b, uint64_t request)
{
    return &b->table[request & (SENDS_TABLE - 1)];
}

static struct send *find_send(struct broker *b, uint64_t request)
{
    struct send *s = *bucket(b, request);
    while (s && s->request != request)
        s = s->next_hashed;
    return s;
}

static void add_send(struct broker *b, struct send *s)
{
    struct send **at = bucket(b, s->request);
    s->next_hashed = *at;
    *at = s;
    s->previous = b->last;
    if (b->last)
        b->last->next = s;
    else
        b->first = s;
    b->last = s;
    b->send_count++;
}

static void take_send(struct broker *b, struct send *s)
{
    struct send **at = bucket(b, s->request);
    while (*at != s)
        at = &(*at)->next_hashed;
    *at = s->next_hashed;
    if (s->previous)
        s->previous->next = s->next;
    else
        b->first = s->next;
    if (s->next)
        s->next->previous = s->previous;
    else
        b->last = s->previous;
    b->send_count--;
}

static void put_send(struct broker *b, struct send *s)
{
    if (b->phase == PHASE_DOWN)
        return;
    s->tries++;
    s->put_back = false;
    put(b, &(struct wire_record){.type = s->type,
                                 .request = s->request,
                                 .room = s->room,
                                 .user = s->user,
                                 .user_size = s->user_size,
                                 .fallback_id = s->fallback_id,
                                 .fallback_id_size = UUID_TEXT_SIZE - 1,
                                 .payload = s->user + s->user_size,
                                 .payload_size = s->payload_size});
}

static void answer_failed(struct send *s)
{
    struct broker_answer answer = {.room = s->room, .error = s->error};
    s->done(s->context, &answer);
    free(s);
}

/* Takes it off the list and tells it at the turn's end. */
static void fail_send(struct broker *b, struct send *s)
{
    take_send(b, s);
    s->next = NULL;
    struct send **at = &b->failed;
    while (*at)
        at = &(*at)->next;
    *at = s;
}

static void fail_late(struct broker *b, struct send *s)
{
    if (s->tries == 0)
        error_set(&s->error, ERROR_UNAVAILABLE, "broker_unavailable",
                  "the broker can't be reached: try again in a moment");
    else
        error_set(&s->error, ERROR_UNCERTAIN, "no_answer",
                  s->type != WIRE_SEND ? "no answer in time: the mark may or may not have been stored"
                                       : "no answer in time: the message may or may not have been stored; "
                                         "the same clientMessageId finds out");
    fail_send(b, s);
}

static void begin(struct broker *b, enum wire_type type, const struct broker_send *send,
                  broker_answer_fn done, void *context)
{
    size_t user_size = strlen(send->user);
    struct send *s = mem_alloc(sizeof *s + user_size + send->payload_size);
    *s = (struct send){.type = type,
                       .request = ++b->last_request,
                       .room = send->room,
                       .made_ns = now_ns(b),
                       .done = done,
                       .context = context,
                       .user_size = user_size,
                       .payload_size = send->payload_size};
    memcpy(s->user, send->user, user_size);
    memcpy(s->user + user_size, send->payload, send->payload_size);
    struct clock_port *clock = loop_clock(b->loop);
    struct uuid id;
    uuid_make(&id, clock->wall_ms(clock));
    uuid_format(&id, s->fallback_id);
    add_send(b, s);
    if (b->send_count <= BROKER_SENDS_MAX) {
        put_send(b, s);
        return;
    }
    error_set(&s->error, ERROR_UNAVAILABLE, "busy", "too many messages wait for their answer");
    fail_send(b, s);
}

static void on_send(struct broker_port *port, const struct broker_send *send, broker_answer_fn done,
                    void *context)
{
    begin((struct broker *)port, WIRE_SEND, send, done, context);
}

static void on_mark(struct broker_port *port, bool delivered, const struct broker_send *mark,
                    broker_answer_fn done, void *context)
{
    begin((struct broker *)port, delivered ? WIRE_DELIVERED : WIRE_READ, mark, done, context);
}

/* ---- Answers. ---- */

static void on_stored(struct broker *b, const struct wire_record *r)
{
    struct send *s = find_send(b, r->request);
    if (!s)
        return; /* answered already, or given up */
    take_send(b, s);
    struct broker_answer answer = {.stored = true,
                                   .room = r->room,
                                   .seq = r->seq,
                                   .message = r->payload,
                                   .message_size = r->payload_size};
    s->done(s->context, &answer);
    free(s);
}

/* A resend may meet a limit, or a removal, that its first try did not: that says nothing of the first. */
static bool says_nothing(const struct send *s, const struct error *e)
{
    return s->type == WIRE_SEND && s->tries > 1 &&
           (e->code == ERROR_LIMIT || e->code == ERROR_UNAVAILABLE || e->code == ERROR_DENIED ||
            e->code == ERROR_NOT_FOUND);
}

static void on_rejected(struct broker *b, const struct wire_record *r)
{
    struct send *s = find_send(b, r->request);
    if (!s)
        return;
    struct broker_answer answer = {.room = s->room};
    answer.error.code = r->error_code ? (enum error_code)r->error_code : ERROR_INTERNAL;
    snprintf(answer.error.word, sizeof answer.error.word, "%.*s", (int)r->word_size, r->word);
    snprintf(answer.error.text, sizeof answer.error.text, "%.*s", (int)r->payload_size, r->payload);
    if (says_nothing(s, &answer.error)) {
        s->put_back = true;
        return;
    }
    take_send(b, s);
    s->done(s->context, &answer);
    free(s);
}

/* ---- Watches. ---- */

static void put_watch(struct broker *b, struct watch *w)
{
    if (b->phase == PHASE_DOWN)
        return;
    w->awaiting++;
    put(b, &(struct wire_record){.type = WIRE_WATCH, .room = w->room});
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
    put(b, &(struct wire_record){.type = WIRE_UNWATCH, .room = *room});
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
        on_stored(b, r);
}

/* Is the room watched, so that its events are for the bridge? */
static bool is_watched(struct broker *b, const struct uuid *room)
{
    const struct watch *w = watches_find(&b->watches, room);
    return w && w->wanted && b->events;
}

static void copy_user(char out[USER_ID_MAX + 1], const struct wire_record *r)
{
    size_t size = r->user_size <= USER_ID_MAX ? r->user_size : USER_ID_MAX;
    memcpy(out, r->user ? r->user : "", size);
    out[size] = '\0';
}

static void on_receipt(struct broker *b, const struct wire_record *r)
{
    char user[USER_ID_MAX + 1];
    copy_user(user, r);
    if (r->request != 0)
        on_stored(b, r); /* what moved comes once more, without a request, to all who watch the room */
    else if (is_watched(b, &r->room) && b->events->on_receipt)
        b->events->on_receipt(b->events->self, &r->room, user, r->seq, r->payload, r->payload_size);
}

static void on_event(struct broker *b, const struct wire_record *r)
{
    char user[USER_ID_MAX + 1], topic[UINT8_MAX + 1];
    copy_user(user, r);
    snprintf(topic, sizeof topic, "%.*s", (int)r->word_size, r->word);
    if (b->events && b->events->on_event && (user[0] != '\0' || is_watched(b, &r->room)))
        b->events->on_event(b->events->self, &r->room, user, topic, r->payload, r->payload_size);
}

static void on_typed(struct broker *b, const struct wire_record *r)
{
    char user[USER_ID_MAX + 1];
    copy_user(user, r);
    if (is_watched(b, &r->room) && b->events->on_typing)
        b->events->on_typing(b->events->self, &r->room, user, r->on);
}

/* ---- Typing and presence. ---- */

static void on_typing(struct broker_port *port, const struct uuid *room, const char *user, bool on)
{
    put((struct broker *)port,
        &(struct wire_record){
            .type = WIRE_TYPING, .room = *room, .user = user, .user_size = strlen(user), .on = on});
}

static void put_online(struct broker *b, const char *user, bool on)
{
    put(b, &(struct wire_record){.type = WIRE_ONLINE, .user = user, .user_size = strlen(user), .on = on});
}

static void put_here(void *context, const char *user)
{
    put_online(context, user, true);
}

static void on_online(struct broker_port *port, const char *user, bool on)
{
    struct broker *b = (struct broker *)port;
    size_t size = strlen(user);
    if (on ? onlines_add(b->here, user, size, 0) : onlines_remove(b->here, user, size))
        put_online(b, user, on);
}

static void tell_presence(struct broker *b, const char *user, bool on, int64_t last_seen_ms)
{
    if (b->events && b->events->on_presence)
        b->events->on_presence(b->events->self, user, on, last_seen_ms);
}

/* Changes are told once. Who is online when this process begins is no change. */
static void on_presence(struct broker *b, const struct wire_record *r)
{
    char user[USER_ID_MAX + 1];
    copy_user(user, r);
    bool changed = r->on ? onlines_add(b->online, user, strlen(user), b->round)
                         : onlines_remove(b->online, user, strlen(user));
    if (changed && b->acquainted)
        tell_presence(b, user, r->on, r->seq);
}

/* Whoever the plugin has not named since the last HELLO went away while the link was down. They get some time
 * to come back: after a restart of the broker all its clients are away for a moment. */
static void forget_absent(struct broker *b)
{
    if (b->forget_ns == 0 || now_ns(b) < b->forget_ns || b->phase != PHASE_LINKED)
        return;
    b->forget_ns = 0;
    struct clock_port *clock = loop_clock(b->loop);
    char user[USER_ID_MAX + 1];
    while (onlines_take_stale(b->online, b->round, user))
        tell_presence(b, user, false, clock->wall_ms(clock));
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

/* On a new link: what was unwatched is forgotten, the rest is asked for. */
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
    b->greeted_ns = now_ns(b);
    uint64_t boot;
    random_bytes(&boot, sizeof boot);
    put(b, &(struct wire_record){.type = WIRE_HELLO, .boot = boot});
    b->round++;
    b->forget_ns = 0;
    onlines_each(b->here, put_here, b);
    watches_each(&b->watches, watch_again, b);
    for (struct send *s = b->first; s; s = s->next)
        put_send(b, s);
}

static void on_up(void *self)
{
    greet(self);
}

static void on_down(void *self)
{
    struct broker *b = self;
    b->phase = PHASE_DOWN;
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
        b->forget_ns = now_ns(b) + b->config->presence_grace_ms * NS_PER_MS;
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
        on_stored(b, r);
        break;
    case WIRE_REJECTED:
        on_rejected(b, r);
        break;
    case WIRE_RECEIPT:
        on_receipt(b, r);
        break;
    case WIRE_EVENT:
        on_event(b, r);
        break;
    case WIRE_TYPED:
        on_typed(b, r);
        break;
    case WIRE_PRESENCE:
        on_presence(b, r);
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
    b->heard_ns = now_ns(b);
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
    int64_t now = now_ns(b);
    int64_t late_ns = b->config->answer_timeout_ms * NS_PER_MS;
    struct send *next;
    for (struct send *s = b->first; s; s = next) {
        next = s->next;
        int64_t age_ns = now - s->made_ns;
        bool away = s->tries == 0 && age_ns >= BROKER_AWAY_MS * (int64_t)NS_PER_MS;
        if (age_ns >= late_ns || away)
            fail_late(b, s);
        else if (s->put_back)
            put_send(b, s);
    }
}

static void check_link(struct broker *b)
{
    int64_t now = now_ns(b);
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
        put(b, &(struct wire_record){.type = WIRE_WATCH});
}

static void on_tick(void *context)
{
    struct broker *b = context;
    struct clock_port *clock = loop_clock(b->loop);
    b->tick = clock->start(clock, TICK_MS, on_tick, b);
    keep_awake(b);
    check_sends(b);
    check_link(b);
    forget_absent(b);
}

static bool tell_failed(struct broker *b)
{
    struct send *s = b->failed;
    bool any = s != NULL;
    b->failed = NULL;
    while (s) {
        struct send *next = s->next;
        answer_failed(s);
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
    b->port = (struct broker_port){.send = on_send,
                                   .watch = on_watch,
                                   .unwatch = on_unwatch,
                                   .barrier = on_barrier,
                                   .mark = on_mark,
                                   .typing = on_typing,
                                   .online = on_online,
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
        fail_late(b, b->first);
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
    put(broker, &(struct wire_record){.type = WIRE_REPLY,
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
