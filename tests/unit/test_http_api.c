/* The REST API over a database, a broker and a clock made by hand: what it asks of them, and what it answers.
 */
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
#define VALUES_MAX 8
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
    char *sent;
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

static void fake_query(struct db_port *port, const char *sql, int count, const char *const *values,
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

static const char *fake_cell(const struct db_answer *answer, int row, int column)
{
    assert_true(row < answer->rows);
    return cells[row][column];
}

static size_t fake_cell_size(const struct db_answer *answer, int row, int column)
{
    const char *text = fake_cell(answer, row, column);
    return text != NULL ? strlen(text) : 0;
}

static void forget_query(void)
{
    world.sql = NULL;
    for (int i = 0; i < VALUES_MAX; i++) {
        free(world.values[i]);
        world.values[i] = NULL;
    }
}

static void db_answers(const char *sql, int rows)
{
    assert_ptr_equal(world.sql, sql);
    forget_query();
    struct db_answer answer = {.ok = true, .rows = rows, .cell = fake_cell, .cell_size = fake_cell_size};
    world.db_done(world.db_context, &answer);
}

static void db_fails(enum error_code code, const char *word)
{
    forget_query();
    struct db_answer answer = {.ok = false};
    error_set(&answer.error, code, word, "by hand");
    world.db_done(world.db_context, &answer);
}

static void fake_send(struct broker_port *port, const struct broker_send *send, broker_answer_fn done,
                      void *context)
{
    (void)port;
    assert_string_equal(send->user, "alice");
    free(world.sent);
    world.sent = mem_dup(send->payload, send->payload_size);
    world.send_done = done;
    world.send_context = context;
}

static void broker_refuses(enum error_code code, const char *word)
{
    struct broker_answer answer = {.stored = false};
    error_set(&answer.error, code, word, "by hand");
    world.send_done(world.send_context, &answer);
}

static void fake_barrier(struct broker_port *port, int64_t version, int64_t timeout_ms,
                         broker_barrier_fn done, void *context)
{
    (void)port;
    assert_int_equal(timeout_ms, 5000);
    world.barrier_version = version;
    world.barrier_done = done;
    world.barrier_context = context;
}

static bool fake_ready(struct broker_port *port)
{
    (void)port;
    return world.broker_ready;
}

static int64_t fake_wall_ms(struct clock_port *port)
{
    (void)port;
    return WALL_MS;
}

static int64_t fake_mono_ns(struct clock_port *port)
{
    (void)port;
    return world.now_ns;
}

static struct timer *fake_start(struct clock_port *port, int64_t delay_ms, timer_fn fn, void *context)
{
    (void)port;
    (void)delay_ms;
    world.timer_fn = fn;
    world.timer_context = context;
    return (struct timer *)&world;
}

static void fake_cancel(struct clock_port *port, struct timer **timer)
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

static const char *asked_header(const struct request *request, const char *name)
{
    const struct asked *asked = (const struct asked *)request;
    for (size_t i = 0; asked->headers[i] != NULL; i += 2)
        if (strcasecmp(asked->headers[i], name) == 0)
            return asked->headers[i + 1];
    return NULL;
}

static void asked_answer(struct request *request, const struct reply *reply)
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
static void ask_with(const char *token, const char *method, const char *path, const char *query,
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

static void ask(const char *method, const char *path, const char *query, const char *body)
{
    ask_with(alice, method, path, query, body, NULL);
}

/* The last answer has this status and, in its body, this text. */
static void assert_answer(int status, const char *has)
{
    assert_int_equal(world.answers, 1);
    if (world.status != status || (has != NULL && strstr(world.body, has) == NULL))
        fail_msg("%d %s instead of %d with %s", world.status, world.body, status, has);
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

static void assert_header(const char *line)
{
    if (strstr(world.headers, line) == NULL)
        fail_msg("no `%s` in %s", line, world.headers);
}

static void issue(char out[1024], enum token_signer signer, const char *user, enum role role, int64_t age_s)
{
    struct buf text = {0};
    struct error e = {0};
    buf_put_text(&text, "bEaReR ");
    if (token_issue(world.tokens, signer, user, role, WALL_MS / 1000 - age_s, 3600, &text, &e) != 0)
        fail_msg("%s", e.text);
    snprintf(out, 1024, "%s", text.data);
    buf_finish(&text);
}

static void join(const char *room, enum room_type type, const char *user, enum member_role role)
{
    struct uuid id;
    assert_true(uuid_parse(room, strlen(room), &id));
    members_apply(world.members, &id, type, user, strlen(user), role);
}

static int begin(void **state)
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
    world.broker = (struct broker_port){.send = fake_send, .barrier = fake_barrier, .ready = fake_ready};
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

static int end(void **state)
{
    (void)state;
    http_destroy(&world.http);
    members_destroy(&world.members);
    token_keys_destroy(&world.tokens);
    config_destroy(&world.config);
    forget_query();
    free(world.body);
    free(world.sent);
    memset(&world, 0, sizeof world);
    return 0;
}

/* ---- Tests ---- */

static void test_unrouted(void **state)
{
    (void)state;
    ask("GET", "/nowhere", "", NULL);
    assert_answer(404, "\"code\":\"not_found\"");
    ask("DELETE", "/api/v1/chat/rooms", "", NULL);
    assert_answer(405, "\"code\":\"method_not_allowed\"");
    assert_header("Allow: GET, HEAD, POST, OPTIONS\n");
    assert_header("X-Request-Id: req-1\n");
}

static void test_tokens(void **state)
{
    (void)state;
    ask_with(NULL, "GET", "/api/v1/chat/rooms", "", NULL, NULL);
    assert_answer(401, "\"code\":\"invalid_token\"");
    assert_header("WWW-Authenticate: Bearer");
    ask_with("Basic abc", "GET", "/api/v1/chat/rooms", "", NULL, NULL);
    assert_answer(401, "\"code\":\"invalid_token\"");
    ask_with("Bearer a.b.c", "GET", "/api/v1/chat/rooms", "", NULL, NULL);
    assert_answer(401, "\"code\":\"invalid_token\"");
    ask_with(expired, "GET", "/api/v1/chat/rooms", "", NULL, NULL);
    assert_answer(401, "\"code\":\"token_expired\"");
    ask_with(service, "GET", "/api/v1/chat/rooms", "", NULL, NULL);
    assert_answer(401, "\"code\":\"invalid_token\"");
    assert_null(world.sql);
}

static void test_cors(void **state)
{
    (void)state;
    const char *preflight[] = {"Origin", "https://two.example", "Access-Control-Request-Method", "POST",
                               NULL};
    ask_with(NULL, "OPTIONS", "/api/v1/chat/rooms", "", NULL, preflight);
    assert_answer(204, NULL);
    assert_header("Access-Control-Allow-Origin: https://two.example\n");
    assert_header("Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS\n");
    assert_header("Access-Control-Allow-Headers: Authorization, Content-Type, Idempotency-Key");
    const char *allowed[] = {"Origin", "https://app.example", NULL};
    ask_with(NULL, "GET", "/api/v1/chat/rooms", "", NULL, allowed);
    assert_answer(401, NULL);
    assert_header("Access-Control-Allow-Origin: https://app.example\n");
    assert_header("Vary: Origin\n");
    const char *stranger[] = {"Origin", "https://app.example.evil", "Access-Control-Request-Method", "POST",
                              NULL};
    ask_with(NULL, "OPTIONS", "/api/v1/chat/rooms", "", NULL, stranger);
    assert_answer(204, NULL);
    assert_null(strstr(world.headers, "Access-Control"));
}

static void test_rate(void **state)
{
    (void)state;
    for (int64_t i = 0; i < 2 * world.config->rest_per_s; i++) {
        ask("GET", "/api/v1/chat/rooms/" OTHER, "", NULL);
        assert_answer(404, NULL);
    }
    ask("GET", "/api/v1/chat/rooms/" OTHER, "", NULL);
    assert_answer(429, "\"code\":\"rate_limited\"");
    assert_header("Retry-After: 1\n");
}

static void test_bodies(void **state)
{
    (void)state;
    const char *form[] = {"Content-Type", "application/x-www-form-urlencoded", NULL};
    ask_with(alice, "POST", MESSAGES, "", "a=b", form);
    assert_answer(415, "\"code\":\"unsupported_media_type\"");
    const char *latin[] = {"Content-Type", "application/json; charset=latin1", NULL};
    ask_with(alice, "POST", MESSAGES, "", "{}", latin);
    assert_answer(415, NULL);
    static const char *const broken[] = {
        "", "{", "[1]", "{\"type\":1,\"type\":2}", "{\"a\":\"\\u0000\"}", "{\"a\":\"\xff\"}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        ask("POST", "/api/v1/chat/rooms", "", broken[i]);
        assert_answer(400, "\"code\":\"invalid_json\"");
    }
    size_t large = (size_t)world.config->payload_bytes_max + 1;
    char *text = mem_alloc(large + 1);
    memset(text, ' ', large);
    text[large] = '\0';
    ask("POST", MESSAGES, "", text);
    assert_answer(413, "\"code\":\"payload_too_large\"");
    free(text);
    assert_null(world.sql);
}

static void test_room_problems(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"{}", "[\"type must be one of direct, group, support\"]"},
        {"{\"type\":\"club\",\"name\":7,\"participantIds\":\"bob\"}",
         "[\"type must be one of direct, group, support\",\"name must be a string of 1 to 200 characters\","
         "\"participantIds must be an array of user ids\"]"},
        {"{\"type\":\"direct\",\"participantIds\":[]}", "exactly one other user"},
        {"{\"type\":\"direct\",\"participantIds\":[\"alice\"]}", "exactly one other user"},
        {"{\"type\":\"direct\",\"participantIds\":[\"bob\",\"carol\"]}", "exactly one other user"},
        {"{\"type\":\"direct\",\"participantIds\":[\"bob\"],\"name\":\"x\"}", "name must be absent"},
        {"{\"type\":\"group\",\"participantIds\":[\"a b\"]}", "must be an array of user ids"},
        {"{\"type\":\"group\",\"participantIds\":[\"..\"]}", "must be an array of user ids"},
        {"{\"type\":\"group\",\"participantIds\":[3]}", "must be an array of user ids"},
        {"{\"type\":\"group\",\"name\":\"\"}", "name must be"},
        {"{\"type\":\"support\",\"participantIds\":[\"bob\"]}", "must be empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask("POST", "/api/v1/chat/rooms", "", cases[i].body);
        assert_answer(400, cases[i].says);
        assert_non_null(strstr(world.body, "\"message\":["));
    }
    assert_null(world.sql);
    ask("POST", "/api/v1/chat/rooms", "x=1", "{\"type\":\"support\"}");
    assert_answer(400, "unknown parameter `x`");
}

static void test_name_is_counted_in_characters(void **state)
{
    (void)state;
    struct buf body = {0};
    for (int more = 0; more < 2; more++) {
        buf_clear(&body);
        buf_put_text(&body, "{\"type\":\"group\",\"name\":\"");
        for (int i = 0; i < 200 + more; i++)
            buf_put_text(&body, "é");
        buf_put_text(&body, "\"}");
        ask("POST", "/api/v1/chat/rooms", "", body.data);
        if (more == 0) {
            db_fails(ERROR_UNAVAILABLE, "database_unavailable");
            assert_answer(503, "\"code\":\"database_unavailable\"");
            assert_header("Retry-After: 1\n");
        } else {
            assert_answer(400, "name must be");
        }
    }
    buf_finish(&body);
}

static void create_group(void)
{
    const char *key[] = {"Idempotency-Key", "k-1", NULL};
    ask_with(alice, "POST", "/api/v1/chat/rooms", "",
             "{\"type\":\"group\",\"name\":\"Team\",\"participantIds\":[\"carol\",\"bob\",\"alice\",\"bob\"],"
             "\"unknown\":1}",
             key);
    assert_int_equal(world.answers, 0);
    assert_string_equal(world.values[1], "alice");
    assert_string_equal(world.values[2], "group");
    assert_string_equal(world.values[3], "Team");
    assert_string_equal(world.values[4], "{\"bob\",\"carol\"}");
    assert_string_equal(world.values[5], "k-1");
    assert_non_null(world.values[6]);
    cells[0][0] = "created";
    cells[0][1] = OTHER;
    cells[0][2] = "12";
}

static void test_room_made(void **state)
{
    (void)state;
    create_group();
    db_answers(QUERY_ROOM_CREATE, 1);
    /* Nothing is answered before every door knows the members. */
    assert_int_equal(world.answers, 0);
    assert_int_equal(world.barrier_version, 12);
    world.barrier_done(world.barrier_context, true);
    assert_string_equal(world.values[0], OTHER);
    cells[0][0] = "{\"id\":\"" OTHER "\"}";
    db_answers(QUERY_ROOM, 1);
    assert_answer(201, "{\"id\":\"" OTHER "\"}");
    assert_header("Location: /api/v1/chat/rooms/" OTHER "\n");
}

static void test_room_uncertain(void **state)
{
    (void)state;
    create_group();
    db_answers(QUERY_ROOM_CREATE, 1);
    world.barrier_done(world.barrier_context, false);
    assert_answer(503, "\"code\":\"uncertain\"");
    assert_non_null(strstr(world.body, "Idempotency-Key"));
    create_group();
    db_fails(ERROR_UNCERTAIN, "no_answer");
    assert_answer(503, "\"code\":\"uncertain\"");
}

static void test_room_existing(void **state)
{
    (void)state;
    ask("POST", "/api/v1/chat/rooms", "", "{\"type\":\"direct\",\"participantIds\":[\"bob\",\"alice\"]}");
    assert_null(world.values[5]);
    assert_null(world.values[6]);
    cells[0][0] = "existing";
    cells[0][1] = OTHER;
    cells[0][2] = "12";
    db_answers(QUERY_ROOM_CREATE, 1);
    world.barrier_done(world.barrier_context, true);
    cells[0][0] = "{}";
    db_answers(QUERY_ROOM, 1);
    assert_answer(200, "{}");
}

static void test_room_refused(void **state)
{
    (void)state;
    create_group();
    cells[0][0] = "conflict";
    db_answers(QUERY_ROOM_CREATE, 1);
    assert_answer(409, "\"code\":\"conflict\"");
    create_group();
    cells[0][0] = "rooms_max";
    cells[0][1] = NULL;
    db_answers(QUERY_ROOM_CREATE, 1);
    assert_answer(409, "\"code\":\"rooms_max\"");
}

static void test_room_seen(void **state)
{
    (void)state;
    ask("GET", "/api/v1/chat/rooms/not-an-id", "", NULL);
    assert_answer(400, "id must be a UUID");
    ask("GET", "/api/v1/chat/rooms/" OTHER, "", NULL);
    assert_answer(404, "\"code\":\"room_not_found\"");
    assert_null(world.sql);
    ask("GET", "/api/v1/chat/rooms/" ROOM, "", NULL);
    cells[0][0] = "{\"id\":1}";
    cells[0][1] = "group";
    cells[0][2] = "owner";
    db_answers(QUERY_ROOM, 1);
    assert_answer(200, "{\"id\":1}");
    /* The database is asked last: one who was removed a moment ago is a stranger. */
    ask("GET", "/api/v1/chat/rooms/" ROOM, "", NULL);
    cells[0][2] = NULL;
    db_answers(QUERY_ROOM, 1);
    assert_answer(404, "\"code\":\"room_not_found\"");
}

static void test_agent(void **state)
{
    (void)state;
    ask_with(agent, "GET", "/api/v1/chat/rooms/" SUPPORT, "", NULL, NULL);
    cells[0][0] = "{}";
    cells[0][1] = "support";
    cells[0][2] = NULL;
    db_answers(QUERY_ROOM, 1);
    assert_answer(200, "{}");
    ask_with(agent, "GET", "/api/v1/chat/rooms/" OTHER, "", NULL, NULL);
    cells[0][1] = "group";
    db_answers(QUERY_ROOM, 1);
    assert_answer(404, "\"code\":\"room_not_found\"");
    ask_with(agent, "GET", "/api/v1/chat/rooms/" SUPPORT "/messages", "", NULL, NULL);
    cells[0][0] = "support";
    db_answers(QUERY_ROOM_TYPE, 1);
    assert_answer(403, "\"code\":\"forbidden\"");
    ask_with(agent, "POST", "/api/v1/chat/rooms/" ROOM "/messages", "", "{\"content\":\"hi\"}", NULL);
    cells[0][0] = "group";
    db_answers(QUERY_ROOM_TYPE, 1);
    assert_answer(404, "\"code\":\"room_not_found\"");
    ask_with(agent, "GET", "/api/v1/chat/rooms", "", NULL, NULL);
    db_answers(QUERY_ROOM_LIST_AGENT, 0);
    assert_answer(200, "{\"data\":[],\"meta\":{\"nextCursor\":null,\"hasMore\":false}}");
}

static void test_room_list(void **state)
{
    (void)state;
    ask("GET", "/api/v1/chat/rooms", "type=club&cursor=x&limit=0&page=1", NULL);
    assert_answer(400, "[\"unknown parameter `page`\",\"limit must be a whole number from 1 to 100\","
                       "\"type must be one of direct, group, support\",\"cursor must be");
    ask("GET", "/api/v1/chat/rooms", "limit=1&type=group", NULL);
    assert_string_equal(world.values[1], "group");
    assert_null(world.values[2]);
    assert_string_equal(world.values[4], "2");
    const char *rows[2][3] = {{"1700", OTHER, "{\"n\":1}"}, {"1600", ROOM, "{\"n\":2}"}};
    memcpy(cells[0], rows[0], sizeof rows[0]);
    memcpy(cells[1], rows[1], sizeof rows[1]);
    db_answers(QUERY_ROOM_LIST, 2);
    assert_answer(200,
                  "{\"data\":[{\"n\":1}],\"meta\":{\"nextCursor\":\"1700." OTHER "\",\"hasMore\":true}}");
    ask("GET", "/api/v1/chat/rooms", "cursor=1700." OTHER, NULL);
    assert_string_equal(world.values[2], "1700");
    assert_string_equal(world.values[3], OTHER);
    db_answers(QUERY_ROOM_LIST, 0);
    assert_answer(200, "\"data\":[]");
}

static void test_send(void **state)
{
    (void)state;
    ask("POST", MESSAGES, "", "{\"content\":\"hi\",\"clientMessageId\":\"c1\",\"later\":true}");
    assert_string_equal(world.sent, "{\"content\":\"hi\",\"clientMessageId\":\"c1\",\"later\":true}");
    assert_int_equal(world.answers, 0);
    static const char message[] = "{\"seq\":1}";
    struct broker_answer stored = {
        .stored = true, .seq = 1, .message = message, .message_size = sizeof message - 1};
    world.send_done(world.send_context, &stored);
    assert_answer(201, message);
}

static void test_send_with_key(void **state)
{
    (void)state;
    const char *key[] = {"Idempotency-Key", "k\"1", NULL};
    ask_with(alice, "POST", MESSAGES, "",
             "{\"clientMessageId\":null,\"content\":\"h\\ni\",\"mentions\":[\"bob\"],\"replyToId\":\"" OTHER
             "\"}",
             key);
    assert_string_equal(world.sent,
                        "{\"clientMessageId\":\"k\\\"1\",\"type\":\"text\",\"content\":\"h\\ni\","
                        "\"mentions\":[\"bob\"],\"replyToId\":\"" OTHER "\",\"attachmentIds\":[]}");
    broker_refuses(ERROR_CONFLICT, "conflict");
    assert_answer(409, "\"code\":\"conflict\"");
    ask_with(alice, "POST", MESSAGES, "", "{\"clientMessageId\":\"other\",\"content\":\"hi\"}", key);
    assert_answer(400, "Idempotency-Key must equal clientMessageId");
    const char *bad[] = {"Idempotency-Key", "a\x01", NULL};
    ask_with(alice, "POST", MESSAGES, "", "{\"content\":\"hi\"}", bad);
    assert_answer(400, "Idempotency-Key must be");
}

static void test_send_refused(void **state)
{
    (void)state;
    static const struct {
        enum error_code code;
        const char *word;
        int status;
        const char *says;
    } cases[] = {
        {ERROR_UNAVAILABLE, "busy", 503, "\"code\":\"busy\""},
        {ERROR_UNAVAILABLE, "unavailable", 503, "\"code\":\"unavailable\""},
        {ERROR_UNCERTAIN, "no_answer", 503, "\"code\":\"uncertain\""},
        {ERROR_NOT_FOUND, "room_not_found", 404, "\"code\":\"room_not_found\""},
        {ERROR_INVALID, "invalid_message", 400, "\"message\":[\"by hand\"]"},
        {ERROR_LIMIT, "rate_limited", 429, "\"code\":\"rate_limited\""},
        {ERROR_LIMIT, "content_too_large", 413, "\"code\":\"content_too_large\""},
        {ERROR_INTERNAL, "internal", 500, "requestId"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask("POST", MESSAGES, "", "{\"content\":\"hi\"}");
        broker_refuses(cases[i].code, cases[i].word);
        assert_answer(cases[i].status, cases[i].says);
        if (cases[i].status == 503 || cases[i].status == 429)
            assert_header("Retry-After: 1\n");
    }
    free(world.sent);
    world.sent = NULL;
    ask("POST", MESSAGES, "", "{\"content\":7,\"mentions\":{},\"replyToId\":\"x\"}");
    assert_answer(400, "\"message\":[\"content must be");
    assert_non_null(strstr(world.body, "\",\"mentions must be"));
    assert_non_null(strstr(world.body, "\",\"replyToId must be"));
    ask("POST", "/api/v1/chat/rooms/" OTHER "/messages", "", "{\"content\":\"hi\"}");
    assert_answer(404, "\"code\":\"room_not_found\"");
    assert_null(world.sent);
}

static void message_row(int row, const char *id, const char *seq)
{
    const char *columns[13] = {
        id,           seq, "bob", "c1", "text", "é\n", "[\"alice\"]", OTHER, NULL, "3", "1767225600.123",
        "1767225601", NULL};
    memcpy(cells[row], columns, sizeof columns);
}

#define MESSAGE(id, seq)                                                                                     \
    "{\"id\":\"" id "\",\"chatRoomId\":\"" ROOM "\",\"seq\":" seq ",\"senderId\":\"bob\","                   \
    "\"clientMessageId\":\"c1\",\"type\":\"text\",\"content\":\"é\\n\",\"mentions\":[\"alice\"],"           \
    "\"replyToId\":\"" OTHER "\",\"attachments\":[],\"rev\":3,\"createdAt\":\"2026-01-01T00:00:00.123Z\","   \
    "\"editedAt\":\"2026-01-01T00:00:01.000Z\",\"deletedAt\":null}"

static void test_pages(void **state)
{
    (void)state;
    /* Newest page: asked falling, with one more than the limit, answered rising. */
    ask("GET", MESSAGES, "limit=2", NULL);
    assert_string_equal(world.values[0], ROOM);
    assert_string_equal(world.values[1], "alice");
    assert_string_equal(world.values[2], "9223372036854775807");
    assert_string_equal(world.values[3], "3");
    message_row(0, OTHER, "9");
    message_row(1, SUPPORT, "8");
    message_row(2, ROOM, "7");
    db_answers(QUERY_PAGE_BEFORE, 3);
    assert_answer(200, "{\"data\":[" MESSAGE(SUPPORT, "8") "," MESSAGE(
                           OTHER, "9") "],"
                                       "\"meta\":{\"nextCursor\":8,\"hasMore\":true}}");
    ask("GET", MESSAGES, "after=6&limit=2", NULL);
    assert_string_equal(world.values[2], "6");
    message_row(0, ROOM, "7");
    message_row(1, SUPPORT, "8");
    db_answers(QUERY_PAGE_AFTER, 2);
    assert_answer(200, "{\"data\":[" MESSAGE(ROOM, "7") "," MESSAGE(
                           SUPPORT, "8") "],"
                                         "\"meta\":{\"nextCursor\":null,\"hasMore\":false}}");
    ask("HEAD", MESSAGES, "before=2", NULL);
    db_answers(QUERY_PAGE_BEFORE, 0);
    assert_answer(200, "{\"data\":[],");
}

static void test_page_problems(void **state)
{
    (void)state;
    ask("GET", "/api/v1/chat/rooms/x/messages", "limit=101&before=0&after=-1&search=a", NULL);
    assert_answer(400,
                  "[\"unknown parameter `search`\",\"id must be a UUID\","
                  "\"limit must be a whole number from 1 to 100\",\"before must be a whole number from 1\","
                  "\"before and after must not be given together\","
                  "\"after must be a whole number from 0\"]");
    ask("GET", "/api/v1/chat/rooms/" OTHER "/messages", "", NULL);
    assert_answer(404, "\"code\":\"room_not_found\"");
    assert_null(world.sql);
    ask("GET", MESSAGES, "", NULL);
    db_fails(ERROR_INTERNAL, "sql");
    assert_answer(500, "\"code\":\"internal\"");
    assert_null(strstr(world.body, "by hand"));
}

static void test_health(void **state)
{
    (void)state;
    ask_with(NULL, "GET", "/healthz", "", NULL, NULL);
    assert_answer(200, "{\"status\":\"ok\"}");
    ask_with(NULL, "GET", "/readyz", "", NULL, NULL);
    db_answers(QUERY_ALIVE, 1);
    assert_answer(
        200, "{\"status\":\"ready\",\"parts\":{\"database\":\"up\",\"broker\":\"up\",\"members\":\"up\"}}");
    world.broker_ready = false;
    ask_with(NULL, "GET", "/readyz", "", NULL, NULL);
    db_fails(ERROR_UNAVAILABLE, "database_unavailable");
    assert_int_equal(world.status, 503);
    assert_non_null(strstr(world.body, "\"database\":\"down\",\"broker\":\"down\""));
    /* A database that says nothing is answered for by the timer; its late word goes nowhere. */
    ask_with(NULL, "GET", "/readyz", "", NULL, NULL);
    world.timer_fn(world.timer_context);
    assert_int_equal(world.answers, 1);
    assert_int_equal(world.status, 503);
    db_answers(QUERY_ALIVE, 1);
    assert_int_equal(world.answers, 1);
}

static void test_stop(void **state)
{
    (void)state;
    ask("GET", MESSAGES, "", NULL);
    http_destroy(&world.http);
    assert_answer(503, "\"code\":\"unavailable\"");
    /* The statement's answer comes after the end, and finds nobody. */
    db_answers(QUERY_PAGE_BEFORE, 0);
    assert_int_equal(world.answers, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_unrouted),     TEST(test_tokens),         TEST(test_cors),
        TEST(test_rate),         TEST(test_bodies),         TEST(test_room_problems),
        TEST(test_room_made),    TEST(test_room_uncertain), TEST(test_room_existing),
        TEST(test_room_refused), TEST(test_room_seen),      TEST(test_agent),
        TEST(test_room_list),    TEST(test_send),           TEST(test_send_with_key),
        TEST(test_send_refused), TEST(test_pages),          TEST(test_page_problems),
        TEST(test_health),       TEST(test_stop),           TEST(test_name_is_counted_in_characters),
    };
    return cmocka_run_group_tests_name("http_api", tests, NULL, NULL);
}
