/* libpq's pipeline mode: a query is one statement and one sync, whose arrival says that its implicit
 * transaction has ended; an answer is given only then, for a commit can fail after its rows came. Statements
 * are prepared when a connection first meets them, in the same pipeline. */
#include "service/pool.h"

#include "core/buf.h"
#include "core/db.h"
#include "core/log.h"
#include "service/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define STATEMENTS_MAX     1024 /* a power of two; statements beyond three quarters of it go unprepared */
#define STATEMENT_NAME_MAX 16
#define CONNECT_TIMEOUT_MS 5000
#define RETRY_MIN_MS       100
#define RETRY_MAX_MS       1000
#define DEADLINES_EVERY_MS 250

struct connection {
    struct pool *pool;
    PGconn *pg; /* NULL: down */
    uv_poll_t *poll;
    int events;
    bool broken;   /* to be dropped at the turn's end */
    bool retiring; /* takes no more; to be dropped when what is under way was answered */
    struct query_list under_way;
    uint8_t prepared[STATEMENTS_MAX / 8];
};

struct pool {
    struct db_port port; /* first */
    struct loop *loop;
    const struct config *config;
    struct loop_hook hook;
    struct query_list waiting, failed;
    unsigned size, connected;
    const char *statements[STATEMENTS_MAX]; /* by hash of their address */
    unsigned statement_count;
    struct timer *deadlines, *retry;
    int64_t retry_ms;
    /* the attempt to connect, in libuv's thread pool */
    uv_work_t work;
    bool working, destroying;
    PGconn *made;
    struct error made_error;
    bool down; /* the last attempt failed, for `error` */
    struct error error;
    struct connection connections[];
};

/* ---- Failures. ---- */

/* To be told at the turn's end. */
static void fail_later(struct pool *p, struct query *q, enum error_code code, const char *word,
                       const char *text)
{
    error_set(&q->error, code, word, "%s", text);
    query_list_add(&p->failed, q);
}

static void fail_unavailable(struct pool *p, struct query *q)
{
    fail_later(p, q, ERROR_UNAVAILABLE, "database_unavailable",
               "the database can't be reached: try again in a moment");
}

/* A SELECT without functions of ours changes nothing; WITH and the functions may. */
static bool may_write(const char *sql)
{
    return strncasecmp(sql + strspn(sql, " \n\t("), "select", 6) != 0 || strstr(sql, "parlor_");
}

/* A query whose connection broke before its sync came. */
static void fail_under_way(struct connection *c, struct query *q)
{
    if (q->result && !query_result_good(q->result) && PQresultErrorField(q->result, PG_DIAG_SQLSTATE))
        db_error(c->pg, q->result, &q->error); /* the server itself refused it */
    else if (may_write(q->sql))
        error_set(&q->error, ERROR_UNCERTAIN, "uncertain",
                  "the database broke off before it answered: it may or may not have happened");
    else
        error_set(&q->error, ERROR_UNAVAILABLE, "database_unavailable",
                  "the database broke off: try again in a moment");
    query_list_add(&c->pool->failed, q);
}

/* ---- Sending. ---- */

/* The statement's place in the table; -1 when the table is full. */
static int find_statement(struct pool *p, const char *sql)
{
    size_t at = ((uintptr_t)sql * UINT64_C(0x9e3779b97f4a7c15)) >> 40 & (STATEMENTS_MAX - 1);
    while (p->statements[at] && p->statements[at] != sql)
        at = (at + 1) & (STATEMENTS_MAX - 1);
    if (p->statements[at] == sql)
        return (int)at;
    if (p->statement_count >= STATEMENTS_MAX / 4 * 3)
        return -1;
    p->statements[at] = sql;
    p->statement_count++;
    return (int)at;
}

static bool is_prepared(const struct connection *c, int statement)
{
    return c->prepared[statement / 8] >> (statement % 8) & 1;
}

static void set_prepared(struct connection *c, int statement, bool on)
{
    uint8_t bit = (uint8_t)(1U << (statement % 8));
    c->prepared[statement / 8] =
        (uint8_t)(on ? c->prepared[statement / 8] | bit : c->prepared[statement / 8] & ~bit);
}

