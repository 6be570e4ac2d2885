/* paho's callbacks run on threads of its own: each leaves a note on a list and wakes the loop. One paho
 * handle serves all connections, for destroying the last one waits for the threads. */
#include "service/link.h"

#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"

#include <MQTTAsync.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_S 5     /* paho looks at a connection under way once a second, or less often */
#define STUCK_MS          10000 /* paho has given no answer to a connect or subscribe: begin anew */
#define DISCONNECT_MS     200

enum link_state {
    LINK_DOWN,       /* the retry timer runs */
    LINK_CONNECTING, /* paho owes an answer */
    LINK_SUBSCRIBING,
    LINK_UP,
    LINK_LEAVING /* disconnecting, to come back with a new token */
};

enum note_kind {
    NOTE_CONNECTED,
    NOTE_FAILED,
    NOTE_SUBSCRIBED,
    NOTE_REFUSED,
    NOTE_LOST,
    NOTE_LEFT,
    NOTE_PACKET
};

struct note {
    struct note *next;
    enum note_kind kind;
    int code;
    MQTTAsync_message *message; /* of a NOTE_PACKET */
};

struct link {
    struct loop *loop;
    MQTTAsync client;
    enum link_state state;
    struct link_events events;
    char *subscribe_topic, *publish_topic;
    struct token_keys *tokens;
    struct buf password;
    struct timer *retry, *renew, *stuck;
    int64_t retry_ms; /* 0: at once */
    int last_code;    /* of the failure that was logged last */
    bool logged;
    uv_async_t *async;
    pthread_mutex_t lock; /* of the notes */
    struct note *first, **end;
};

/* ---- paho's threads. ---- */

static void leave_note(struct link *l, enum note_kind kind, int code, MQTTAsync_message *message)
{
    struct note *note = mem_alloc(sizeof *note);
    *note = (struct note){.kind = kind, .code = code, .message = message};
    pthread_mutex_lock(&l->lock);
    bool wake = l->first == NULL;
    *l->end = note;
    l->end = &note->next;
    if (wake)
        uv_async_send(l->async);
    pthread_mutex_unlock(&l->lock);
}

static void on_connected(void *context, MQTTAsync_successData *data)
{
    (void)data;
    leave_note(context, NOTE_CONNECTED, 0, NULL);
}

static void on_failed(void *context, MQTTAsync_failureData *data)
{
    leave_note(context, NOTE_FAILED, data ? data->code : -1, NULL);
}

/* A SUBACK that refuses counts as a success to paho, with 0x80 as the granted QoS. */
static void on_subscribed(void *context, MQTTAsync_successData *data)
{
    bool refused = data && data->alt.qos == 0x80;
    leave_note(context, refused ? NOTE_REFUSED : NOTE_SUBSCRIBED, 0x80, NULL);
}

static void on_refused(void *context, MQTTAsync_failureData *data)
{
    leave_note(context, NOTE_REFUSED, data ? data->code : -1, NULL);
}

static void on_lost(void *context, char *cause)
{
    (void)cause;
    leave_note(context, NOTE_LOST, 0, NULL);
}

static void on_left(void *context, MQTTAsync_successData *data)
{
    (void)data;
    leave_note(context, NOTE_LEFT, 0, NULL);
}

static void on_left_badly(void *context, MQTTAsync_failureData *data)
{
    (void)data;
    leave_note(context, NOTE_LEFT, 0, NULL);
}

static int on_arrived(void *context, char *topic, int topic_size, MQTTAsync_message *message)
{
    (void)topic_size;
    MQTTAsync_free(topic);
    leave_note(context, NOTE_PACKET, 0, message);
    return 1;
}

/* ---- Connecting. ---- */

static void start_connecting(struct link *l);
static void begin_anew(struct link *l, int code);

static void cancel(struct link *l, struct timer **timer)
{
    struct clock_port *clock = loop_clock(l->loop);
    clock->cancel(clock, timer);
}

static void on_stuck(void *context)
{
    struct link *l = context;
    l->stuck = NULL;
    begin_anew(l, -1);
}

static void watch_stuck(struct link *l)
{
    struct clock_port *clock = loop_clock(l->loop);
    cancel(l, &l->stuck);
    l->stuck = clock->start(clock, STUCK_MS, on_stuck, l);
}

static void on_retry(void *context)
{
    struct link *l = context;
    l->retry = NULL;
    start_connecting(l);
}

