/* parlor-probe: what one MQTT client sees of a running Parlor, in microseconds.
 *
 *   probe latency --port P --token T --user U --room R [--prefix chat/v1] [--rate 500] [--secs 10]
 *       sends messages at a steady rate on one connection and times each until its delivery on another (open
 * loop: from when it was due); says how many were lost or rejected. probe stall --port P --token T --user U
 * [--secs 10] a PINGREQ every millisecond: how long the broker's loop lets a client wait, whatever the
 * database does.
 *
 * Prints one line of JSON. Plain MQTT 3.1.1 over loopback TCP, on purpose without a library: what is timed is
 * the broker, and the probe must not be what waits. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES_MAX   2000000
#define PACKET_MAX    (1 << 20)
#define SECOND_NS     1000000000LL
#define DRAIN_NS      (3 * SECOND_NS)
#define PING_EVERY_NS 1000000LL

struct client {
    int fd;
    uint8_t in[PACKET_MAX];
    size_t have;
};

struct options {
    const char *mode, *token, *user, *room, *prefix;
    int port;
    long rate, secs;
};

static struct client sender, receiver;
static uint32_t *samples_us;
static size_t sample_count;
static long rejected, lost;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "probe: %s\n", what);
    exit(1);
}

static void sample(int64_t ns)
{
    if (sample_count < SAMPLES_MAX)
        samples_us[sample_count++] = (uint32_t)(ns < 0 ? 0 : ns / 1000);
}

static void send_all(int fd, const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = send(fd, bytes + at, size - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            fail("the broker closed the connection");
        at += (size_t)n;
    }
}

static size_t put_string(uint8_t *to, const char *text)
{
    size_t size = strlen(text);
    to[0] = (uint8_t)(size >> 8);
    to[1] = (uint8_t)size;
    memcpy(to + 2, text, size);
    return size + 2;
}

/* Fixed header (MQTT 3.1.1, section 2.2) before a body that starts 5 bytes into `packet`; sends it. */
static void send_packet(int fd, uint8_t type, uint8_t *packet, size_t body)
{
    uint8_t head[5] = {type};
    size_t n = 1, left = body;
    do {
        head[n] = (uint8_t)(left % 128 | (left >= 128 ? 128 : 0));
        left /= 128;
        n++;
    } while (left);
    memcpy(packet + 5 - n, head, n);
    send_all(fd, packet + 5 - n, n + body);
}

/* Takes one whole packet off the front of what was received; 0 when there is none yet. */
static size_t packet_size(const struct client *c, size_t *body_at)
{
    size_t size = 0, shift = 0, at = 1;
    for (;; at++, shift += 7) {
        if (at >= c->have)
            return 0;
        size |= (size_t)(c->in[at] & 127) << shift;
        if (!(c->in[at] & 128))
            break;
    }
    *body_at = at + 1;
    return c->have >= at + 1 + size ? at + 1 + size : 0;
}

typedef void (*packet_fn)(uint8_t type, const uint8_t *body, size_t size);

/* Reads what is there within wait_ms and hands each packet to fn. */
static void receive(struct client *c, int wait_ms, packet_fn fn)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    if (poll(&p, 1, wait_ms) <= 0)
        return;
    ssize_t n = recv(c->fd, c->in + c->have, sizeof c->in - c->have, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        fail("the broker closed the connection");
    c->have += n > 0 ? (size_t)n : 0;
    size_t size, body;
    while (c->have && (size = packet_size(c, &body))) {
        fn(c->in[0] >> 4, c->in + body, size - body);
        memmove(c->in, c->in + size, c->have - size);
        c->have -= size;
    }
}

static uint8_t awaited;
static void on_awaited(uint8_t type, const uint8_t *body, size_t size)
{
    if (type == 2 && (size < 2 || body[1]))
        fail("CONNECT was refused");
    if (type == 9 && (size < 3 || body[2] == 0x80))
        fail("SUBSCRIBE was refused");
    if (type == awaited)
        awaited = 0;
}

static void await(struct client *c, uint8_t type)
{
    int64_t until = now_ns() + 5 * SECOND_NS;
    awaited = type;
    while (awaited) {
        if (now_ns() > until)
            fail("no answer within 5 s");
        receive(c, 100, on_awaited);
    }
}

static void connect_client(struct client *c, const struct options *o, const char *suffix)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a))
        fail("nothing listens on --port");
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    static uint8_t packet[16384];
    char id[256];
    snprintf(id, sizeof id, "%s:%s-%d", o->user, suffix, (int)getpid());
    if (strlen(o->token) > 8192)
        fail("--token is too long");
    size_t n = 5 + put_string(packet + 5, "MQTT");
    const uint8_t rest[] = {4, 0xC2, 0,
                            60}; /* level 3.1.1; user name, password, clean session; keep alive 60 s */
    memcpy(packet + n, rest, sizeof rest);
    n += sizeof rest;
    n += put_string(packet + n, id);
    n += put_string(packet + n, "jwt");
    n += put_string(packet + n, o->token);
    send_packet(c->fd, 0x10, packet, n - 5);
    await(c, 2);
}

static void subscribe(struct client *c, const char *topic)
{
    uint8_t packet[600];
    packet[5] = 0;
    packet[6] = 1;
    size_t n = 7 + put_string(packet + 7, topic);
    packet[n++] = 0;
    send_packet(c->fd, 0x82, packet, n - 5);
    await(c, 9);
}

