/* The world of test_broker.c: a stock Mosquitto, a link that plays the plugin, and what the bridge was told.
 *
 * Flow:   test_broker.c -> the broker under test -> Mosquitto -> the plugin's part here.
 * Thread: the test's.
 * Owns:   the broker process, until the test ends. */
#ifndef PARLOR_TESTS_BROKER_WORLD_H
#define PARLOR_TESTS_BROKER_WORLD_H

#include "core/buf.h"
#include "core/clock.h"
#include "core/wire.h"
#include "service/broker.h"
#include "service/link.h"
#include "service/loop.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_NS_MAX (INT64_C(20) * 1000000000)
#define RECORDS_MAX 256

struct kept { /* a record that the fake plugin got */
    enum wire_type type;
    uint64_t request;
    struct uuid room;
    char user[32], fallback_id[40], payload[64], request_id[32];
    bool on;
    uint32_t packet;
    int64_t seq;
};

struct told {
    bool done, stored;
    struct error error;
    int64_t seq;
    char message[64];
    unsigned order;
};

struct world {
    struct loop *loop;
    struct config config;
    struct members *members;
    struct broker *broker;
    struct link *plugin;
    struct broker_events events;
    bool plugin_up, mute;
    uint32_t number_out;
    struct kept got[RECORDS_MAX];
    unsigned got_count, watched, messages, lost, order, barriers_true, barriers_false;
    unsigned last_message_order;
    int64_t last_seq;
    char heard[512]; /* receipts, events, typing and presence, a line each */
};

static pid_t mosquitto_pid;
static int mosquitto_port;
static char mosquitto_conf[64];