/* The broker answered, and said no. */
static bool is_refusal(int code)
{
    return code == 4 || code == 5 || code == 0x80;
}

static void say_why(struct link *l, int code)
{
    if (l->logged && code == l->last_code)
        return;
    l->logged = true;
    l->last_code = code;
    if (is_refusal(code))
        log_error("link",
                  "the broker refuses the service: service_secret must be the same here and in the broker's "
                  "plugin, and this address must be in its service_addresses code=%d",
                  code);
    else
        log_warn("link", "no connection to the broker, trying again code=%d", code);
}

/* The connection is gone or was none: once more after the present wait, and a longer one next time. */
static void begin_anew(struct link *l, int code)
{
    bool was_up = l->state == LINK_UP || l->state == LINK_LEAVING;
    if (l->state == LINK_SUBSCRIBING) {
        MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
        MQTTAsync_disconnect(l->client, &options);
    }
    l->state = LINK_DOWN;
    cancel(l, &l->renew);
    cancel(l, &l->stuck);
    cancel(l, &l->retry);
    if (!was_up)
        say_why(l, code);
    struct clock_port *clock = loop_clock(l->loop);
    l->retry = clock->start(clock, l->retry_ms, on_retry, l);
    int64_t longest_ms = is_refusal(code) ? LINK_RETRY_MAX_MS : LINK_RETRY_AWAY_MS;
    l->retry_ms = l->retry_ms == 0 ? LINK_RETRY_MIN_MS : 2 * l->retry_ms;
    if (l->retry_ms > longest_ms)
        l->retry_ms = longest_ms;
    if (was_up)
        l->events.on_down(l->events.self);
}

static int make_password(struct link *l, struct error *e)
{
    buf_clear(&l->password);
    if (!l->tokens)
        return 0;
    return token_issue(l->tokens, TOKEN_BY_SERVICE, SERVICE_USER, ROLE_SERVICE, clock_wall_ms() / 1000,
                       LINK_TOKEN_TTL_S, &l->password, e);
}

static void start_connecting(struct link *l)
{
    struct error e;
    if (make_password(l, &e) != 0) {
        log_error("link", "%s", e.text);
        begin_anew(l, -1);
        return;
    }
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    options.keepAliveInterval = LINK_KEEPALIVE_S;
    options.cleansession = 1;
    options.MQTTVersion = MQTTVERSION_3_1_1;
    options.connectTimeout = CONNECT_TIMEOUT_S;
    options.username = l->tokens ? "jwt" : NULL;
    options.password = l->tokens ? l->password.data : NULL;
    options.onSuccess = on_connected;
    options.onFailure = on_failed;
    options.context = l;
    l->state = LINK_CONNECTING;
    watch_stuck(l);
    int rc = MQTTAsync_connect(l->client, &options);
    if (rc != MQTTASYNC_SUCCESS)
        begin_anew(l, rc);
}

static void start_subscribing(struct link *l)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onSuccess = on_subscribed;
    options.onFailure = on_refused;
    options.context = l;
    l->state = LINK_SUBSCRIBING;
    int rc = MQTTAsync_subscribe(l->client, l->subscribe_topic, 0, &options);
    if (rc != MQTTASYNC_SUCCESS)
        begin_anew(l, rc);
}

/* The token would expire soon: leave before the broker ends it, and come back with a new one. */
static void on_renew(void *context)
{
    struct link *l = context;
    l->renew = NULL;
    l->state = LINK_LEAVING;
    watch_stuck(l);
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
    options.onSuccess = on_left;
    options.onFailure = on_left_badly;
    options.context = l;
    if (MQTTAsync_disconnect(l->client, &options) != MQTTASYNC_SUCCESS)
        begin_anew(l, -1);
}

static void now_up(struct link *l)
{
    struct clock_port *clock = loop_clock(l->loop);
    cancel(l, &l->stuck);
    if (l->tokens)
        l->renew = clock->start(clock, (LINK_TOKEN_TTL_S - LINK_TOKEN_AHEAD_S) * 1000, on_renew, l);
    l->state = LINK_UP;
    l->retry_ms = 0;
    l->logged = false;
    log_info("link", "linked to the broker");
    l->events.on_up(l->events.self);
}

/* ---- Notes, on the loop. ---- */