static void on_delivery(uint8_t type, const uint8_t *body, size_t size)
{
    static const char mark[] = "\"content\":\"t";
    const char *at = type == 3 ? memmem(body, size, mark, sizeof mark - 1) : NULL;
    char digits[24] = "";
    if (at && size - (size_t)(at - (const char *)body) > sizeof mark - 1 + 19) {
        memcpy(digits, at + sizeof mark - 1, 19);
        sample(now_ns() - strtoll(digits, NULL, 10));
    } else if (type == 3 && memmem(body, size, "\"rejected\"", 10)) {
        rejected++;
    }
}

static void publish_message(const struct options *o, int64_t due_ns, long number)
{
    uint8_t packet[1024];
    char topic[512], payload[256];
    snprintf(topic, sizeof topic, "%s/rooms/%s/send/%s", o->prefix, o->room, o->user);
    int size =
        snprintf(payload, sizeof payload, "{\"clientMessageId\":\"p%d-%ld\",\"content\":\"t%019lld%080d\"}",
                 (int)getpid(), number, (long long)due_ns, 0);
    size_t n = 5 + put_string(packet + 5, topic);
    memcpy(packet + n, payload, (size_t)size);
    send_packet(sender.fd, 0x30, packet, n - 5 + (size_t)size);
}

static void run_latency(const struct options *o)
{
    char topic[512];
    connect_client(&sender, o, "send");
    connect_client(&receiver, o, "hear");
    snprintf(topic, sizeof topic, "%s/rooms/%s/messages", o->prefix, o->room);
    subscribe(&receiver, topic);
    snprintf(topic, sizeof topic, "%s/users/%s/acks", o->prefix, o->user);
    subscribe(&receiver, topic);
    int64_t begin = now_ns(), gap = SECOND_NS / o->rate;
    long count = o->rate * o->secs, sent = 0;
    while (sent < count) {
        int64_t due = begin + sent * gap, wait = due - now_ns();
        if (wait > 0) {
            receive(&receiver, wait > 1000000 ? (int)(wait / 1000000) : 0, on_delivery);
            continue;
        }
        publish_message(o, due, sent++);
    }
    for (int64_t until = now_ns() + DRAIN_NS; now_ns() < until && (long)sample_count + rejected < sent;)
        receive(&receiver, 50, on_delivery);
    lost = sent - (long)sample_count - rejected;
}

static int64_t pinged_at;
static void on_pong(uint8_t type, const uint8_t *body, size_t size)
{
    (void)body;
    (void)size;
    if (type == 13) {
        sample(now_ns() - pinged_at);
        pinged_at = 0;
    }
}

static void run_stall(const struct options *o)
{
    connect_client(&sender, o, "stall");
    int64_t until = now_ns() + o->secs * SECOND_NS, next = 0;
    while (now_ns() < until) {
        if (!pinged_at && now_ns() >= next) {
            pinged_at = now_ns();
            next = pinged_at + PING_EVERY_NS;
            send_all(sender.fd, (const uint8_t[]){0xC0, 0}, 2);
        }
        receive(&sender, 1, on_pong);
    }
    if (pinged_at)
        sample(now_ns() - pinged_at); /* a stall that had not ended */
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print_result(const struct options *o)
{
    qsort(samples_us, sample_count, sizeof *samples_us, compare);
#define AT(permille) (sample_count ? samples_us[(sample_count - 1) * (permille) / 1000] : 0)
    printf("{\"mode\":\"%s\",\"samples\":%zu,\"p50_us\":%u,\"p99_us\":%u,\"p999_us\":%u,\"max_us\":%u,"
           "\"rejected\":%ld,\"lost\":%ld}\n",
           o->mode, sample_count, AT(500), AT(990), AT(999), AT(1000), rejected, lost);
}

static struct options parse(int argc, char **argv)
{
    struct options o = {.mode = argc > 1 ? argv[1] : "", .prefix = "chat/v1", .rate = 500, .secs = 10};
    for (int i = 2; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (!strcmp(name, "--port"))
            o.port = (int)strtol(value, NULL, 10);
        else if (!strcmp(name, "--token"))
            o.token = value;
        else if (!strcmp(name, "--user"))
            o.user = value;
        else if (!strcmp(name, "--room"))
            o.room = value;
        else if (!strcmp(name, "--prefix"))
            o.prefix = value;
        else if (!strcmp(name, "--rate"))
            o.rate = strtol(value, NULL, 10);
        else if (!strcmp(name, "--secs"))
            o.secs = strtol(value, NULL, 10);
        else
            fail("unknown option; see the head of bench/probe.c");
    }
    if (o.port <= 0 || !o.token || !o.user || o.rate < 1 || o.rate > 100000 || o.secs < 1 || o.secs > 600)
        fail("needs --port, --token and --user; --rate is 1 to 100000, --secs 1 to 600");
    return o;
}

int main(int argc, char **argv)
{
    struct options o = parse(argc, argv);
    samples_us = calloc(SAMPLES_MAX, sizeof *samples_us);
    if (!samples_us)
        fail("out of memory");
    if (!strcmp(o.mode, "latency") && o.room)
        run_latency(&o);
    else if (!strcmp(o.mode, "stall"))
        run_stall(&o);
    else
        fail("the mode is latency (with --room) or stall");
    print_result(&o);
    return lost != 0;
}
