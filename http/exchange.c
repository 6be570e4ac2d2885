#include "http/exchange.h"

#include "core/clock.h"
#include "core/log.h"
#include "http/access_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 2048

struct exchange_block {
    struct exchange_block *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

/* ---- Life ---- */

struct exchange *exchange_create(struct http *http, const struct ports *ports, struct request *request,
                                 struct exchange **list)
{
    struct exchange *x = mem_zalloc(1, sizeof *x);
    x->http = http;
    x->ports = ports;
    x->request = request;
    x->started_ns = ports->clock->mono_ns(ports->clock);
    x->holds = 1;
    x->next = *list;
    x->link = list;
    if (x->next != NULL)
        x->next->link = &x->next;
    *list = x;
    return x;
}

static void exchange_drop(struct exchange *x)
{
    if (--x->holds > 0)
        return;
    while (x->blocks != NULL) {
        struct exchange_block *block = x->blocks;
        x->blocks = block->next;
        free(block);
    }
    args_finish(&x->args);
    problems_finish(&x->problems);
    buf_finish(&x->text);
    json_destroy(&x->tree);
    free(x);
}

void *exchange_alloc(struct exchange *x, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    struct exchange_block *block = x->blocks;
    if (block == NULL || block->size - block->used < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = mem_alloc(sizeof *block + room);
        *block = (struct exchange_block){.next = x->blocks, .size = room};
        x->blocks = block;
    }
    void *p = block->bytes + block->used;
    block->used += size;
    return memset(p, 0, size);
}

char *exchange_copy(struct exchange *x, const char *text, size_t size)
{
    char *copy = exchange_alloc(x, size + 1);
    memcpy(copy, text, size);
    return copy;
}

/* ---- Answers ---- */

void exchange_header(struct exchange *x, const char *name, const char *value)
{
    if (x->header_count + 2 >= EXCHANGE_HEADERS_MAX)
        return;
    x->headers[x->header_count++] = name;
    x->headers[x->header_count++] = exchange_copy(x, value, strlen(value));
}

static void note_answer(const struct exchange *x, int status)
{
    const struct request *request = x->request;
    const char *route = x->match.route != NULL ? x->match.route->pattern : NULL;
    int64_t spent_ns = x->ports->clock->mono_ns(x->ports->clock) - x->started_ns;
    enum log_level level = status >= 500 ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG;
    access_log_line(level, request, route, status, spent_ns, x->who.user);
    traffic_note(x->traffic, x->match.route, status, spent_ns);
}

void exchange_answer(struct exchange *x, int status, const char *type, const char *body, size_t size)
{
    exchange_header(x, "X-Request-Id", x->request->request_id);
    exchange_header(x, "X-Content-Type-Options", "nosniff");
    exchange_header(x, "Cache-Control", x->cache != NULL ? x->cache : "no-store");
    note_answer(x, status);
    struct reply reply = {
        .status = status, .content_type = type, .body = body, .body_size = size, .headers = x->headers};
    struct request *request = x->request;
    x->request = NULL;
    *x->link = x->next;
    if (x->next != NULL)
        x->next->link = x->link;
    if (x->timer != NULL) {
        x->ports->clock->cancel(x->ports->clock, &x->timer);
        x->holds--;
    }
    request->ops->answer(request, &reply);
    exchange_drop(x);
}

void exchange_json(struct exchange *x, int status, const char *body, size_t size)
{
    exchange_answer(x, status, "application/json; charset=utf-8", body, size);
}

static const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {{400, "Bad Request"},        {401, "Unauthorized"},           {403, "Forbidden"},
                 {404, "Not Found"},          {405, "Method Not Allowed"},     {409, "Conflict"},
                 {413, "Payload Too Large"},  {415, "Unsupported Media Type"}, {429, "Too Many Requests"},
                 {503, "Service Unavailable"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].status == status)
            return texts[i].text;
    return "Internal Server Error";
}

