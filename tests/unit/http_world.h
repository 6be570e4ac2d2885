/* The REST API over a database, a broker and a clock made by hand: what it asks of them, and what it answers.
 *
 * Flow:   ask -> http_request -> the statement, send or barrier that waits in world -> db_answers and the
 * like -> assert_answer. Thread: the test's. Owns:   the world, from begin to end of each test. */
#ifndef PARLOR_TESTS_HTTP_WORLD_H
#define PARLOR_TESTS_HTTP_WORLD_H

#include "core/config.h"
#include "core/json.h"
#include "core/members.h"
#include "core/queries.h"
#include "core/token.h"
#include "http/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#define ROOM       "01900000-0000-7000-8000-000000000001"
#define OTHER      "01900000-0000-7000-8000-000000000002"
#define SUPPORT    "01900000-0000-7000-8000-000000000003"
#define WALL_MS    1767225600000LL
#define MESSAGES   "/api/v1/chat/rooms/" ROOM "/messages"
#define VALUES_MAX 12
#define ROWS_MAX   4

/* ---- The world by hand ---- */

static struct {
    struct db_port db;
    struct broker_port broker;
    struct clock_port clock;
    struct ports ports;
    struct config *config;
    struct token_keys *tokens;
    struct members *members;
    struct http *http;
    int64_t now_ns;
    bool broker_ready;
    /* the statement, send, barrier and timer that wait for their answer */
    const char *sql;
    char *values[VALUES_MAX];
    db_done_fn db_done;
    void *db_context;
    broker_answer_fn send_done;
    void *send_context;
    char *sent, *sent_request_id;
    broker_barrier_fn barrier_done;
    void *barrier_context;
    int64_t barrier_version;
    timer_fn timer_fn;
    void *timer_context;
    /* the last answer */
    int answers, status;
    char *body;
    char headers[4096];
} world;

static inline void fake_query(struct db_port *port, const char *sql, int count, const char *const *values,
                              db_done_fn done, void *context)
{
    (void)port;
    assert_null(world.sql);
    assert_true(count <= VALUES_MAX);
    world.sql = sql;
    for (int i = 0; i < count; i++)
        world.values[i] = values[i] != NULL ? mem_strdup(values[i]) : NULL;
    world.db_done = done;
    world.db_context = context;
}

static const char *cells[ROWS_MAX][16];

static inline const char *fake_cell(const struct db_answer *answer, int row, int column)
{
    assert_true(row < answer->rows);
    return cells[row][column];
}

static inline size_t fake_cell_size(const struct db_answer *answer, int row, int column)
{
    const char *text = fake_cell(answer, row, column);
    return text != NULL ? strlen(text) : 0;
}

static inline void forget_query(void)
{
    world.sql = NULL;
    for (int i = 0; i < VALUES_MAX; i++) {
        free(world.values[i]);
        world.values[i] = NULL;
    }
}

static inline void db_answers(const char *sql, int rows)
{
    assert_ptr_equal(world.sql, sql);
    forget_query();
    struct db_answer answer = {.ok = true, .rows = rows, .cell = fake_cell, .cell_size = fake_cell_size};
    world.db_done(world.db_context, &answer);
}

static inline void db_fails(enum error_code code, const char *word)
{
    forget_query();
    struct db_answer answer = {.ok = false};
    error_set(&answer.error, code, word, "by hand");
    world.db_done(world.db_context, &answer);
}

static inline void fake_send(struct broker_port *port, const struct broker_send *send, broker_answer_fn done,
                             void *context)
{
    (void)port;
    assert_string_equal(send->user, "alice");
    free(world.sent);
    world.sent = mem_dup(send->payload, send->payload_size);
    free(world.sent_request_id);
    world.sent_request_id = mem_strdup(send->request_id);
    world.send_done = done;
    world.send_context = context;
}

static inline void fake_mark(struct broker_port *port, bool delivered, const struct broker_send *mark,
                             broker_answer_fn done, void *context)
{
    char room[UUID_TEXT_SIZE];
    assert_false(delivered);
    uuid_format(&mark->room, room);
    assert_string_equal(room, ROOM);
    fake_send(port, mark, done, context);
}

static inline void broker_refuses(enum error_code code, const char *word)
{
    struct broker_answer answer = {.stored = false};
    error_set(&answer.error, code, word, "by hand");
    world.send_done(world.send_context, &answer);
}

static inline void fake_barrier(struct broker_port *port, int64_t version, int64_t timeout_ms,
                                broker_barrier_fn done, void *context)
{
    (void)port;
    assert_int_equal(timeout_ms, 5000);
    world.barrier_version = version;
    world.barrier_done = done;
    world.barrier_context = context;
}

static inline bool fake_ready(struct broker_port *port)
{
    (void)port;
    return world.broker_ready;
}

static inline int64_t fake_wall_ms(struct clock_port *port)
{
    (void)port;
    return WALL_MS;
}

static inline int64_t fake_mono_ns(struct clock_port *port)
{
    (void)port;
    return world.now_ns;
}

static inline struct timer *fake_start(struct clock_port *port, int64_t delay_ms, timer_fn fn, void *context)
{
    (void)port;
    (void)delay_ms;
    world.timer_fn = fn;
    world.timer_context = context;
    return (struct timer *)&world;
}

static inline void fake_cancel(struct clock_port *port, struct timer **timer)
{
    (void)port;
    world.timer_fn = NULL;
    *timer = NULL;
}

/* ---- Requests ---- */

struct asked {
    struct request request; /* first: the router gives this address back */
    const char *headers[12];
};

