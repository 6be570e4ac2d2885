#include "bridge/engine.h"

#include "bridge/admission.h"
#include "bridge/engineio.h"
#include "bridge/farewells.h"
#include "bridge/session.h"
#include "bridge/socketio.h"
#include "core/config.h"
#include "core/digest.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TABLE_MIN   64
#define HEADERS_MAX 16

/* Codes and texts of official servers. */
enum { UNKNOWN_TRANSPORT, UNKNOWN_SID, BAD_METHOD, BAD_REQUEST, FORBIDDEN, UNSUPPORTED_VERSION };
static const char *const MESSAGES[] = {
    "Transport unknown", "Session ID unknown", "Bad handshake method",
    "Bad request",       "Forbidden",          "Unsupported protocol version"};

/* An upgrade that was answered and whose stream has not come yet. */
struct arrival {
    struct engine *engine; /* NULL: it went meanwhile */
    struct arrival *next, *previous;
    char id[SESSION_ID_SIZE];
    bool has_id, base64;
    char *address, *authorization;
};

/* The value as it stands in the query; text NULL when it is not there. */
static struct slice parameter(const char *query, const char *name)
{
    size_t size = strlen(name);

    while (*query != '\0') {
        size_t length = strcspn(query, "&");

        if (length > size && memcmp(query, name, size) == 0 && query[size] == '=')
            return (struct slice){query + size + 1, length - size - 1};
        query += length + (query[length] == '&');
    }
    return (struct slice){NULL, 0};
}

static bool wants_base64(const struct request *request)
{
    return parameter(request->query, "b64").size > 0;
}

/* ---- Life. ---- */

struct engine *engine_create(struct clock_port *clock, const struct engine_options *options,
                             const struct engine_handlers *handlers)
{
    struct engine *e = mem_zalloc(1, sizeof *e);

    e->clock = clock;
    e->options = *options;
    e->handlers = *handlers;
    e->table_size = TABLE_MIN;
    e->table = mem_zalloc(e->table_size, sizeof(struct session *));
    e->beats = deadlines_create(clock, session_on_beat, e);
    e->upgrades = deadlines_create(clock, session_on_upgrade_timeout, e);
    e->noops = deadlines_create(clock, session_on_noop, e);
    e->farewells = farewells_create(clock, SESSION_ID_SIZE);
    e->readers = websocket_pool_create();
    e->ping = websocket_frame(WEBSOCKET_TEXT, "2", 1);
    e->admission = admission_create(options->connects_per_s, options->strangers_max);
    return e;
}

void engine_destroy(struct engine **engine)
{
    struct engine *e = *engine;

    if (e == NULL)
        return;
    for (size_t i = 0; i < e->table_size; i++) {
        while (e->table[i] != NULL)
            session_end(e->table[i], SESSION_SHUTDOWN);
    }
    e->clock->cancel(e->clock, &e->turn_timer);
    session_turn(e);
    for (struct arrival *a = e->arrivals; a != NULL; a = a->next)
        a->engine = NULL;
    deadlines_destroy(&e->beats);
    deadlines_destroy(&e->upgrades);
    deadlines_destroy(&e->noops);
    farewells_destroy(&e->farewells);
    websocket_pool_destroy(&e->readers);
    shared_drop(e->ping);
    admission_destroy(&e->admission);
    free(e->table);
    free(e);
    *engine = NULL;
}

const struct engine_stats *engine_stats(const struct engine *e)
{
    return &e->stats;
}

/* ---- The table of ids, which are random already: their first bytes are hash enough. ---- */

static struct session **place_of(struct engine *e, const char *id)
{
    uint64_t hash;

    memcpy(&hash, id, sizeof hash);
    hash *= 0x9e3779b97f4a7c15u;
    return &e->table[(hash >> 32) & (e->table_size - 1)];
}

static void table_grow(struct engine *e)
{
    struct session **old = e->table;
    size_t old_size = e->table_size;

    e->table_size *= 2;
    e->table = mem_zalloc(e->table_size, sizeof(struct session *));
    for (size_t i = 0; i < old_size; i++) {
        struct session *s = old[i], *next;

        for (; s != NULL; s = next) {
            struct session **place = place_of(e, s->id);

            next = s->next;
            s->next = *place;
            *place = s;
        }
    }
    free(old);
}

void engine_add(struct engine *e, struct session *s)
{
    struct session **place;

    if (e->stats.sessions > e->table_size)
        table_grow(e);
    place = place_of(e, s->id);
    s->next = *place;
    *place = s;
}

void engine_remove(struct engine *e, struct session *s)
{
    for (struct session **place = place_of(e, s->id); *place != NULL; place = &(*place)->next) {
        if (*place == s) {
            *place = s->next;
            return;
        }
    }
}

static struct session *find(struct engine *e, const char *id, size_t size)
{
    if (size != SESSION_ID_SIZE)
        return NULL;
    for (struct session *s = *place_of(e, id); s != NULL; s = s->next) {
        if (memcmp(s->id, id, SESSION_ID_SIZE) == 0)
            return s;
    }
    return NULL;
}