/* Below the ports that the kernel gives to outgoing connections: the broker finds it free again. */
static int free_port(void)
{
    for (;;) {
        uint16_t number;
        random_bytes(&number, sizeof number);
        int port = 10000 + number % 22000, fd = socket(AF_INET, SOCK_STREAM, 0);
        struct sockaddr_in a = {
            .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        int taken = bind(fd, (struct sockaddr *)&a, sizeof a);
        close(fd);
        if (taken == 0)
            return port;
    }
}

static void mosquitto_start(void)
{
    FILE *f = fopen(mosquitto_conf, "w");
    fprintf(f, "listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\n",
            mosquitto_port);
    fclose(f);
    mosquitto_pid = fork();
    if (mosquitto_pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        execl("/usr/sbin/mosquitto", "mosquitto", "-c", mosquitto_conf, (char *)NULL);
        _exit(1);
    }
}

static void mosquitto_kill(void)
{
    if (mosquitto_pid <= 0)
        return;
    kill(mosquitto_pid, SIGKILL);
    waitpid(mosquitto_pid, NULL, 0);
    mosquitto_pid = 0;
}

/* ---- The plugin's part. ---- */

static void plugin_say(struct world *w, const struct wire_record *records, unsigned count)
{
    struct buf packet = {0};
    wire_begin(&packet, ++w->number_out);
    for (unsigned i = 0; i < count; i++)
        wire_put(&packet, &records[i]);
    link_publish(w->plugin, packet.data, packet.size);
    buf_finish(&packet);
}

static void say_state(struct world *w, int64_t version, bool up)
{
    plugin_say(w, &(struct wire_record){.type = WIRE_STATE, .boot = 1, .version = version, .database_up = up},
               1);
}

static void plugin_up(void *self)
{
    ((struct world *)self)->plugin_up = true;
}

static void plugin_down(void *self)
{
    ((struct world *)self)->plugin_up = false;
}

static void plugin_packet(void *self, const void *bytes, size_t size)
{
    struct world *w = self;
    struct wire_reader reader;
    struct wire_record r;
    assert_true(wire_open(&reader, bytes, size));
    while (wire_next(&reader, &r) > 0) {
        static const struct uuid none;
        if (r.type == WIRE_WATCH && uuid_equal(&r.room, &none))
            continue; /* what keeps paho awake */
        struct kept *k = &w->got[w->got_count++ % RECORDS_MAX];
        *k = (struct kept){.type = r.type,
                           .request = r.request,
                           .room = r.room,
                           .packet = reader.number,
                           .seq = r.seq,
                           .on = r.on};
        snprintf(k->user, sizeof k->user, "%.*s", (int)r.user_size, r.user ? r.user : "");
        snprintf(k->fallback_id, sizeof k->fallback_id, "%.*s", (int)r.fallback_id_size,
                 r.fallback_id ? r.fallback_id : "");
        snprintf(k->payload, sizeof k->payload, "%.*s", (int)r.payload_size, r.payload ? r.payload : "");
        snprintf(k->request_id, sizeof k->request_id, "%.*s", (int)r.request_id_size,
                 r.request_id ? r.request_id : "");
        if (w->mute)
            continue;
        if (r.type == WIRE_HELLO) {
            w->number_out = 0;
            say_state(w, 5, true);
        } else if (r.type == WIRE_WATCH) {
            plugin_say(w, &(struct wire_record){.type = WIRE_WATCHED, .room = r.room}, 1);
        }
    }
}

/* ---- The bridge's part. ---- */

static void on_watched(void *self, const struct uuid *room)
{
    (void)room;
    ((struct world *)self)->watched++;
}

static void on_message(void *self, const struct uuid *room, int64_t seq, const char *json, size_t size)
{
    (void)room;
    struct world *w = self;
    assert_memory_equal(json, "{\"m\"", size < 4 ? size : 4);
    w->messages++;
    w->last_seq = seq;
    w->last_message_order = w->order++;
}

static void hear(struct world *w, const char *format, ...)
{
    size_t used = strlen(w->heard);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(w->heard + used, sizeof w->heard - used, format, arguments);
    va_end(arguments);
}

static void on_receipt(void *self, const struct uuid *room, const char *user, int64_t read_seq,
                       const char *json, size_t size)
{
    hear(self, "receipt %d %s %d %.*s\n", room->bytes[15], user, (int)read_seq, (int)size, json);
}

static void on_event(void *self, const struct uuid *room, const char *user, const char *topic,
                     const char *json, size_t size)
{
    hear(self, "event %d '%s' %s %.*s\n", room->bytes[15], user, topic, (int)size, json);
}

static void on_typing(void *self, const struct uuid *room, const char *user, bool on)
{
    hear(self, "typing %d %s %d\n", room->bytes[15], user, on);
}

static void on_presence(void *self, const char *user, bool on, int64_t last_seen_ms)
{
    hear(self, "presence %s %d %s\n", user, on, last_seen_ms > 0 ? "seen" : "");
}

static void on_lost(void *self)
{
    ((struct world *)self)->lost++;
}

static struct world *the_world;

static void on_answer(void *context, const struct broker_answer *answer)
{
    struct told *t = context;
    assert_false(t->done);
    *t = (struct told){.done = true, .stored = answer->stored, .error = answer->error, .seq = answer->seq};
    if (answer->stored)
        snprintf(t->message, sizeof t->message, "%.*s", (int)answer->message_size, answer->message);
    t->order = the_world->order++;
}

static void on_barrier(void *context, bool reached)
{
    struct world *w = context;
    if (reached)
        w->barriers_true++;
    else
        w->barriers_false++;
}

/* ---- */

static struct uuid room_of(uint8_t n)
{
    return (struct uuid){.bytes = {1, 2, 3, [15] = n}};
}

static void send_text(struct world *w, struct told *t, const char *payload)
{
    struct broker_send s = {
        .user = "ann", .room = room_of(1), .payload = payload, .payload_size = strlen(payload)};
    s.request_id = payload; /* as good as any text */
    struct broker_port *port = broker_port(w->broker);
    port->send(port, &s, on_answer, t);
    assert_false(t->done);
}

#define TURN_UNTIL(w, condition)                                                                             \
    do {                                                                                                     \
        int64_t turn_from_ns = clock_mono_ns();                                                              \
        while (!(condition) && clock_mono_ns() - turn_from_ns < WAIT_NS_MAX)                                 \
            loop_turn((w)->loop, true);                                                                      \
        assert_true(condition);                                                                              \
    } while (0)

static const struct kept *last_got(const struct world *w, enum wire_type type)
{
    for (unsigned i = w->got_count; i-- > 0;)
        if (w->got[i % RECORDS_MAX].type == type)
            return &w->got[i % RECORDS_MAX];
    return NULL;
}

static unsigned count_got(const struct world *w, enum wire_type type)
{
    unsigned count = 0;
    for (unsigned i = 0; i < w->got_count; i++)
        count += w->got[i % RECORDS_MAX].type == type;
    return count;
}

static int set_up(void **state)
{
    struct world *w = the_world = mem_zalloc(1, sizeof *w);
    static char prefix[] = "chat/v1", address[] = "127.0.0.1";
    struct error e;
    mosquitto_start();
    w->config = (struct config){.prefix = prefix,
                                .broker_address = address,
                                .broker_port = mosquitto_port,
                                .answer_timeout_ms = 15000,
                                .presence_grace_ms = 300};
    w->members = members_create();
    w->events = (struct broker_events){.self = w,
                                       .on_watched = on_watched,
                                       .on_message = on_message,
                                       .on_receipt = on_receipt,
                                       .on_event = on_event,
                                       .on_typing = on_typing,
                                       .on_presence = on_presence,
                                       .on_lost = on_lost};
    assert_int_equal(loop_create(&w->loop, &e), 0);
    struct link_options options = {.address = address,
                                   .port = mosquitto_port,
                                   .client_id = "plugin",
                                   .subscribe_topic = "chat/v1/service/in/n1",
                                   .publish_topic = "chat/v1/service/out/n1"};
    struct link_events events = {
        .self = w, .on_up = plugin_up, .on_down = plugin_down, .on_packet = plugin_packet};
    assert_int_equal(link_create(w->loop, &options, &events, &w->plugin, &e), 0);
    TURN_UNTIL(w, w->plugin_up);
    assert_int_equal(broker_create(w->loop, &w->config, NULL, w->members, "n1", &w->broker, &e), 0);
    broker_listen(w->broker, &w->events);
    *state = w;
    return 0;
}

static int set_up_linked(void **state)
{
    set_up(state);
    struct world *w = *state;
    TURN_UNTIL(w, broker_linked(w->broker));
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    broker_destroy(&w->broker);
    link_destroy(&w->plugin);
    loop_destroy(&w->loop);
    members_destroy(&w->members);
    mosquitto_kill();
    free(w);
    return 0;
}

#endif