static inline const char *asked_header(const struct request *request, const char *name)
{
    const struct asked *asked = (const struct asked *)request;
    for (size_t i = 0; asked->headers[i] != NULL; i += 2)
        if (strcasecmp(asked->headers[i], name) == 0)
            return asked->headers[i + 1];
    return NULL;
}

static inline void asked_answer(struct request *request, const struct reply *reply)
{
    world.answers++;
    world.status = reply->status;
    free(world.body);
    world.body = mem_dup(reply->body, reply->body_size);
    world.headers[0] = '\0';
    for (const char *const *h = reply->headers; h != NULL && *h != NULL; h += 2) {
        size_t size = strlen(world.headers);
        snprintf(world.headers + size, sizeof world.headers - size, "%s: %s\n", h[0], h[1]);
    }
    free(request);
}

static const struct request_ops asked_ops = {.answer = asked_answer};
static char alice[1024], agent[1024], service[1024], expired[1024];

/* Asks with the token (NULL: none) and up to two headers more. */
static inline void ask_with(const char *token, const char *method, const char *path, const char *query,
                            const char *body, const char *const *more)
{
    struct asked *asked = mem_zalloc(1, sizeof *asked);
    asked->request = (struct request){.ops = &asked_ops,
                                      .method = method,
                                      .path = path,
                                      .query = query,
                                      .body = body,
                                      .body_size = body != NULL ? strlen(body) : 0,
                                      .address = "127.0.0.1",
                                      .request_id = "req-1",
                                      .header = asked_header};
    size_t count = 0;
    if (token != NULL) {
        asked->headers[count++] = "authorization";
        asked->headers[count++] = token;
    }
    for (; more != NULL && *more != NULL; more++)
        asked->headers[count++] = *more;
    world.answers = 0;
    http_request(world.http, &asked->request, false);
}

static inline void ask(const char *method, const char *path, const char *query, const char *body)
{
    ask_with(alice, method, path, query, body, NULL);
}

/* The last answer has this status and, in its body, this text. */
static inline void assert_answer(int status, const char *has)
{
    assert_int_equal(world.answers, 1);
    if (world.status != status || (has != NULL && strstr(world.body, has) == NULL))
        fail_msg("%d %s instead of %d with %s", world.status, world.body, status,
                 has == NULL ? "anything" : has);
    if (world.body[0] == '\0')
        return;
    struct json *tree = json_parse(world.body, strlen(world.body), NULL);
    assert_non_null(tree);
    if (status >= 400) {
        int64_t in_body = 0;
        assert_true(json_integer(json_get(tree, "statusCode"), &in_body));
        assert_int_equal(in_body, status);
        assert_string_equal(json_string(json_get(tree, "requestId")), "req-1");
    }
    json_destroy(&tree);
}

static inline void assert_header(const char *line)
{
    if (strstr(world.headers, line) == NULL)
        fail_msg("no `%s` in %s", line, world.headers);
}

static inline void issue(char out[1024], enum token_signer signer, const char *user, enum role role,
                         int64_t age_s)
{
    struct buf text = {0};
    struct error e = {0};
    buf_put_text(&text, "bEaReR ");
    if (token_issue(world.tokens, signer, user, role, WALL_MS / 1000 - age_s, 3600, &text, &e) != 0)
        fail_msg("%s", e.text);
    snprintf(out, 1024, "%s", text.data);
    buf_finish(&text);
}

static inline void join(const char *room, enum room_type type, const char *user, enum member_role role)
{
    struct uuid id;
    assert_true(uuid_parse(room, strlen(room), &id));
    members_apply(world.members, &id, type, user, strlen(user), role);
}

static inline int begin(void **state)
{
    (void)state;
    struct error e = {0};
    setenv("PARLOR_DATABASE_URL", "unused", 1);
    setenv("PARLOR_JWT_SECRET", "0123456789abcdef0123456789abcdef", 1);
    setenv("PARLOR_SERVICE_SECRET", "fedcba9876543210fedcba9876543210", 1);
    setenv("PARLOR_CORS_ORIGINS", "https://app.example, https://two.example", 1);
    if (config_load(NULL, CONFIG_SERVICE, &world.config, &e) != 0 ||
        token_keys_create(world.config, &world.tokens, &e) != 0) {
        print_error("%s\n", e.text);
        return -1;
    }
    issue(alice, TOKEN_BY_ISSUER, "alice", ROLE_USER, 0);
    issue(agent, TOKEN_BY_ISSUER, "helper", ROLE_AGENT, 0);
    issue(expired, TOKEN_BY_ISSUER, "alice", ROLE_USER, 7200);
    issue(service, TOKEN_BY_SERVICE, SERVICE_USER, ROLE_SERVICE, 0);
    world.db.query = fake_query;
    world.broker = (struct broker_port){
        .send = fake_send, .mark = fake_mark, .barrier = fake_barrier, .ready = fake_ready};
    world.clock = (struct clock_port){
        .wall_ms = fake_wall_ms, .mono_ns = fake_mono_ns, .start = fake_start, .cancel = fake_cancel};
    world.members = members_create();
    world.now_ns = 1000000000000;
    world.broker_ready = true;
    world.ports = (struct ports){.config = world.config,
                                 .db = &world.db,
                                 .broker = &world.broker,
                                 .clock = &world.clock,
                                 .members = world.members,
                                 .tokens = world.tokens};
    world.http = http_create(&world.ports);
    join(ROOM, ROOM_GROUP, "alice", MEMBER_OWNER);
    members_set_version(world.members, 7, world.now_ns);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    http_destroy(&world.http);
    members_destroy(&world.members);
    token_keys_destroy(&world.tokens);
    config_destroy(&world.config);
    forget_query();
    free(world.body);
    free(world.sent_request_id);
    free(world.sent);
    memset(&world, 0, sizeof world);
    return 0;
}

#endif
