#include "http/http.h"

#include "core/config.h"
#include "http/bearer.h"
#include "http/cors.h"
#include "http/docs.h"
#include "http/edits.h"
#include "http/exchange.h"
#include "http/health.h"
#include "http/marks.h"
#include "http/messages.h"
#include "http/participants.h"
#include "http/rate.h"
#include "http/rooms.h"
#include "http/router.h"
#include "http/sync.h"
#include "http/traffic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RATE_BURST_SECONDS 2
#define METRICS_TYPE       "text/plain; version=0.0.4; charset=utf-8"

struct http {
    const struct ports *ports;
    struct exchange *under_way;
    struct rate *rate; /* NULL: no limit */
    struct traffic *traffic;
    struct docs *docs;
    http_metrics_fn on_metrics; /* NULL: nothing to add */
    void *metrics_context;
};

static const char *const no_params[] = {NULL};
static const char *const room_list_params[] = {"type", "cursor", "limit", NULL};
static const char *const message_list_params[] = {"limit", "before", "after", "search", NULL};

static void metrics_get(struct exchange *x)
{
    struct http *http = x->http;
    traffic_print(http->traffic, &x->text);
    if (http->on_metrics != NULL)
        http->on_metrics(http->metrics_context, &x->text);
    exchange_answer(x, 200, METRICS_TYPE, x->text.data, x->text.size);
}

static void docs_page_get(struct exchange *x)
{
    docs_page(x->http->docs, x);
}

static void docs_file_get(struct exchange *x)
{
    docs_file(x->http->docs, x);
}

static void docs_openapi_get(struct exchange *x)
{
    docs_openapi(x->http->docs, x);
}

/* A noun's routes stand together; docs/openapi.yaml has each of them. */
static const struct route routes[] = {
    {"GET", "/api/v1/chat/rooms/:id/messages", messages_list, ROUTE_AUTH, message_list_params},
    {"POST", "/api/v1/chat/rooms/:id/messages", messages_create, ROUTE_AUTH | ROUTE_JSON, no_params},
    {"PATCH", "/api/v1/chat/messages/:id/read", marks_message, ROUTE_AUTH, no_params},
    {"PATCH", "/api/v1/chat/rooms/:id/read", marks_room, ROUTE_AUTH | ROUTE_JSON, no_params},
    {"PATCH", "/api/v1/chat/messages/:id", edits_edit, ROUTE_AUTH | ROUTE_JSON, no_params},
    {"DELETE", "/api/v1/chat/messages/:id", edits_delete, ROUTE_AUTH, no_params},
    {"PATCH", "/api/v1/chat/rooms/:id/participants/:userId/remove", participants_remove, ROUTE_AUTH,
     no_params},
    {"PATCH", "/api/v1/chat/rooms/:id/participants/:userId", participants_update, ROUTE_AUTH | ROUTE_JSON,
     no_params},
    {"POST", "/api/v1/chat/rooms/:id/participants", participants_add, ROUTE_AUTH | ROUTE_JSON, no_params},
    {"POST", "/api/v1/chat/sync", sync_rooms, ROUTE_AUTH | ROUTE_JSON | ROUTE_SYNC | ROUTE_READS, no_params},
    {"GET", "/api/v1/chat/rooms/:id", rooms_get, ROUTE_AUTH, no_params},
    {"PATCH", "/api/v1/chat/rooms/:id", rooms_update, ROUTE_AUTH | ROUTE_JSON, no_params},
    {"GET", "/api/v1/chat/rooms", rooms_list, ROUTE_AUTH, room_list_params},
    {"POST", "/api/v1/chat/rooms", rooms_create, ROUTE_AUTH | ROUTE_JSON, no_params},
    {"GET", "/api/docs", docs_page_get, 0, NULL},
    {"GET", "/api/docs/:file", docs_file_get, 0, NULL},
    {"GET", "/api/openapi.json", docs_openapi_get, 0, NULL},
    {"GET", "/healthz", health_live, ROUTE_ADMIN, NULL},
    {"GET", "/readyz", health_ready, ROUTE_ADMIN, NULL},
    {"GET", "/metrics", metrics_get, ROUTE_ADMIN | ROUTE_HIDDEN, NULL},
    {NULL, NULL, NULL, 0, NULL},
};

struct http *http_create(const struct ports *ports)
{
    struct http *http = mem_zalloc(1, sizeof *http);
    http->ports = ports;
    http->traffic = traffic_create(routes);
    http->docs = docs_create(ports->config->swagger_ui_path);
    int64_t per_s = ports->config->rest_per_s;
    if (ports->config->limits && per_s > 0)
        http->rate = rate_create(per_s, per_s * RATE_BURST_SECONDS);
    return http;
}