/* What a client can do about it, by the error's word. */
static const char *word_hint(const char *word)
{
    static const char *const hints[][2] = {
        {"invalid_token", "Send a valid token as `Authorization: Bearer <JWT>`."},
        {"token_expired", "Get a fresh token and repeat the request."},
        {"database_unavailable", "Nothing was changed; try again in a moment."},
        {"unavailable", "Nothing was changed; try again in a moment."},
        {"busy", "Nothing was changed; try again in a moment."},
        {"rate_limited", "Wait for the seconds in Retry-After, by MQTT for one."},
        {"unsupported_encoding", "Send the body as it is, without Content-Encoding."},
        {"unsupported_media_type", "Send JSON with `Content-Type: application/json`."},
    };
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (strcmp(hints[i][0], word) == 0)
            return hints[i][1];
    return NULL;
}

/* `message` is JSON already: a string or an array of strings. */
static void refuse(struct exchange *x, int status, const char *word, const char *message, size_t size)
{
    struct buf body = {0};
    buf_printf(&body, "{\"statusCode\":%d,\"error\":", status);
    json_put_text(&body, status_text(status));
    buf_put_text(&body, ",\"code\":");
    json_put_text(&body, word);
    buf_put_text(&body, ",\"message\":");
    buf_put(&body, message, size);
    const char *hint = x->hint != NULL ? x->hint : word_hint(word);
    if (hint != NULL) {
        buf_put_text(&body, ",\"hint\":");
        json_put_text(&body, hint);
    }
    buf_put_text(&body, ",\"requestId\":");
    json_put_text(&body, x->request->request_id);
    buf_put_byte(&body, '}');
    /* The handler may have built on x->text before it failed; the refusal stands in a buffer of its own. */
    exchange_json(x, status, body.data, body.size);
    buf_finish(&body);
}

static void refuse_text(struct exchange *x, int status, const char *word, const char *text)
{
    struct buf message = {0};
    json_put_string(&message, text, problems_whole(text));
    refuse(x, status, word, message.data, message.size);
    buf_finish(&message);
}

void exchange_refuse_status(struct exchange *x, int status, const char *word, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    refuse_text(x, status, word, text);
}

/* A validation that was made elsewhere names the fields in one text, a semicolon between: an array here. */
static void refuse_fields(struct exchange *x, const char *word, const char *text)
{
    struct buf list = {0};
    buf_put_byte(&list, '[');
    for (const char *at = text;;) {
        const char *end = strstr(at, "; ");
        size_t size = end != NULL ? (size_t)(end - at) : problems_whole(at);
        if (list.size > 1)
            buf_put_byte(&list, ',');
        json_put_string(&list, at, size);
        if (end == NULL)
            break;
        at = end + 2;
    }
    buf_put_byte(&list, ']');
    refuse(x, 400, word, list.data, list.size);
    buf_finish(&list);
}

/* One word for clients, whichever part did not answer in time; and for a read, which can always be asked
 * again, none of doubt. */
static void refuse_unanswered(struct exchange *x)
{
    const struct route *route = x->match.route;
    if (strcmp(route->method, "GET") == 0 || route->flags & ROUTE_READS) {
        refuse_text(x, 503, "database_unavailable", "the database gave no answer: try again in a moment");
        return;
    }
    x->hint = x->repeat_hint;
    if (x->hint == NULL && strcmp(route->method, "POST") == 0)
        x->hint = "Repeat the request with the same Idempotency-Key: it is done once.";
    if (x->hint == NULL)
        x->hint = "Repeat the request: what it has done is not done again.";
    refuse_text(x, 503, "uncertain", "no answer in time: it may or may not have happened");
}

void exchange_refuse(struct exchange *x, const struct error *e)
{
    int status = error_http_status(e);
    if (status == 503 || status == 429)
        exchange_header(x, "Retry-After", "1");
    if (status == 500)
        log_error("http", "failed word=%s msg=\"%s\" request=%s", e->word, e->text, x->request->request_id);
    if (e->code == ERROR_UNCERTAIN) {
        refuse_unanswered(x);
    } else if (status == 500) {
        refuse_text(x, status, "internal", "an error on our side; it is in the log under this requestId");
    } else if (status == 400 && strcmp(e->word, "invalid_message") == 0) {
        refuse_fields(x, e->word, e->text);
    } else {
        refuse_text(x, status, e->word, e->text);
    }
}