/* ---- Answers. ---- */

static size_t cors_headers(const struct engine *e, const struct request *request, const char **headers)
{
    const char *allowed = e->options.cors_origins, *origin = request->header(request, "Origin");
    size_t n = 0;

    if (allowed == NULL || *allowed == '\0')
        return 0;
    if (config_list_has(allowed, "*")) {
        headers[n++] = "Access-Control-Allow-Origin";
        headers[n++] = "*";
        return n;
    }
    headers[n++] = "Vary";
    headers[n++] = "Origin";
    if (origin != NULL && config_list_has(allowed, origin)) {
        headers[n++] = "Access-Control-Allow-Origin";
        headers[n++] = origin;
        headers[n++] = "Access-Control-Allow-Credentials";
        headers[n++] = "true";
    }
    return n;
}

void engine_answer(struct engine *e, struct request *request, int status, const char *type, const char *body,
                   size_t size)
{
    const char *headers[HEADERS_MAX + 1];
    size_t n = cors_headers(e, request, headers);

    headers[n++] = "Cache-Control";
    headers[n++] = "no-store";
    headers[n] = NULL;
    request->ops->answer(
        request,
        &(struct reply){
            .status = status, .content_type = type, .body = body, .body_size = size, .headers = headers});
}

static void answer_json(struct engine *e, struct request *request, int status, int code, const char *message)
{
    struct buf body = {0};

    buf_printf(&body, "{\"code\":%d,\"message\":\"%s\"}", code, message);
    engine_answer(e, request, status, "application/json", body.data, body.size);
    buf_finish(&body);
}

void engine_answer_error(struct engine *e, struct request *request, int status, int code)
{
    answer_json(e, request, status, code, MESSAGES[code]);
}

static void answer_preflight(struct engine *e, struct request *request)
{
    const char *asked = request->header(request, "Access-Control-Request-Headers");
    const char *headers[HEADERS_MAX + 1];
    size_t n = cors_headers(e, request, headers);

    headers[n++] = "Access-Control-Allow-Methods";
    headers[n++] = "GET,POST,OPTIONS";
    if (asked != NULL) {
        headers[n++] = "Access-Control-Allow-Headers";
        headers[n++] = asked;
    }
    headers[n++] = "Access-Control-Max-Age";
    headers[n++] = "600";
    headers[n] = NULL;
    request->ops->answer(request, &(struct reply){.status = 204, .headers = headers});
}

/* ---- Requests. ---- */

static bool refuse(struct engine *e, struct request *request, enum engine_refusal why)
{
    static const char *const texts[ENGINE_REFUSALS] = {"Too many sessions",
                                                       "Too many connects from this address",
                                                       "Too many sessions of this address without a token"};

    e->stats.refused[why]++;
    answer_json(e, request, why == REFUSED_SESSIONS ? 503 : 429, FORBIDDEN, texts[why]);
    return false;
}

/* False when the new session was refused, and answered. */
static bool admit(struct engine *e, struct request *request)
{
    enum admission_answer answer;

    if (e->options.sessions_max > 0 && e->stats.sessions >= e->options.sessions_max)
        return refuse(e, request, REFUSED_SESSIONS);
    answer = admission_pass(e->admission, admission_place(request->address), e->clock->mono_ns(e->clock));
    if (answer != ADMISSION_PASSED)
        return refuse(e, request, answer == ADMISSION_TOO_FAST ? REFUSED_RATE : REFUSED_STRANGERS);
    return true;
}

static void on_stream(void *context, struct stream *stream)
{
    struct arrival *a = context;
    struct engine *e = a->engine;
    struct session *s = NULL;

    if (e != NULL) {
        if (a->previous != NULL)
            a->previous->next = a->next;
        else
            e->arrivals = a->next;
        if (a->next != NULL)
            a->next->previous = a->previous;
    }
    if (e != NULL && stream != NULL) {
        if (a->has_id)
            s = find(e, a->id, SESSION_ID_SIZE);
        if (s != NULL)
            session_on_stream(s, stream, a->base64);
        else if (a->has_id)
            stream->ops->abort(stream);
        else
            session_open(e, stream, &(struct handshake){a->address, a->authorization, a->base64});
    } else if (stream != NULL) {
        stream->ops->abort(stream);
    }
    free(a->address);
    free(a->authorization);
    free(a);
}

/* The first word of a header's list. */
static struct slice first_of_list(const char *list)
{
    size_t size;

    list += strspn(list, " \t,");
    size = strcspn(list, " \t,");
    return (struct slice){list, size};
}