static int send_statement(struct connection *c, struct query *q)
{
    q->statement = find_statement(c->pool, q->sql);
    q->steps = 1;
    if (q->statement < 0)
        return PQsendQueryParams(c->pg, q->sql, q->count, NULL, q->values, NULL, NULL, 0);
    char name[STATEMENT_NAME_MAX];
    snprintf(name, sizeof name, "p%d", q->statement);
    q->preparing = !is_prepared(c, q->statement);
    if (q->preparing) {
        q->steps = 2;
        if (!PQsendPrepare(c->pg, name, q->sql, 0, NULL))
            return 0;
        set_prepared(c, q->statement, true);
    }
    return PQsendQueryPrepared(c->pg, name, q->count, q->values, NULL, NULL, 0);
}

static void on_ready(uv_poll_t *handle, int status, int events);

/* Sends what libpq holds, and waits for what it could not send. */
static void flush(struct connection *c)
{
    int unsent = PQflush(c->pg);
    if (unsent < 0)
        c->broken = true;
    int events = UV_READABLE | (unsent > 0 ? UV_WRITABLE : 0);
    if (events == c->events)
        return;
    c->events = events;
    uv_poll_start(c->poll, events, on_ready);
}

static void send_query(struct connection *c, struct query *q)
{
    query_list_add(&c->under_way, q);
    if (!send_statement(c, q) || !PQpipelineSync(c->pg))
        c->broken = true;
    else
        flush(c);
}

/* The working connection with the least under way; NULL when there is no place. */
static struct connection *choose(struct pool *p)
{
    struct connection *best = NULL;
    for (unsigned i = 0; i < p->size; i++) {
        struct connection *c = &p->connections[i];
        if (!c->pg || c->broken || c->retiring || c->under_way.count >= POOL_PIPELINED_MAX)
            continue;
        if (!best || c->under_way.count < best->under_way.count)
            best = c;
    }
    return best;
}

static void send_waiting(struct pool *p)
{
    struct connection *c;
    while (p->waiting.count > 0 && (c = choose(p)))
        send_query(c, query_list_take(&p->waiting));
}

/* ---- Answers' arrival. ---- */

static void take_result(struct connection *c, struct query *q, PGresult *r)
{
    bool good = query_result_good(r);
    if (q->steps == 2) {
        q->steps = 1;
        if (good) {
            PQclear(r);
            return;
        }
        set_prepared(c, q->statement, false);
    } else if (q->steps == 1) {
        q->steps = 0;
    }
    /* The first error is the cause: what follows it is only PGRES_PIPELINE_ABORTED. */
    if (q->result && !query_result_good(q->result)) {
        PQclear(r);
        return;
    }
    PQclear(q->result);
    q->result = r;
}

/* A plan that the server can't use any more, or a statement that it forgot, is cured by a new connection; one
 * that was never prepared, because the server refused it, is not. */
static bool needs_new_connection(const struct connection *c, const struct query *q)
{
    static const char *const curable[] = {"26000", "0A000", NULL};
    return q->statement >= 0 && is_prepared(c, q->statement) && db_refused_as(q->result, curable);
}

static void take_results(struct connection *c)
{
    int empty = 0; /* NULLs in a row: one stands between two queries */
    while (!c->broken && c->under_way.count > 0 && !PQisBusy(c->pg) && empty < 2) {
        PGresult *r = PQgetResult(c->pg);
        if (!r) {
            empty++;
            continue;
        }
        empty = 0;
        if (PQresultStatus(r) != PGRES_PIPELINE_SYNC) {
            take_result(c, c->under_way.first, r);
            continue;
        }
        PQclear(r);
        struct query *q = query_list_take(&c->under_way);
        c->retiring = c->retiring || needs_new_connection(c, q);
        query_answer(q, c->pg);
    }
    if (PQstatus(c->pg) == CONNECTION_BAD || (c->retiring && c->under_way.count == 0))
        c->broken = true;
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    struct connection *c = handle->data;
    if (status < 0 || ((events & UV_READABLE) && !PQconsumeInput(c->pg)))
        c->broken = true; /* what came before the end is still read below */
    bool was_broken = c->broken;
    c->broken = false;
    take_results(c);
    c->broken = c->broken || was_broken;
    if (!c->broken)
        flush(c);
    if (!c->broken)
        send_waiting(c->pool);
}

/* ---- Connections. ---- */

static void start_connecting(struct pool *p);

static void drop(struct connection *c)
{
    struct pool *p = c->pool;
    struct query *q;
    while ((q = query_list_take(&c->under_way)))
        fail_under_way(c, q);
    uv_poll_stop(c->poll);
    loop_close_and_free((uv_handle_t *)c->poll);
    PQfinish(c->pg);
    c->pg = NULL;
    c->poll = NULL;
    c->broken = false;
    p->connected--;
}