bool exchange_refuse_problems(struct exchange *x)
{
    if (x->problems.count == 0)
        return false;
    struct buf list = {0};
    buf_put_byte(&list, '[');
    buf_put(&list, x->problems.list.data, x->problems.list.size);
    buf_put_byte(&list, ']');
    refuse(x, 400, "invalid_request", list.data, list.size);
    buf_finish(&list);
    return true;
}

void exchange_refuse_database(struct exchange *x, const struct db_answer *answer)
{
    exchange_refuse(x, &answer->error);
}

int exchange_begin_list(struct exchange *x, const struct db_answer *answer, int64_t limit, bool *more_out)
{
    *more_out = answer->rows > limit;
    buf_put_text(&x->text, "{\"data\":[");
    return *more_out ? (int)limit : answer->rows;
}

void exchange_refuse_room(struct exchange *x)
{
    exchange_refuse_status(x, 404, "room_not_found", "no room has this id, or you are not in it");
}

/* ---- What a request brings ---- */

bool exchange_id(struct exchange *x, size_t index, const char *name)
{
    const struct route_part *part = &x->match.parts[index];
    if (!uuid_parse(part->text, part->size, &x->id)) {
        problems_add(&x->problems, "%s must be a UUID", name);
        return false;
    }
    char text[UUID_TEXT_SIZE];
    uuid_format(&x->id, text);
    x->id_text = exchange_copy(x, text, UUID_TEXT_SIZE - 1);
    return true;
}

bool exchange_body(struct exchange *x)
{
    const struct request *request = x->request;
    struct error e = {0};
    x->tree = json_parse(request->body != NULL ? request->body : "", request->body_size, &e);
    if (x->tree == NULL) {
        exchange_refuse(x, &e);
        return false;
    }
    if (json_kind(x->tree) != JSON_OBJECT) {
        exchange_refuse_status(x, 400, "invalid_json", "the body must be a JSON object");
        return false;
    }
    return true;
}

/* ---- What it waits for ---- */

static void on_query_done(void *context, const struct db_answer *answer)
{
    struct exchange *x = context;
    if (x->request != NULL)
        x->on_db(x, answer);
    exchange_drop(x);
}

void exchange_query(struct exchange *x, const char *sql, int count, const char *const *values,
                    exchange_db_fn done)
{
    x->holds++;
    x->on_db = done;
    x->ports->db->query(x->ports->db, sql, count, values, on_query_done, x);
}

static void on_send_done(void *context, const struct broker_answer *answer)
{
    struct exchange *x = context;
    if (x->request != NULL)
        x->on_broker(x, answer);
    exchange_drop(x);
}

void exchange_send(struct exchange *x, const struct broker_send *send, exchange_broker_fn done)
{
    x->holds++;
    x->on_broker = done;
    struct broker_send own = *send;
    own.request_id = x->request->request_id;
    x->ports->broker->send(x->ports->broker, &own, on_send_done, x);
}

void exchange_mark(struct exchange *x, const struct broker_send *mark, exchange_broker_fn done)
{
    x->holds++;
    x->on_broker = done;
    struct broker_send own = *mark;
    own.request_id = x->request->request_id;
    x->ports->broker->mark(x->ports->broker, false, &own, on_send_done, x);
}

static void on_barrier_done(void *context, bool reached)
{
    struct exchange *x = context;
    if (x->request != NULL)
        x->on_barrier(x, reached);
    exchange_drop(x);
}

void exchange_barrier(struct exchange *x, int64_t version, int64_t timeout_ms, exchange_barrier_fn done)
{
    log_debug("http", "waits until every door knows chat_room=%s version=%lld request=%s", x->id_text,
              (long long)version, x->request->request_id);
    x->holds++;
    x->on_barrier = done;
    x->ports->broker->barrier(x->ports->broker, version, timeout_ms, on_barrier_done, x);
}

static void on_timer_done(void *context)
{
    struct exchange *x = context;
    x->timer = NULL;
    if (x->request != NULL)
        x->on_timer(x);
    exchange_drop(x);
}

void exchange_timer(struct exchange *x, int64_t delay_ms, exchange_timer_fn done)
{
    x->holds++;
    x->on_timer = done;
    x->timer = x->ports->clock->start(x->ports->clock, delay_ms, on_timer_done, x);
}
