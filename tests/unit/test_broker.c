/* The service's end of the link against a stock Mosquitto, with the plugin's part played by a second link:
 * one packet a turn, resends with the same ids, watches, barriers, lost packets, a broker that is killed. */
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
    char user[32], fallback_id[40], payload[64];
    bool on;
    uint32_t packet;
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

static int free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof a;
    if (bind(fd, (struct sockaddr *)&a, size) != 0 || getsockname(fd, (struct sockaddr *)&a, &size) != 0)
        abort();
    close(fd);
    return ntohs(a.sin_port);
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
        *k = (struct kept){
            .type = r.type, .request = r.request, .room = r.room, .packet = reader.number, .on = r.on};
        snprintf(k->user, sizeof k->user, "%.*s", (int)r.user_size, r.user ? r.user : "");
        snprintf(k->fallback_id, sizeof k->fallback_id, "%.*s", (int)r.fallback_id_size,
                 r.fallback_id ? r.fallback_id : "");
        snprintf(k->payload, sizeof k->payload, "%.*s", (int)r.payload_size, r.payload ? r.payload : "");
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
                                .answer_timeout_ms = 4000,
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

static void a_turn_goes_in_one_packet(void **state)
{
    struct world *w = *state;
    struct told told[3] = {0};
    unsigned before = w->got_count;
    for (int i = 0; i < 3; i++)
        send_text(w, &told[i], "{\"content\":\"x\"}");
    TURN_UNTIL(w, w->got_count == before + 3);
    const struct kept *k = &w->got[before];
    assert_int_equal(k[0].type, WIRE_SEND);
    assert_int_equal(k[0].packet, k[2].packet);
    assert_string_equal(k[0].user, "ann");
    assert_string_equal(k[0].payload, "{\"content\":\"x\"}");
    assert_int_equal(strlen(k[0].fallback_id), 36);
    assert_string_not_equal(k[0].fallback_id, k[1].fallback_id);
    struct wire_record answers[] = {
        {.type = WIRE_MESSAGE,
         .request = k[1].request,
         .room = room_of(1),
         .seq = 7,
         .payload = "{\"m\":1}",
         .payload_size = 7},
        {.type = WIRE_STORED,
         .request = k[0].request,
         .room = room_of(1),
         .seq = 6,
         .payload = "{\"m\":0}",
         .payload_size = 7},
        {.type = WIRE_REJECTED,
         .request = k[2].request,
         .word = "conflict",
         .word_size = 8,
         .error_code = ERROR_CONFLICT,
         .payload = "no",
         .payload_size = 2},
    };
    plugin_say(w, answers, 3);
    TURN_UNTIL(w, told[0].done && told[1].done && told[2].done);
    assert_true(told[0].stored && told[1].stored && !told[2].stored);
    assert_int_equal(told[0].seq, 6);
    assert_string_equal(told[1].message, "{\"m\":1}");
    assert_int_equal(told[2].error.code, ERROR_CONFLICT);
    assert_string_equal(told[2].error.word, "conflict");
    assert_string_equal(told[2].error.text, "no");
    assert_int_equal(broker_unanswered(w->broker), 0);
    assert_int_equal(w->messages, 0); /* the room is not watched */
}

static void messages_come_to_watched_rooms(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    struct uuid room = room_of(1);
    port->watch(port, &room);
    assert_int_equal(w->watched, 0);
    TURN_UNTIL(w, w->watched == 1);
    struct told told = {0};
    send_text(w, &told, "{}");
    TURN_UNTIL(w, count_got(w, WIRE_SEND) == 1);
    struct wire_record answer = {.type = WIRE_MESSAGE,
                                 .request = last_got(w, WIRE_SEND)->request,
                                 .room = room,
                                 .seq = 9,
                                 .payload = "{\"m\":1}",
                                 .payload_size = 7};
    plugin_say(w, &answer, 1);
    TURN_UNTIL(w, told.done);
    assert_int_equal(w->messages, 1);
    assert_int_equal(w->last_seq, 9);
    assert_true(w->last_message_order < told.order); /* the message first, then its ack */
    /* Quickly left and entered again: told once, for the second watch. */
    port->unwatch(port, &room);
    port->watch(port, &room);
    port->unwatch(port, &room);
    port->watch(port, &room);
    TURN_UNTIL(w, count_got(w, WIRE_WATCH) == 3);
    struct told after = {0};
    send_text(w, &after, "{}");
    TURN_UNTIL(w, count_got(w, WIRE_SEND) == 2);
    answer.request = last_got(w, WIRE_SEND)->request;
    plugin_say(w, &answer, 1);
    TURN_UNTIL(w, after.done);
    assert_int_equal(w->watched, 2);
    port->unwatch(port, &room);
    answer.request = 0;
    plugin_say(w, &answer, 1);
    say_state(w, 6, false);
    TURN_UNTIL(w, !port->ready(port));
    assert_int_equal(w->messages, 2);
}