void http_destroy(struct http **http)
{
    if (http == NULL || *http == NULL)
        return;
    /* Callbacks that are still due find their exchange answered, and free it. */
    while ((*http)->under_way != NULL)
        exchange_refuse_status((*http)->under_way, 503, "unavailable", "the service is stopping");
    rate_destroy(&(*http)->rate);
    traffic_destroy(&(*http)->traffic);
    docs_destroy(&(*http)->docs);
    free(*http);
    *http = NULL;
}

void http_on_metrics(struct http *http, http_metrics_fn fn, void *context)
{
    http->on_metrics = fn;
    http->metrics_context = context;
}

static void refuse_unrouted(struct exchange *x)
{
    const struct request *request = x->request;
    if (x->match.path_known && strcmp(request->method, "OPTIONS") == 0) {
        cors_options(x);
    } else if (x->match.path_known) {
        exchange_header(x, "Allow", x->match.allow);
        exchange_refuse_status(x, 405, "method_not_allowed", "%.16s is not for this path", request->method);
    } else {
        exchange_refuse_status(x, 404, "not_found", "there is nothing under this path");
    }
}

/* application/json, with charset utf-8 or none. A body without a type is taken for JSON. */
static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    if (type == NULL)
        return true;
    if (strncasecmp(type, json, sizeof json - 1) != 0)
        return false;
    type += sizeof json - 1;
    type += strspn(type, " \t");
    if (*type == '\0')
        return true;
    if (*type != ';')
        return false;
    const char *charset = strcasestr(type, "charset=");
    return charset == NULL || strncasecmp(charset + 8, "utf-8", 5) == 0 ||
           strncasecmp(charset + 8, "\"utf-8\"", 7) == 0;
}

static bool is_encoded(const struct request *request)
{
    const char *encoding = request->header(request, "Content-Encoding");
    return request->body_size > 0 && encoding != NULL && strcasecmp(encoding, "identity") != 0;
}

static bool body_fits(struct exchange *x)
{
    const struct request *request = x->request;
    if (!(x->match.route->flags & ROUTE_JSON))
        return true;
    int64_t max = x->ports->config->payload_bytes_max;
    if (x->match.route->flags & ROUTE_SYNC)
        max = SYNC_BODY_BYTES_MAX;
    if (request->body_size > (size_t)max) {
        exchange_refuse_status(x, 413, "payload_too_large", "a body may have at most %lld bytes",
                               (long long)max);
        return false;
    }
    if (is_encoded(request)) {
        exchange_header(x, "Accept-Encoding", "identity"); /* RFC 9110, 15.5.16 */
        exchange_refuse_status(x, 415, "unsupported_encoding", "the body must not be compressed");
        return false;
    }
    const char *type = request->header(request, "Content-Type");
    if (request->body_size > 0 && !is_json(type)) {
        if (strncasecmp(type, "multipart/", 10) == 0)
            x->hint = "Files are not taken yet: send the rest as JSON with `Content-Type: application/json`.";
        exchange_refuse_status(x, 415, "unsupported_media_type", "the body must be JSON in UTF-8");
        return false;
    }
    return true;
}

static bool rate_fits(struct exchange *x)
{
    int64_t wait_ms;
    if (x->http->rate == NULL ||
        rate_take(x->http->rate, x->who.user, strlen(x->who.user), x->started_ns, &wait_ms))
        return true;
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%lld", (long long)(wait_ms / 1000 + 1));
    exchange_header(x, "Retry-After", seconds);
    exchange_refuse_status(x, 429, "rate_limited", "a user may make %lld requests a second",
                           (long long)x->ports->config->rest_per_s);
    return false;
}

void http_request(struct http *http, struct request *request, bool admin)
{
    struct exchange *x = exchange_create(http, http->ports, request, &http->under_way);
    x->traffic = http->traffic;
    cors_begin(x);
    router_match(routes, request->method, request->path, admin, &x->match);
    const struct route *route = x->match.route;
    if (route == NULL) {
        refuse_unrouted(x);
        return;
    }
    if (route->flags & ROUTE_AUTH && (!bearer_check(x) || !rate_fits(x)))
        return;
    if (!body_fits(x))
        return;
    if (route->params != NULL)
        args_read(&x->args, request->query, route->params, &x->problems);
    route->handle(x);
}
