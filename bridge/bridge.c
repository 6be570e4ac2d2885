#include "bridge/bridge.h"

#include "bridge/answers.h"
#include "bridge/call_sockets.h"
#include "bridge/chat.h"
#include "core/config.h"
#include "core/metrics.h"

#include <stdlib.h>
#include <string.h>

#define PATH               "/socket.io"
#define UPGRADE_TIMEOUT_MS 10000
#define PAYLOAD_FACTOR     2 /* of the limit of an event: up to here a larger one is answered, not cut off */

struct bridge {
    struct ports ports;
    struct sockets *sockets;
    struct chat *chat;
    struct call_sockets *calls;
    struct broker_events events;
};

/* Some clients connect to "/" before anything else; it has no events here, which is told to those who have
 * forgotten a namespace. */
static void on_root_connect(void *self, struct socket *socket, struct slice auth, const char *authorization)
{
    (void)self, (void)auth, (void)authorization;
    socket_accept(socket, NULL);
}

static void on_root_event(void *self, struct socket *socket, const struct event *event)
{
    struct error e;

    (void)self;
    error_set(&e, ERROR_INVALID, "unknown_event", "/ knows no events: connect to /chat.");
    answer_error(socket, &event->ack, event->name, (struct slice){NULL, 0}, &e);
}

static void on_root_disconnect(void *self, struct socket *socket, enum session_end end)
{
    (void)self, (void)socket, (void)end;
}

struct bridge *bridge_create(const struct ports *ports)
{
    const struct config *config = ports->config;
    struct bridge *b = mem_zalloc(1, sizeof *b);
    struct engine_options options = {.ping_interval_ms = config->socket_ping_interval_ms,
                                     .ping_timeout_ms = config->socket_ping_timeout_ms,
                                     .upgrade_timeout_ms = UPGRADE_TIMEOUT_MS,
                                     .payload_max = (size_t)config->payload_bytes_max * PAYLOAD_FACTOR,
                                     .unsent_max = (size_t)config->unsent_bytes_max,
                                     .sessions_max = (size_t)config->http_connections_max,
                                     .connects_per_s = config->limits ? config->connects_per_s : 0,
                                     .strangers_max = config->limits ? config->strangers_address_max : 0,
                                     .packets_per_s = config->limits ? config->socket_packets_per_s : 0,
                                     .cors_origins = config->cors_origins};

    b->ports = *ports;
    b->sockets = sockets_create(ports->clock, &options, config->socket_connect_timeout_ms);
    sockets_add(b->sockets, "/",
                &(struct nsp_handlers){.self = b,
                                       .anonymous = true,
                                       .on_connect = on_root_connect,
                                       .on_event = on_root_event,
                                       .on_disconnect = on_root_disconnect});
    b->chat = chat_create(ports, b->sockets);
    b->calls = call_sockets_create(ports, b->sockets);
    b->events = chat_broker_events(b->chat);
    return b;
}

void bridge_destroy(struct bridge **bridge)
{
    struct bridge *b = *bridge;

    if (b == NULL)
        return;
    sockets_destroy(&b->sockets);
    chat_destroy(&b->chat);
    call_sockets_destroy(&b->calls);
    free(b);
    *bridge = NULL;
}

bool bridge_serves(const char *path)
{
    return strcmp(path, PATH) == 0 || strncmp(path, PATH "/", sizeof PATH) == 0;
}

void bridge_request(struct bridge *b, struct request *request)
{
    sockets_request(b->sockets, request);
}

const struct broker_events *bridge_broker_events(struct bridge *b)
{
    return &b->events;
}

void bridge_member_changed(struct bridge *b, const struct uuid *room, enum room_type type, const char *user,
                           size_t user_size, enum member_role role)
{
    struct audience *audience = chat_audience(b->chat);
    struct person *person = audience_person(audience, user, user_size);

    (void)type;
    if (person == NULL)
        return;
    if (role != MEMBER_NONE) {
        audience_join(audience, person, room);
        return;
    }
    chat_member_removed(b->chat, person, room);
    audience_leave(audience, person, room);
}

void bridge_members_reset(struct bridge *b)
{
    audience_reset(chat_audience(b->chat));
}

/* Metrics. */

static void put_sessions(const struct engine_stats *engine, struct buf *out)
{
    struct buf labels = {0};
    metrics_family(out, "parlor_socket_sessions", METRIC_GAUGE, "Engine.IO sessions, by transport.");
    metrics_line(out, "parlor_socket_sessions", "transport=\"websocket\"", engine->websockets);
    metrics_line(out, "parlor_socket_sessions", "transport=\"polling\"",
                 engine->sessions - engine->websockets);
    metrics_single(out, "parlor_socket_sessions_opened_total", METRIC_COUNTER, "Engine.IO sessions opened.",
                   engine->opened);
    metrics_family(out, "parlor_socket_sessions_refused_total", METRIC_COUNTER,
                   "Handshakes refused over a limit, by which.");
    for (int i = 0; i < ENGINE_REFUSALS; i++) {
        static const char *const limits[ENGINE_REFUSALS] = {"sessions", "connects_per_s", "strangers"};

        buf_clear(&labels);
        metrics_label(&labels, "limit", limits[i]);
        metrics_line(out, "parlor_socket_sessions_refused_total", labels.data, engine->refused[i]);
    }
    metrics_family(out, "parlor_socket_sessions_ended_total", METRIC_COUNTER,
                   "Engine.IO sessions ended, by why.");
    for (int i = 0; i < SESSION_ENDS; i++) {
        static const char *const reasons[SESSION_ENDS] = {"client_left", "transport_error", "ping_timeout",
                                                          "parse_error", "too_big",         "slow_reader",
                                                          "closed",      "shutdown",        "flood"};
        buf_clear(&labels);
        metrics_label(&labels, "reason", reasons[i]);
        metrics_line(out, "parlor_socket_sessions_ended_total", labels.data, engine->ended[i]);
    }
    buf_finish(&labels);
}

static void put_chat(const struct chat_stats *chat, const struct call_sockets_stats *calls,
                     const struct audience_stats *audience, struct buf *out)
{
    metrics_family(out, "parlor_sockets", METRIC_GAUGE, "Socket.IO sockets, by namespace.");
    metrics_line(out, "parlor_sockets", "namespace=\"/chat\"", chat->sockets);
    metrics_line(out, "parlor_sockets", "namespace=\"/calls\"", calls->sockets);
    metrics_single(out, "parlor_socket_frames_total", METRIC_COUNTER,
                   "Events of rooms that were written to sockets.", chat->delivered);
    metrics_single(out, "parlor_socket_connects_refused_total", METRIC_COUNTER,
                   "Sockets answered CONNECT_ERROR.", chat->refused + calls->refused);
    metrics_single(out, "parlor_socket_events_limited_total", METRIC_COUNTER,
                   "Events of sockets refused over their rate.", chat->limited);
    metrics_single(out, "parlor_socket_users", METRIC_GAUGE, "Users with a socket here.", audience->persons);
    metrics_single(out, "parlor_socket_rooms", METRIC_GAUGE, "Rooms that a socket here listens to.",
                   audience->rooms);
    metrics_single(out, "parlor_socket_fills_total", METRIC_COUNTER,
                   "Reads of messages from the database that the link had not brought.", audience->fills);
}

void bridge_metrics(const struct bridge *b, struct buf *out)
{
    put_sessions(sockets_stats(b->sockets), out);
    put_chat(chat_stats(b->chat), call_sockets_stats(b->calls), audience_stats(chat_audience(b->chat)), out);
}
