#include "service/api.h"

#include "core/json.h"
#include "core/log.h"
#include "core/members.h"
#include "core/token.h"
#include "http/access_log.h"
#include "http/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define API_BASE      "/api/v1"
#define METHOD_MAX    16
#define PATH_TEXT_MAX 1024

struct api {
    struct broker *broker;
    struct http *http;
    const struct ports *ports;
};

struct call {
    struct request request; /* first */
    struct api *api;
    struct token who;
    char request_id[USER_ID_MAX + 1];
    char method[METHOD_MAX + 1];
    struct buf path, query, body; /* path: as it came, a zero, decoded */
    char *idempotency_key;        /* NULL: none */
};

static void call_free(struct call *call)
{
    buf_finish(&call->path);
    buf_finish(&call->query);
    buf_finish(&call->body);
    free(call->idempotency_key);
    free(call);
}

/* A body that is no JSON (there is none under the base but errors of ours) goes as a text; HEAD has none. */
static void on_answer(struct request *request, const struct reply *reply)
{
    struct call *call = (struct call *)request;
    struct buf text = {0};
    if (call->api->broker == NULL) {
        call_free(call);
        return;
    }
    bool json = reply->content_type != NULL && strncmp(reply->content_type, "application/json", 16) == 0;
    buf_reserve(&text, reply->body_size + 32);
    buf_printf(&text, "{\"status\":%d,\"body\":", reply->status);
    if (reply->content_type == NULL || reply->body_size == 0 || strcmp(call->method, "HEAD") == 0)
        buf_put_text(&text, "null");
    else if (json)
        buf_put(&text, reply->body, reply->body_size);
    else
        json_put_string(&text, reply->body, reply->body_size);
    buf_put_byte(&text, '}');
    broker_reply(call->api->broker, call->who.user, call->request_id, text.data, text.size);
    buf_finish(&text);
    call_free(call);
}

static const char *on_header(const struct request *request, const char *name)
{
    const struct call *call = (const struct call *)request;
    if (strcasecmp(name, "Idempotency-Key") == 0)
        return call->idempotency_key;
    return strcasecmp(name, "Content-Type") == 0 ? "application/json" : NULL;
}

/* ---- Reading the payload. ---- */