static void a_killed_broker_loses_nothing(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    struct uuid room = room_of(2);
    port->watch(port, &room);
    TURN_UNTIL(w, w->watched == 1);
    struct told told[3] = {0};
    send_text(w, &told[0], "{\"n\":0}");
    send_text(w, &told[1], "{\"n\":1}");
    TURN_UNTIL(w, count_got(w, WIRE_SEND) == 2);
    char first_id[40];
    snprintf(first_id, sizeof first_id, "%s", w->got[w->got_count - 2].fallback_id);
    mosquitto_kill();
    TURN_UNTIL(w, !broker_linked(w->broker) && !w->plugin_up);
    send_text(w, &told[2], "{\"n\":2}");
    assert_false(port->ready(port));
    mosquitto_start();
    TURN_UNTIL(w, count_got(w, WIRE_SEND) >= 5 && broker_linked(w->broker));
    TURN_UNTIL(w, w->watched >= 2);
    const struct kept *k = &w->got[w->got_count - 3];
    assert_string_equal(k[0].payload, "{\"n\":0}");
    assert_string_equal(k[0].fallback_id, first_id);
    assert_string_equal(k[1].payload, "{\"n\":1}");
    assert_string_equal(k[2].payload, "{\"n\":2}");
    /* A limit met by a resend says nothing of the first try: it is asked again. */
    struct wire_record busy = {.type = WIRE_REJECTED,
                               .request = k[0].request,
                               .word = "busy",
                               .word_size = 4,
                               .error_code = ERROR_UNAVAILABLE,
                               .payload = "",
                               .payload_size = 0};
    unsigned sends = count_got(w, WIRE_SEND);
    plugin_say(w, &busy, 1);
    TURN_UNTIL(w, count_got(w, WIRE_SEND) > sends);
    assert_string_equal(last_got(w, WIRE_SEND)->fallback_id, first_id);
    assert_false(told[0].done);
    struct wire_record answers[3];
    for (int i = 0; i < 3; i++)
        answers[i] = (struct wire_record){.type = WIRE_STORED,
                                          .request = told[i].done ? 0 : (uint64_t)i + 1,
                                          .room = room,
                                          .seq = i + 1,
                                          .payload = "{}",
                                          .payload_size = 2};
    plugin_say(w, answers, 3);
    TURN_UNTIL(w, told[0].done && told[1].done && told[2].done);
    assert_int_equal(told[2].seq, 3);
}

static void a_send_without_answer_is_uncertain(void **state)
{
    struct world *w = *state;
    struct told told = {0};
    send_text(w, &told, "{}");
    int64_t from_ns = clock_mono_ns();
    TURN_UNTIL(w, told.done);
    int64_t took_ms = (clock_mono_ns() - from_ns) / 1000000;
    assert_int_equal(told.error.code, ERROR_UNCERTAIN);
    assert_string_equal(told.error.word, "no_answer");
    assert_true(took_ms >= 4000 && took_ms < 5500);
}

static void a_send_that_never_left_is_unavailable(void **state)
{
    struct world *w = *state;
    mosquitto_kill();
    TURN_UNTIL(w, !w->plugin_up && !broker_linked(w->broker));
    for (int i = 0; i < 3; i++) /* the link's own note may come a turn later */
        loop_turn(w->loop, true);
    struct told told = {0};
    send_text(w, &told, "{}");
    int64_t from_ns = clock_mono_ns();
    TURN_UNTIL(w, told.done);
    assert_int_equal(told.error.code, ERROR_UNAVAILABLE);
    assert_string_equal(told.error.word, "broker_unavailable");
    assert_true((clock_mono_ns() - from_ns) / 1000000 < 3500);
}

static void a_lost_packet_begins_anew(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    struct uuid room = room_of(3);
    port->watch(port, &room);
    TURN_UNTIL(w, w->watched == 1);
    struct told told = {0};
    send_text(w, &told, "{}");
    TURN_UNTIL(w, count_got(w, WIRE_SEND) == 1);
    unsigned hellos = count_got(w, WIRE_HELLO);
    w->number_out++;
    say_state(w, 5, true);
    TURN_UNTIL(w, w->lost == 1);
    TURN_UNTIL(w, w->watched == 2 && count_got(w, WIRE_SEND) == 2);
    assert_int_equal(count_got(w, WIRE_HELLO), hellos + 1);
    TURN_UNTIL(w, broker_linked(w->broker));
    struct wire_record answer = {.type = WIRE_STORED,
                                 .request = last_got(w, WIRE_SEND)->request,
                                 .room = room,
                                 .seq = 1,
                                 .payload = "{}",
                                 .payload_size = 2};
    plugin_say(w, &answer, 1);
    TURN_UNTIL(w, told.done);
    assert_true(told.stored);
    assert_int_equal(w->lost, 1);
}