static void read_note(struct link *l, const struct note *note)
{
    switch (note->kind) {
    case NOTE_CONNECTED:
        if (l->state == LINK_CONNECTING)
            start_subscribing(l);
        break;
    case NOTE_FAILED:
        if (l->state == LINK_CONNECTING)
            begin_anew(l, note->code);
        break;
    case NOTE_SUBSCRIBED:
        if (l->state == LINK_SUBSCRIBING)
            now_up(l);
        break;
    case NOTE_REFUSED:
        if (l->state == LINK_SUBSCRIBING)
            begin_anew(l, note->code);
        break;
    case NOTE_LOST:
        if (l->state == LINK_UP)
            log_warn("link", "the connection to the broker broke");
        if (l->state != LINK_DOWN)
            begin_anew(l, -1);
        break;
    case NOTE_LEFT:
        if (l->state == LINK_LEAVING)
            begin_anew(l, 0);
        break;
    case NOTE_PACKET:
        if (l->state == LINK_UP || l->state == LINK_LEAVING)
            l->events.on_packet(l->events.self, note->message->payload, (size_t)note->message->payloadlen);
        break;
    }
}

static struct note *take_notes(struct link *l)
{
    pthread_mutex_lock(&l->lock);
    struct note *first = l->first;
    l->first = NULL;
    l->end = &l->first;
    pthread_mutex_unlock(&l->lock);
    return first;
}

static void drop_note(struct note *note)
{
    if (note->message)
        MQTTAsync_freeMessage(&note->message);
    free(note);
}

static void on_async(uv_async_t *handle)
{
    struct link *l = handle->data;
    struct note *note = take_notes(l);
    while (note) {
        struct note *next = note->next;
        read_note(l, note);
        drop_note(note);
        note = next;
    }
}

/* ---- The link. ---- */

int link_create(struct loop *loop, const struct link_options *options, const struct link_events *events,
                struct link **out, struct error *e)
{
    struct buf uri = {0};
    bool six = strchr(options->address, ':') != NULL;
    buf_printf(&uri, six ? "tcp://[%s]:%d" : "tcp://%s:%d", options->address, options->port);
    struct link *l = mem_zalloc(1, sizeof *l);
    int rc = MQTTAsync_create(&l->client, uri.data, options->client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL);
    buf_finish(&uri);
    if (rc != MQTTASYNC_SUCCESS) {
        free(l);
        return error_set(e, ERROR_INVALID, "bad_option", "no MQTT client for %s port %d: code %d",
                         options->address, options->port, rc);
    }
    l->loop = loop;
    l->events = *events;
    l->tokens = options->tokens;
    l->subscribe_topic = mem_strdup(options->subscribe_topic);
    l->publish_topic = mem_strdup(options->publish_topic);
    l->end = &l->first;
    pthread_mutex_init(&l->lock, NULL);
    l->async = mem_zalloc(1, sizeof *l->async);
    uv_async_init(loop_uv(loop), l->async, on_async);
    l->async->data = l;
    MQTTAsync_setCallbacks(l->client, l, on_lost, on_arrived, NULL);
    struct clock_port *clock = loop_clock(loop);
    l->retry = clock->start(clock, 0, on_retry, l);
    l->retry_ms = LINK_RETRY_MIN_MS;
    *out = l;
    return 0;
}

void link_destroy(struct link **link)
{
    struct link *l = *link;
    if (!l)
        return;
    *link = NULL;
    cancel(l, &l->retry);
    cancel(l, &l->renew);
    cancel(l, &l->stuck);
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
    if (MQTTAsync_disconnect(l->client, &options) == MQTTASYNC_SUCCESS)
        for (int ms = 0; MQTTAsync_isConnected(l->client) && ms < DISCONNECT_MS; ms++)
            uv_sleep(1);
    MQTTAsync_destroy(&l->client);
    loop_close_and_free((uv_handle_t *)l->async);
    for (struct note *note = take_notes(l), *next; note; note = next) {
        next = note->next;
        drop_note(note);
    }
    pthread_mutex_destroy(&l->lock);
    buf_finish(&l->password);
    free(l->subscribe_topic);
    free(l->publish_topic);
    free(l);
}

bool link_is_up(const struct link *link)
{
    return link->state == LINK_UP;
}

int link_publish(struct link *link, const void *bytes, size_t size)
{
    if (link->state != LINK_UP)
        return -1;
    int rc = MQTTAsync_send(link->client, link->publish_topic, (int)size, bytes, 0, 0, NULL);
    return rc == MQTTASYNC_SUCCESS ? 0 : -1;
}