static void on_retry(void *context)
{
    struct pool *p = context;
    p->retry = NULL;
    start_connecting(p);
}

/* The limit of a page is a parameter: left to itself, PostgreSQL would plan such statements anew at each
 * call. */
static bool settle_plans(PGconn *pg, struct error *e)
{
    PGresult *result =
        db_exec(pg, "set plan_cache_mode = force_generic_plan", 0, NULL, CONNECT_TIMEOUT_MS, e);
    PQclear(result);
    return result != NULL;
}

static void connect_and_check(uv_work_t *work)
{
    struct pool *p = work->data;
    p->made = db_connect(p->config->database_url, "parlord", CONNECT_TIMEOUT_MS, &p->made_error);
    if (!p->made)
        return;
    if (db_check(p->made, DB_CHECK_MS, &p->made_error) == 0 && settle_plans(p->made, &p->made_error) &&
        PQsetnonblocking(p->made, 1) == 0 && PQenterPipelineMode(p->made))
        return;
    if (p->made_error.code == ERROR_NONE)
        db_error(p->made, NULL, &p->made_error);
    PQfinish(p->made);
    p->made = NULL;
}

static void use(struct pool *p, struct connection *c, PGconn *pg)
{
    c->pg = pg;
    c->broken = c->retiring = false;
    memset(c->prepared, 0, sizeof c->prepared);
    c->poll = mem_zalloc(1, sizeof *c->poll);
    uv_poll_init(loop_uv(p->loop), c->poll, PQsocket(pg));
    c->poll->data = c;
    c->events = UV_READABLE;
    uv_poll_start(c->poll, c->events, on_ready);
    p->connected++;
    send_waiting(p);
}

static struct connection *find_down(struct pool *p)
{
    for (unsigned i = 0; i < p->size; i++)
        if (!p->connections[i].pg)
            return &p->connections[i];
    return NULL;
}

static void connect_failed(struct pool *p)
{
    if (!p->down || strcmp(p->error.word, p->made_error.word) != 0)
        log_warn("pool", "%s connected=%u", p->made_error.text, p->connected);
    p->down = true;
    p->error = p->made_error;
    struct query *q;
    while (p->connected == 0 && (q = query_list_take(&p->waiting)))
        fail_unavailable(p, q);
    struct clock_port *clock = loop_clock(p->loop);
    p->retry = clock->start(clock, p->retry_ms, on_retry, p);
    p->retry_ms = 2 * p->retry_ms < RETRY_MAX_MS ? 2 * p->retry_ms : RETRY_MAX_MS;
}

static void on_connected(uv_work_t *work, int status)
{
    struct pool *p = work->data;
    (void)status;
    p->working = false;
    if (p->destroying) {
        PQfinish(p->made);
        free(p);
        return;
    }
    if (!p->made) {
        connect_failed(p);
        return;
    }
    if (p->down)
        log_info("pool", "connected to the database again");
    p->down = false;
    p->retry_ms = RETRY_MIN_MS;
    use(p, find_down(p), p->made);
    p->made = NULL;
    start_connecting(p);
}

/* Begins an attempt for a connection that is down, if there is one and no attempt under way. */
static void start_connecting(struct pool *p)
{
    if (p->working || p->retry || !find_down(p))
        return;
    p->working = true;
    p->made = NULL;
    p->made_error = (struct error){0};
    p->work.data = p;
    uv_queue_work(loop_uv(p->loop), &p->work, connect_and_check, on_connected);
}

/* ---- Deadlines and the turn's end. ---- */

static void on_deadlines(void *context);

static void watch_deadlines(struct pool *p)
{
    struct clock_port *clock = loop_clock(p->loop);
    if (!p->deadlines)
        p->deadlines = clock->start(clock, DEADLINES_EVERY_MS, on_deadlines, p);
}

static void on_deadlines(void *context)
{
    struct pool *p = context;
    p->deadlines = NULL;
    struct clock_port *clock = loop_clock(p->loop);
    int64_t now_ns = clock->mono_ns(clock);
    while (p->waiting.first && p->waiting.first->deadline_ns <= now_ns)
        fail_later(p, query_list_take(&p->waiting), ERROR_UNAVAILABLE, "busy",
                   "the database has too much to do: try again in a moment");
    for (unsigned i = 0; i < p->size; i++) {
        struct connection *c = &p->connections[i];
        if (!c->under_way.first || c->under_way.first->deadline_ns > now_ns)
            continue;
        log_warn("pool", "the database gives no answer, dropping the connection under_way=%zu",
                 c->under_way.count);
        c->broken = true;
    }
    if (pool_unanswered(p) > 0)
        watch_deadlines(p);
}

