/* parlord: the REST API and the Socket.IO bridge on one port, between the broker and PostgreSQL.
 *
 * Neither of the two need be there when it starts: /readyz says when they are. On SIGTERM it takes no more
 * connections, tells the sockets to come back, answers what is under way, and ends with 0. */
#include "bridge/bridge.h"
#include "core/buf.h"
#include "core/config.h"
#include "core/log.h"
#include "core/members.h"
#include "core/token.h"
#include "http/http.h"
#include "http/refusal.h"
#include "service/api.h"
#include "service/broker.h"
#include "service/door.h"
#include "service/loop.h"
#include "service/mirror.h"
#include "service/pool.h"
#include "service/scrape.h"
#include "service/stream.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#define API_PREFIX             "/api/v1/"
#define POLLING_BODY_BYTES_MAX 1000000 /* what a Socket.IO client is told as maxPayload */
#define FILES_KEPT             128     /* of the files that may be open: for all but clients */
#define SHUTDOWN_MS            5000
#define SHUTDOWN_LOOK_MS       20
#define NODE_BYTES             4
#define NODE_TEXT_SIZE         (2 * NODE_BYTES + 1)

struct service {
    struct config *config;
    struct loop *loop;
    struct token_keys *tokens;
    struct members *members;
    struct pool *pool;
    struct mirror *mirror;
    struct broker *broker;
    struct streams *streams;
    struct ports ports;
    struct http *http;
    struct api *api;
    struct bridge *bridge; /* NULL once it shuts down */
    struct door *public, *admin;
    uv_signal_t *signals[2];
    struct timer *look;
    int64_t stop_at_ns; /* 0: not shutting down */
};

/* ---- Requests. ---- */

static void answer_not_now(const struct service *s, struct request *request, const char *word,
                           const char *text)
{
    struct refusal refusal;
    refusal_make(&refusal, request, s->config->cors_origins, 503, "Service Unavailable", word, text);
    request->ops->answer(request, &refusal.reply);
    refusal_finish(&refusal);
}

/* Before it is known who is in which room, everybody would be a stranger everywhere. */
static bool is_starting(const struct service *s, const struct request *request)
{
    return members_fresh_ns(s->members) == 0 &&
           (bridge_serves(request->path) || strncmp(request->path, API_PREFIX, sizeof API_PREFIX - 1) == 0);
}

static void on_public_request(void *context, struct request *request)
{
    struct service *s = context;
    if (is_starting(s, request))
        answer_not_now(s, request, "starting", "The server is starting: try again in a moment.");
    else if (!bridge_serves(request->path))
        http_request(s->http, request, false);
    else if (s->bridge)
        bridge_request(s->bridge, request);
    else
        answer_not_now(s, request, "shutting_down", "The server is going down: try again in a moment.");
}

static void on_admin_request(void *context, struct request *request)
{
    http_request(((struct service *)context)->http, request, true);
}

static void on_metrics(void *context, struct buf *page)
{
    struct service *s = context;
    struct scrape scrape = {
        .broker = s->broker, .pool = s->pool, .bridge = s->bridge, .listener = door_listener(s->public)};
    scrape_print(&scrape, page);
}

/* ---- Membership. ---- */

static void on_member_changed(void *self, const struct uuid *room, enum room_type type, const char *user,
                              size_t user_size, enum member_role role)
{
    struct service *s = self;
    if (s->bridge)
        bridge_member_changed(s->bridge, room, type, user, user_size, role);
}

static void on_members_reset(void *self)
{
    struct service *s = self;
    broker_members_reset(s->broker);
    if (s->bridge)
        bridge_members_reset(s->bridge);
}

static void on_members_applied(void *self)
{
    broker_members_applied(((struct service *)self)->broker);
}

/* ---- Shutting down. ---- */

static bool all_answered(const struct service *s)
{
    return listener_unanswered(door_listener(s->public)) == 0 &&
           listener_unanswered(door_listener(s->admin)) == 0 && streams_count(s->streams) == 0 &&
           pool_unanswered(s->pool) == 0 && broker_unanswered(s->broker) == 0;
}

static void on_look(void *context)
{
    struct service *s = context;
    struct clock_port *clock = s->ports.clock;
    s->look = NULL;
    if (all_answered(s) || clock->mono_ns(clock) >= s->stop_at_ns)
        loop_stop(s->loop);
    else
        s->look = clock->start(clock, SHUTDOWN_LOOK_MS, on_look, s);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct service *s = handle->data;
    (void)number;
    if (s->stop_at_ns != 0) {
        loop_stop(s->loop);
        return;
    }
    log_info("main", "shutting down");
    struct clock_port *clock = s->ports.clock;
    s->stop_at_ns = clock->mono_ns(clock) + SHUTDOWN_MS * INT64_C(1000000);
    listener_quiesce(door_listener(s->public));
    listener_quiesce(door_listener(s->admin));
    broker_listen(s->broker, NULL);
    bridge_destroy(&s->bridge);
    s->look = clock->start(clock, SHUTDOWN_LOOK_MS, on_look, s);
}

static void watch_signals(struct service *s)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        s->signals[i] = mem_zalloc(1, sizeof *s->signals[i]);
        uv_signal_init(loop_uv(s->loop), s->signals[i]);
        s->signals[i]->data = s;
        uv_signal_start(s->signals[i], on_signal, numbers[i]);
    }
}

/* ---- Starting. ---- */

/* As many files as this process may have; returns how many. */
static rlim_t raise_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