static void put_escaped(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     strchr("-._~", c) != NULL;
        if (plain)
            buf_put_byte(out, c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

static int read_query(struct buf *out, const struct json *query, struct error *e)
{
    if (json_kind(query) == JSON_ABSENT || json_kind(query) == JSON_NULL)
        return 0;
    if (json_kind(query) == JSON_STRING) {
        buf_put_text(out, json_string(query));
        return 0;
    }
    if (json_kind(query) != JSON_OBJECT)
        return error_set(e, ERROR_INVALID, "invalid_request", "query must be an object or a string");
    for (const struct json *value = json_first(query); value != NULL; value = json_next(value)) {
        int64_t number;
        if (json_kind(value) == JSON_NULL)
            continue;
        if (out->size > 0)
            buf_put_byte(out, '&');
        put_escaped(out, json_name(value));
        buf_put_byte(out, '=');
        if (json_integer(value, &number))
            buf_printf(out, "%lld", (long long)number);
        else if (json_kind(value) == JSON_STRING)
            put_escaped(out, json_string(value));
        else
            return error_set(e, ERROR_INVALID, "invalid_request",
                             "query must have strings and whole numbers only");
    }
    return 0;
}

/* The path, with the base, into call->path, and behind its zero the bytes that it is decoded into. */
static int read_path(struct call *call, const char *path, struct error *e)
{
    struct buf *out = &call->path;
    struct target target;
    if (path == NULL || path[0] != '/' || strlen(path) > PATH_TEXT_MAX || strchr(path, '?') != NULL)
        return error_set(e, ERROR_INVALID, "invalid_request",
                         "path must begin with a slash, as in /chat/rooms; what follows a ? goes into query");
    if (strncmp(path, API_BASE "/", sizeof API_BASE) != 0)
        buf_put_text(out, API_BASE);
    buf_put_text(out, path);
    size_t size = out->size;
    buf_put_byte(out, '\0');
    buf_reserve(out, size + 1);
    if (!target_split(out->data, size, &target))
        return error_set(e, ERROR_INVALID, TARGET_PATH_WORD, "%s", TARGET_PATH_TEXT);
    call->request.path = target.path;
    return 0;
}

static int read_method(char out[METHOD_MAX + 1], const char *method, struct error *e)
{
    size_t size = method != NULL ? strlen(method) : 0;
    if (size == 0 || size > METHOD_MAX || strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != size)
        return error_set(e, ERROR_INVALID, "invalid_request", "method must be as in HTTP: GET, POST, ...");
    memcpy(out, method, size + 1);
    return 0;
}

static int read_payload(struct call *call, const struct json *tree, struct error *e)
{
    const struct json *body = json_get(tree, "body"), *key = json_get(tree, "idempotencyKey");
    if (json_kind(tree) != JSON_OBJECT)
        return error_set(e, ERROR_INVALID, "invalid_json", "the payload must be a JSON object");
    if (read_method(call->method, json_string(json_get(tree, "method")), e) != 0 ||
        read_path(call, json_string(json_get(tree, "path")), e) != 0 ||
        read_query(&call->query, json_get(tree, "query"), e) != 0)
        return -1;
    if (json_string(key) != NULL)
        call->idempotency_key = mem_strdup(json_string(key));
    else if (json_kind(key) != JSON_ABSENT && json_kind(key) != JSON_NULL)
        return error_set(e, ERROR_INVALID, "invalid_request", "idempotencyKey must be a string");
    if (json_kind(body) != JSON_ABSENT && json_kind(body) != JSON_NULL)
        json_put_tree(&call->body, body);
    return 0;
}

/* ---- */

static void refuse(struct call *call, int status, const char *title, const struct error *why)
{
    struct buf body = {0};
    access_log_line(LOG_LEVEL_DEBUG, &call->request, NULL, status, 0, call->who.user);
    buf_printf(&body, "{\"statusCode\":%d,\"error\":\"%s\",\"code\":", status, title);
    json_put_text(&body, why->word);
    buf_put_text(&body, ",\"message\":");
    json_put_text(&body, why->text);
    buf_printf(&body, ",\"requestId\":\"%s\"}", call->request_id);
    on_answer(&call->request, &(struct reply){.status = status,
                                              .content_type = "application/json",
                                              .body = body.data,
                                              .body_size = body.size});
    buf_finish(&body);
}

static struct call *call_make(struct api *api, const struct wire_record *record)
{
    static const struct request_ops ops = {.answer = on_answer};
    struct call *call = mem_zalloc(1, sizeof *call);
    call->api = api;
    memcpy(call->who.user, record->user, record->user_size);
    call->who.role = (enum role)record->seq;
    call->who.expires_at_s = record->version;
    memcpy(call->request_id, record->word, record->word_size);
    buf_put_text(&call->query, "");
    buf_reserve(&call->query, 1);
    call->request = (struct request){.ops = &ops,
                                     .method = call->method,
                                     .address = "mqtt",
                                     .request_id = call->request_id,
                                     .header = on_header,
                                     .who = &call->who};
    return call;
}

void api_on_record(void *context, const struct wire_record *record)
{
    struct api *api = context;
    struct error e = {0};
    if (!user_id_valid(record->user, record->user_size) || !user_id_valid(record->word, record->word_size)) {
        log_warn("api", "a request of a malformed user");
        return;
    }
    struct call *call = call_make(api, record);
    struct json *tree = json_parse(record->payload, record->payload_size, &e);
    int ok = tree == NULL ? -1 : read_payload(call, tree, &e);
    json_destroy(&tree);
    if (ok != 0) {
        refuse(call, 400, "Bad Request", &e);
    } else if (!target_method_known(call->method)) {
        error_set(&e, ERROR_INVALID, TARGET_METHOD_WORD, "%s", TARGET_METHOD_TEXT);
        refuse(call, 501, TARGET_METHOD_TITLE, &e);
    } else if (members_fresh_ns(api->ports->members) == 0) {
        error_set(&e, ERROR_UNAVAILABLE, "starting", "The server is starting: try again in a moment.");
        refuse(call, 503, "Service Unavailable", &e);
    } else {
        call->request.query = call->query.data;
        call->request.body = call->body.size > 0 ? call->body.data : NULL;
        call->request.body_size = call->body.size;
        http_request(api->http, &call->request, false);
    }
}

struct api *api_create(struct broker *broker, struct http *http, const struct ports *ports)
{
    struct api *api = mem_zalloc(1, sizeof *api);
    *api = (struct api){.broker = broker, .http = http, .ports = ports};
    broker_on_api(broker, api_on_record, api);
    return api;
}

void api_detach(struct api *api)
{
    if (api == NULL)
        return;
    broker_on_api(api->broker, NULL, NULL);
    api->broker = NULL;
}

void api_destroy(struct api **api)
{
    free(*api);
    *api = NULL;
}