static bool on_turn_end(void *context)
{
    struct pool *p = context;
    bool worked = false;
    for (unsigned i = 0; i < p->size; i++) {
        struct connection *c = &p->connections[i];
        if (!c->pg || !c->broken)
            continue;
        log_warn("pool", "a connection to the database broke under_way=%zu", c->under_way.count);
        drop(c);
        worked = true;
    }
    if (worked) {
        start_connecting(p);
        send_waiting(p);
    }
    /* Those that fail while these are told have their turn in the next round. */
    struct query_list failed = p->failed;
    if (failed.count == 0)
        return worked;
    query_list_init(&p->failed);
    for (struct query *q = failed.first; q;) {
        struct query *next = q->next;
        query_answer(q, NULL);
        q = next;
    }
    return true;
}

/* ---- The port. ---- */

static void on_query(struct db_port *port, const char *sql, int count, const char *const *values,
                     db_done_fn done, void *context)
{
    struct pool *p = (struct pool *)port;
    struct clock_port *clock = loop_clock(p->loop);
    struct query *q = query_make(sql, count, values);
    q->done = done;
    q->context = context;
    q->deadline_ns = clock->mono_ns(clock) + POOL_DEADLINE_MS * INT64_C(1000000);
    watch_deadlines(p);
    if (p->destroying || (p->connected == 0 && p->down)) {
        fail_unavailable(p, q);
        return;
    }
    struct connection *c = p->waiting.count == 0 ? choose(p) : NULL;
    if (c)
        send_query(c, q);
    else if (p->waiting.count < POOL_WAITING_MAX)
        query_list_add(&p->waiting, q);
    else
        fail_later(p, q, ERROR_UNAVAILABLE, "busy", "too many requests wait for the database");
}

int pool_create(struct loop *loop, const struct config *config, struct pool **out, struct error *e)
{
    if (!config->database_url)
        return error_set(e, ERROR_INVALID, "bad_option",
                         "database_url is not set: say where PostgreSQL is (PARLOR_DATABASE_URL)");
    unsigned size = config->pool_size > 0 ? (unsigned)config->pool_size : 1;
    struct pool *p = mem_zalloc(1, sizeof *p + size * sizeof p->connections[0]);
    p->port.query = on_query;
    p->loop = loop;
    p->config = config;
    p->size = size;
    p->retry_ms = RETRY_MIN_MS;
    query_list_init(&p->waiting);
    query_list_init(&p->failed);
    for (unsigned i = 0; i < size; i++) {
        p->connections[i].pool = p;
        query_list_init(&p->connections[i].under_way);
    }
    p->hook = (struct loop_hook){.fn = on_turn_end, .context = p};
    loop_add_hook(loop, &p->hook);
    start_connecting(p);
    *out = p;
    return 0;
}

void pool_destroy(struct pool **pool)
{
    struct pool *p = *pool;
    if (!p)
        return;
    *pool = NULL;
    p->destroying = true;
    struct query *q;
    while ((q = query_list_take(&p->waiting)))
        fail_unavailable(p, q);
    for (unsigned i = 0; i < p->size; i++)
        if (p->connections[i].pg)
            drop(&p->connections[i]);
    while ((q = query_list_take(&p->failed)))
        query_answer(q, NULL);
    struct clock_port *clock = loop_clock(p->loop);
    clock->cancel(clock, &p->deadlines);
    clock->cancel(clock, &p->retry);
    loop_remove_hook(p->loop, &p->hook);
    if (!p->working) /* else on_connected frees it */
        free(p);
}

struct db_port *pool_port(struct pool *pool)
{
    return &pool->port;
}

unsigned pool_connected(const struct pool *pool)
{
    return pool->connected;
}

size_t pool_unanswered(const struct pool *pool)
{
    size_t count = pool->waiting.count + pool->failed.count;
    for (unsigned i = 0; i < pool->size; i++)
        count += pool->connections[i].under_way.count;
    return count;
}

size_t pool_waiting(const struct pool *pool)
{
    return pool->waiting.count;
}

const struct error *pool_error(const struct pool *pool)
{
    return pool->down ? &pool->error : NULL;
}