static unsigned connections_max(const struct config *config)
{
    rlim_t files = raise_files();
    rlim_t wanted = (rlim_t)config->http_connections_max;
    rlim_t room = files > 2 * FILES_KEPT ? files - FILES_KEPT : FILES_KEPT;
    if (config->limits && wanted <= room)
        return (unsigned)wanted;
    if (config->limits)
        log_info("main",
                 "http_connections_max is more than the open files that are allowed: raise LimitNOFILE "
                 "connections=%lu files=%lu",
                 (unsigned long)room, (unsigned long)files);
    return room < 1000000 ? (unsigned)room : 1000000;
}

static int open_doors(struct service *s, struct error *e)
{
    static const struct listener_bound bounds[] = {{"/socket.io", POLLING_BODY_BYTES_MAX}, {NULL, 0}};
    unsigned connections = connections_max(s->config);
    if (streams_create(s->loop, connections, &s->streams, e) != 0)
        return -1;
    struct listener_options options = {.connections_max = connections,
                                       .request_ms = s->config->request_timeout_ms,
                                       .bounds = bounds,
                                       .cors_origins = s->config->cors_origins,
                                       .open_stream = stream_open,
                                       .stream_context = s->streams};
    if (door_open(s->loop, s->config->http_address, (int)s->config->http_port, &options, on_public_request, s,
                  &s->public, e) != 0)
        return error_prefix(e, "http_port");
    struct listener_options admin = {.cors_origins = s->config->cors_origins};
    if (door_open(s->loop, s->config->admin_address, (int)s->config->admin_port, &admin, on_admin_request, s,
                  &s->admin, e) != 0)
        return error_prefix(e, "admin_port");
    return 0;
}

/* A name that no other parlord on this broker has. */
static void make_node(char out[NODE_TEXT_SIZE])
{
    uint8_t bytes[NODE_BYTES];
    random_bytes(bytes, sizeof bytes);
    for (int i = 0; i < NODE_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static int start(struct service *s, struct error *e)
{
    char node[NODE_TEXT_SIZE];
    make_node(node);
    struct mirror_events mirror_events = {.self = s,
                                          .on_changed = on_member_changed,
                                          .on_reset = on_members_reset,
                                          .on_applied = on_members_applied};
    s->members = members_create();
    if (loop_create(&s->loop, e) != 0 || token_keys_create(s->config, &s->tokens, e) != 0 ||
        pool_create(s->loop, s->config, &s->pool, e) != 0 ||
        broker_create(s->loop, s->config, s->tokens, s->members, node, &s->broker, e) != 0)
        return -1;
    s->ports = (struct ports){.config = s->config,
                              .db = pool_port(s->pool),
                              .broker = broker_port(s->broker),
                              .clock = loop_clock(s->loop),
                              .members = s->members,
                              .tokens = s->tokens};
    s->http = http_create(&s->ports);
    http_on_metrics(s->http, on_metrics, s);
    s->api = api_create(s->broker, s->http, &s->ports);
    s->bridge = bridge_create(&s->ports);
    broker_listen(s->broker, bridge_broker_events(s->bridge));
    if (open_doors(s, e) != 0 ||
        mirror_create(s->loop, s->config, s->members, &mirror_events, &s->mirror, e) != 0)
        return -1;
    watch_signals(s);
    log_info("main", "parlord serves http=%s:%d admin=%s:%d node=%s", s->config->http_address,
             listener_port(door_listener(s->public)), s->config->admin_address,
             listener_port(door_listener(s->admin)), node);
    return 0;
}

/* Top down: whoever asks goes before whoever answers. What is still under way is answered with an error. */
static void finish(struct service *s)
{
    if (s->loop)
        loop_clock(s->loop)->cancel(loop_clock(s->loop), &s->look);
    mirror_destroy(&s->mirror);
    if (s->broker)
        broker_listen(s->broker, NULL);
    bridge_destroy(&s->bridge);
    api_detach(s->api);
    broker_destroy(&s->broker);
    pool_destroy(&s->pool);
    http_destroy(&s->http);
    api_destroy(&s->api);
    door_close(&s->public);
    door_close(&s->admin);
    streams_destroy(&s->streams);
    for (int i = 0; i < 2; i++)
        if (s->signals[i])
            loop_close_and_free((uv_handle_t *)s->signals[i]);
    loop_destroy(&s->loop);
    members_destroy(&s->members);
    token_keys_destroy(&s->tokens);
    config_destroy(&s->config);
}

static int usage(FILE *to, int code)
{
    fputs("usage: parlord [--config FILE]\n"
          "FILE is parlor.conf; without it $PARLOR_CONFIG, or the environment alone.\n",
          to);
    return code;
}

static int exit_code(const struct error *e)
{
    if (e->code == ERROR_UNAVAILABLE)
        return EX_UNAVAILABLE;
    return e->code == ERROR_INTERNAL ? EX_OSERR : EX_CONFIG;
}

static int fail(const struct error *e)
{
    fprintf(stderr, "parlord: %s\n", e->text);
    return exit_code(e);
}

int main(int count, char **arguments)
{
    const char *path = getenv("PARLOR_CONFIG");
    if (count == 2 && strcmp(arguments[1], "--help") == 0)
        return usage(stdout, EX_OK);
    if (count == 3 && strcmp(arguments[1], "--config") == 0)
        path = arguments[2];
    else if (count != 1)
        return usage(stderr, EX_USAGE);

    struct service s = {0};
    struct error e = {0};
    enum log_level level;
    if (config_load(path, CONFIG_SERVICE, &s.config, &e) != 0)
        return fail(&e);
    if (log_level_parse(s.config->log_level, &level) == 0)
        log_init(NULL, level);
    signal(SIGPIPE, SIG_IGN);
    mallopt(M_ARENA_MAX, 2); /* the threads beside the loop allocate little */
    int rc = start(&s, &e);
    if (rc == 0)
        loop_run(s.loop);
    finish(&s);
    return rc == 0 ? EX_OK : fail(&e);
}