/* Of the subprotocols that the client offers it gets the first, as from the official server. */
static void upgrade(struct engine *e, struct request *request, const struct session *session)
{
    const char *key = request->header(request, "Sec-WebSocket-Key");
    const char *version = request->header(request, "Sec-WebSocket-Version");
    const char *authorization = request->header(request, "Authorization");
    const char *protocols = request->header(request, "Sec-WebSocket-Protocol");
    char *protocol = NULL;
    char accept[WEBSOCKET_ACCEPT_SIZE];
    struct arrival *a;

    if (key == NULL || version == NULL || strcmp(version, "13") != 0 || !websocket_accept_key(key, accept)) {
        engine_answer_error(e, request, 400, BAD_REQUEST);
        return;
    }
    a = mem_zalloc(1, sizeof *a);
    a->engine = e;
    a->base64 = wants_base64(request);
    if (session != NULL) {
        a->has_id = true;
        memcpy(a->id, session->id, SESSION_ID_SIZE);
    } else {
        a->address = mem_strdup(request->address);
        a->authorization = authorization != NULL ? mem_strdup(authorization) : NULL;
    }
    a->next = e->arrivals;
    if (a->next != NULL)
        a->next->previous = a;
    e->arrivals = a;
    if (protocols != NULL) {
        struct slice first = first_of_list(protocols);

        protocol = first.size > 0 ? mem_dup(first.text, first.size) : NULL;
    }
    request->ops->upgrade(request,
                          (const char *const[]){"Sec-WebSocket-Accept", accept,
                                                protocol != NULL ? "Sec-WebSocket-Protocol" : NULL, protocol,
                                                NULL},
                          on_stream, a);
    free(protocol);
}

static void open_polling(struct engine *e, struct request *request)
{
    struct handshake handshake = {request->address, request->header(request, "Authorization"),
                                  wants_base64(request)};
    struct session *s = session_open(e, NULL, &handshake);

    if (s == NULL)
        engine_answer_error(e, request, 403, FORBIDDEN);
    else
        session_on_poll(s, request);
}

/* RFC 6455, section 4.2.1: both headers; `Connection` is a list. */
static bool asks_for_websocket(struct request *request)
{
    const char *wanted = request->header(request, "Upgrade");
    const char *connection = request->header(request, "Connection");

    if (wanted == NULL || strcasecmp(wanted, "websocket") != 0 || request->ops->upgrade == NULL)
        return false;
    while (connection != NULL && *connection != '\0') {
        struct slice word = first_of_list(connection);

        if (word.size == 7 && strncasecmp(word.text, "upgrade", 7) == 0)
            return true;
        connection = word.text + word.size;
    }
    return false;
}

static void on_handshake(struct engine *e, struct request *request, bool websocket)
{
    bool is_get = strcmp(request->method, "GET") == 0;

    if (!is_get)
        engine_answer_error(e, request, 400, BAD_METHOD);
    else if (websocket != asks_for_websocket(request))
        engine_answer_error(e, request, 400, BAD_REQUEST);
    else if (!slice_is(parameter(request->query, "EIO"), "4"))
        engine_answer_error(e, request, 400, UNSUPPORTED_VERSION);
    else if (!admit(e, request))
        return;
    else if (websocket)
        upgrade(e, request, NULL);
    else
        open_polling(e, request);
}

static void on_session_request(struct engine *e, struct request *request, struct session *s, bool websocket)
{
    if (websocket && asks_for_websocket(request) && strcmp(request->method, "GET") == 0)
        upgrade(e, request, s);
    else if (websocket)
        engine_answer_error(e, request, 400, BAD_REQUEST);
    else if (strcmp(request->method, "GET") == 0)
        session_on_poll(s, request);
    else if (strcmp(request->method, "POST") == 0)
        session_on_post(s, request);
    else
        engine_answer_error(e, request, 400, BAD_METHOD);
}

/* False when the session, which is unknown, has left no last words. */
static bool answer_farewell(struct engine *e, struct request *request, struct slice sid)
{
    struct buf words = {0};

    if (!farewells_take(e->farewells, sid.text, sid.size, &words))
        return false;
    engine_answer(e, request, 200, ENGINEIO_POLL_TYPE, words.data, words.size);
    buf_finish(&words);
    return true;
}

void engine_request(struct engine *e, struct request *request)
{
    struct slice transport = parameter(request->query, "transport"), sid = parameter(request->query, "sid");
    bool websocket = slice_is(transport, "websocket");
    struct session *s;

    if (strcmp(request->method, "OPTIONS") == 0 && e->options.cors_origins != NULL) {
        answer_preflight(e, request);
        return;
    }
    if (!websocket && !slice_is(transport, "polling")) {
        engine_answer_error(e, request, 400, UNKNOWN_TRANSPORT);
        return;
    }
    if (sid.size == 0) {
        on_handshake(e, request, websocket);
        return;
    }
    s = find(e, sid.text, sid.size);
    if (s != NULL && s->awaits_pong && s->transport != TRANSPORT_PROBED &&
        deadlines_passed(e->beats, &s->beat)) {
        session_end(s, SESSION_PING_TIMEOUT);
        s = NULL;
    }
    if (s != NULL)
        on_session_request(e, request, s, websocket);
    else if (websocket || strcmp(request->method, "GET") != 0 || !answer_farewell(e, request, sid))
        engine_answer_error(e, request, 400, UNKNOWN_SID);
}