static void a_mute_plugin_is_greeted_again(void **state)
{
    struct world *w = *state;
    w->mute = true;
    TURN_UNTIL(w, count_got(w, WIRE_HELLO) == 2);
    assert_false(broker_linked(w->broker));
    w->mute = false;
    TURN_UNTIL(w, broker_linked(w->broker));
    struct broker_port *port = broker_port(w->broker);
    assert_true(port->ready(port));
}

static void barriers_wait_for_both(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    members_set_version(w->members, 5, 1);
    port->barrier(port, 5, 5000, on_barrier, w); /* the plugin has said 5 */
    assert_int_equal(w->barriers_true, 0);
    TURN_UNTIL(w, w->barriers_true == 1);
    port->barrier(port, 6, 5000, on_barrier, w);
    port->barrier(port, 7, 200, on_barrier, w);
    say_state(w, 6, false);
    TURN_UNTIL(w, !port->ready(port));
    loop_turn(w->loop, false);
    assert_int_equal(w->barriers_true, 1); /* our own mirror is at 5 */
    members_set_version(w->members, 6, 1);
    broker_members_applied(w->broker);
    TURN_UNTIL(w, w->barriers_true == 2);
    TURN_UNTIL(w, w->barriers_false == 1);
    port->barrier(port, 9, 60000, on_barrier, w);
    broker_destroy(&w->broker);
    assert_int_equal(w->barriers_false, 2);
}

/* ---- Marks, events, typing, presence. ---- */

static void a_mark_is_answered_by_its_receipt(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    struct told read = {0}, delivered = {0};
    struct broker_send mark = {
        .user = "ann", .room = room_of(1), .payload = "{\"seq\":4}", .payload_size = 9};
    unsigned before = w->got_count;
    port->mark(port, false, &mark, on_answer, &read);
    port->mark(port, true, &mark, on_answer, &delivered);
    TURN_UNTIL(w, w->got_count == before + 2);
    assert_int_equal(w->got[before].type, WIRE_READ);
    assert_int_equal(w->got[before + 1].type, WIRE_DELIVERED);
    assert_string_equal(w->got[before].payload, "{\"seq\":4}");
    struct wire_record answers[] = {
        {.type = WIRE_RECEIPT,
         .request = w->got[before].request,
         .room = room_of(1),
         .seq = 4,
         .user = "ann",
         .user_size = 3,
         .payload = "{\"m\":4}",
         .payload_size = 7},
        {.type = WIRE_REJECTED,
         .request = w->got[before + 1].request,
         .word = "room_not_found",
         .word_size = 14,
         .error_code = ERROR_NOT_FOUND,
         .payload = "no",
         .payload_size = 2},
    };
    plugin_say(w, answers, 2);
    TURN_UNTIL(w, read.done && delivered.done);
    assert_true(read.stored);
    assert_int_equal(read.seq, 4);
    assert_string_equal(read.message, "{\"m\":4}");
    assert_string_equal(delivered.error.word, "room_not_found");
    assert_string_equal(w->heard, ""); /* the room is not watched */
}

static void a_mark_is_repeated_on_a_new_link(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    struct told told = {0};
    port->mark(
        port, false,
        &(struct broker_send){.user = "ann", .room = room_of(1), .payload = "{\"seq\":4}", .payload_size = 9},
        on_answer, &told);
    TURN_UNTIL(w, count_got(w, WIRE_READ) == 1);
    w->number_out += 5;
    say_state(w, 5, true); /* packets were lost: all begins anew */
    TURN_UNTIL(w, count_got(w, WIRE_READ) == 2);
    /* What the second try is told is final: a mark may be made twice. */
    plugin_say(w,
               &(struct wire_record){.type = WIRE_REJECTED,
                                     .request = last_got(w, WIRE_READ)->request,
                                     .word = "room_not_found",
                                     .word_size = 14,
                                     .error_code = ERROR_NOT_FOUND,
                                     .payload = "no",
                                     .payload_size = 2},
               1);
    TURN_UNTIL(w, told.done);
    assert_string_equal(told.error.word, "room_not_found");
}

static void what_happens_in_watched_rooms_is_told(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    struct uuid room = room_of(1);
    port->watch(port, &room);
    TURN_UNTIL(w, w->watched == 1);
    struct wire_record records[] = {
        {.type = WIRE_RECEIPT,
         .room = room,
         .seq = 3,
         .user = "bob",
         .user_size = 3,
         .payload = "{}",
         .payload_size = 2},
        {.type = WIRE_EVENT,
         .room = room,
         .version = 5,
         .word = "events",
         .word_size = 6,
         .payload = "{}",
         .payload_size = 2},
        {.type = WIRE_EVENT,
         .room = room_of(2),
         .word = "events",
         .word_size = 6,
         .payload = "{}",
         .payload_size = 2},
        {.type = WIRE_EVENT,
         .user = "ann",
         .user_size = 3,
         .word = "events",
         .word_size = 6,
         .payload = "{}",
         .payload_size = 2},
        {.type = WIRE_TYPED, .room = room, .user = "bob", .user_size = 3, .on = true},
        {.type = WIRE_TYPED, .room = room_of(2), .user = "bob", .user_size = 3, .on = true},
        {.type = WIRE_PRESENCE, .user = "bob", .user_size = 3, .on = true, .seq = 1},
    };
    plugin_say(w, records, sizeof records / sizeof *records);
    TURN_UNTIL(w, strstr(w->heard, "presence") != NULL);
    assert_string_equal(w->heard, "receipt 1 bob 3 {}\n"
                                  "event 1 '' events {}\n"
                                  "event 0 'ann' events {}\n"
                                  "typing 1 bob 1\n"
                                  "presence bob 1 seen\n");
    port->typing(port, &room, "ann", true);
    TURN_UNTIL(w, count_got(w, WIRE_TYPING) == 1);
    assert_string_equal(last_got(w, WIRE_TYPING)->user, "ann");
    assert_true(last_got(w, WIRE_TYPING)->on);
}

static void who_is_here_is_told_again_after_a_hello(void **state)
{
    struct world *w = *state;
    struct broker_port *port = broker_port(w->broker);
    port->online(port, "ann", true);
    port->online(port, "bob", true);
    port->online(port, "bob", false);
    TURN_UNTIL(w, count_got(w, WIRE_ONLINE) == 3);
    assert_false(last_got(w, WIRE_ONLINE)->on);
    w->number_out += 5;
    say_state(w, 5, true);
    TURN_UNTIL(w, count_got(w, WIRE_ONLINE) == 4);
    assert_string_equal(last_got(w, WIRE_ONLINE)->user, "ann");
    assert_true(last_got(w, WIRE_ONLINE)->on);
}

static void say_online(struct world *w, const char *user, bool on)
{
    plugin_say(
        w, &(struct wire_record){.type = WIRE_PRESENCE, .user = user, .user_size = 3, .on = on, .seq = 7}, 1);
}

/* The same names after a new HELLO are no change; those not named again are offline after the grace. */
static void presence_is_told_once(void **state)
{
    struct world *w = *state;
    say_online(w, "ann", true);
    say_online(w, "bob", true);
    say_online(w, "ann", true);
    TURN_UNTIL(w, strstr(w->heard, "bob") != NULL);
    w->heard[0] = '\0';
    unsigned hellos = count_got(w, WIRE_HELLO);
    w->number_out += 5;
    say_state(w, 5, true);
    TURN_UNTIL(w, count_got(w, WIRE_HELLO) == hellos + 1);
    say_online(w, "bob", true);
    TURN_UNTIL(w, w->heard[0] != '\0');
    assert_string_equal(w->heard, "presence ann 0 seen\n");
    say_online(w, "bob", false);
    TURN_UNTIL(w, strstr(w->heard, "bob") != NULL);
    assert_int_equal(broker_online(w->broker), 0);
}

#define CASE(name, up) cmocka_unit_test_setup_teardown(name, up, tear_down)

int main(void)
{
    snprintf(mosquitto_conf, sizeof mosquitto_conf, "/tmp/parlor-broker-%d.conf", (int)getpid());
    mosquitto_port = free_port();
    const struct CMUnitTest tests[] = {
        CASE(a_mark_is_answered_by_its_receipt, set_up_linked),
        CASE(a_mark_is_repeated_on_a_new_link, set_up_linked),
        CASE(what_happens_in_watched_rooms_is_told, set_up_linked),
        CASE(who_is_here_is_told_again_after_a_hello, set_up_linked),
        CASE(presence_is_told_once, set_up_linked),
        CASE(a_turn_goes_in_one_packet, set_up_linked),
        CASE(messages_come_to_watched_rooms, set_up_linked),
        CASE(a_killed_broker_loses_nothing, set_up_linked),
        CASE(a_send_without_answer_is_uncertain, set_up_linked),
        CASE(a_send_that_never_left_is_unavailable, set_up_linked),
        CASE(a_lost_packet_begins_anew, set_up_linked),
        CASE(a_mute_plugin_is_greeted_again, set_up),
        CASE(barriers_wait_for_both, set_up_linked),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    mosquitto_kill();
    unlink(mosquitto_conf);
    return rc;
}
