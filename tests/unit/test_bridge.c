/* The bridge with everything around it faked: sockets of users, rooms, the order of messages, catching up,
 * what happens when database and broker are slow, wrong or away. */
#include "bridge/bridge.h"
#include "core/config.h"
#include "core/members.h"
#include "core/queries.h"
#include "core/token.h"
#include "tests/unit/fake_ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define QUERIES_MAX 64
#define SENDS_MAX   512
#define USERS_MAX   64

struct query {
    const char *sql;
    char *values[3];
    int count;
    db_done_fn done;
    void *context;
};

struct send {
    char *user, *payload;
    struct uuid room;
    broker_answer_fn done;
    void *context;
};

struct world {
    struct fake_clock clock;
    struct db_port db;
    struct broker_port broker;
    struct config *config;
    struct members *members;
    struct token_keys *tokens;
    struct bridge *bridge;
    const struct broker_events *events;
    struct query queries[QUERIES_MAX]; /* waiting, oldest first */
    int query_count;
    struct send sends[SENDS_MAX];
    int send_count;
    struct buf watches; /* +n and -n for room n */
    struct fake_stream *streams[USERS_MAX];
    int stream_count;
};

static struct world *the_world; /* the ports' callbacks have no context of ours */

/* Room n is 00000000-0000-7000-8000-00000000000n. */
static struct uuid room_of(int n)
{
    struct uuid id = {{0}};

    id.bytes[6] = 0x70;
    id.bytes[8] = 0x80;
    id.bytes[15] = (uint8_t)n;
    return id;
}

#define ROOM_TEXT(n) "00000000-0000-7000-8000-00000000000" #n

/* ---- The ports. ---- */

static void on_query(struct db_port *port, const char *sql, int count, const char *const *values,
                     db_done_fn done, void *context)
{
    struct query *q = &the_world->queries[the_world->query_count++];

    (void)port;
    assert_true(the_world->query_count <= QUERIES_MAX);
    *q = (struct query){.sql = sql, .count = count, .done = done, .context = context};
    for (int i = 0; i < count; i++)
        q->values[i] = mem_strdup(values[i]);
}

struct table {
    struct db_answer answer; /* first */
    const char *const *cells;
};

static const char *table_cell(const struct db_answer *answer, int row, int column)
{
    return ((const struct table *)answer)->cells[row * answer->columns + column];
}

static size_t table_cell_size(const struct db_answer *answer, int row, int column)
{
    return strlen(table_cell(answer, row, column));
}

/* Answers the oldest query, which must be `sql`, with rows of so many columns. */
static void answer(struct world *w, const char *sql, int rows, int columns, const char *const *cells)
{
    struct query q = w->queries[0];
    struct table t = {
        {.ok = true, .rows = rows, .columns = columns, .cell = table_cell, .cell_size = table_cell_size},
        cells};

    assert_true(w->query_count > 0);
    assert_ptr_equal(q.sql, sql);
    memmove(w->queries, w->queries + 1, (size_t)--w->query_count * sizeof *w->queries);
    q.done(q.context, &t.answer);
    for (int i = 0; i < q.count; i++)
        free(q.values[i]);
}

static void answer_failure(struct world *w)
{
    struct query q = w->queries[0];
    struct db_answer failure = {.ok = false};

    error_set(&failure.error, ERROR_UNAVAILABLE, "database_unavailable", "The database is away.");
    memmove(w->queries, w->queries + 1, (size_t)--w->query_count * sizeof *w->queries);
    q.done(q.context, &failure);
    for (int i = 0; i < q.count; i++)
        free(q.values[i]);
}

/* Messages first..last of a room, as QUERY_MESSAGES_AFTER gives them. */
static void answer_messages(struct world *w, int first, int last)
{
    static char texts[600][2][24];
    const char *cells[1200];
    int rows = 0;

    for (int seq = first; seq <= last; seq++, rows++) {
        snprintf(texts[rows][0], sizeof texts[rows][0], "%d", seq);
        snprintf(texts[rows][1], sizeof texts[rows][1], "{\"seq\":%d}", seq);
        cells[rows * 2] = texts[rows][0];
        cells[rows * 2 + 1] = texts[rows][1];
    }
    answer(w, QUERY_MESSAGES_AFTER, rows, 2, cells);
}

static void answer_room(struct world *w, const char *history_seq)
{
    answer(w, QUERY_ROOM, 1, 4, (const char *const[]){"{\"lastSeq\":9}", "group", "member", history_seq});
}

static void on_send(struct broker_port *port, const struct broker_send *send, broker_answer_fn done,
                    void *context)
{
    (void)port;
    the_world->sends[the_world->send_count++] = (struct send){
        mem_strdup(send->user), mem_dup(send->payload, send->payload_size), send->room, done, context};
}

static void answer_send(struct world *w, const struct broker_answer *a)
{
    struct send s = w->sends[0];

    assert_true(w->send_count > 0);
    memmove(w->sends, w->sends + 1, (size_t)--w->send_count * sizeof *w->sends);
    s.done(s.context, a);
    free(s.user);
    free(s.payload);
}

static void on_watch(struct broker_port *port, const struct uuid *room)
{
    (void)port;
    buf_printf(&the_world->watches, "+%d", room->bytes[15]);
}

static void on_unwatch(struct broker_port *port, const struct uuid *room)
{
    (void)port;
    buf_printf(&the_world->watches, "-%d", room->bytes[15]);
}

static const char *watches(struct world *w)
{
    static char text[256];

    snprintf(text, sizeof text, "%s", w->watches.data != NULL ? w->watches.data : "");
    buf_clear(&w->watches);
    return text;
}

/* ---- The world. ---- */

static int setup(void **state)
{
    struct world *w = the_world = mem_zalloc(1, sizeof *w);
    struct error e;
    struct ports ports;

    setenv("PARLOR_JWT_SECRET", "0123456789abcdef0123456789abcdef", 1);
    setenv("PARLOR_CONNECTIONS_USER_MAX", "3", 1);
    assert_int_equal(config_load(NULL, CONFIG_CTL, &w->config, &e), 0);
    w->config->connects_per_s = 0;
    fake_clock_init(&w->clock);
    w->db.query = on_query;
    w->broker = (struct broker_port){.send = on_send, .watch = on_watch, .unwatch = on_unwatch};
    w->members = members_create();
    assert_int_equal(token_keys_create(w->config, &w->tokens, &e), 0);
    ports = (struct ports){w->config, &w->db, &w->broker, &w->clock.port, w->members, w->tokens};
    w->bridge = bridge_create(&ports);
    w->events = bridge_broker_events(w->bridge);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    bridge_destroy(&w->bridge);
    while (w->query_count > 0) /* answers that come after it is gone */
        answer_failure(w);
    while (w->send_count > 0)
        answer_send(w, &(struct broker_answer){.stored = true});
    assert_null(w->clock.timers);
    for (int i = 0; i < w->stream_count; i++)
        fake_stream_free(w->streams[i]);
    members_destroy(&w->members);
    token_keys_destroy(&w->tokens);
    config_destroy(&w->config);
    buf_finish(&w->watches);
    free(w);
    return 0;
}

static void member(struct world *w, int room, const char *user, enum member_role role)
{
    struct uuid id = room_of(room);

    members_apply(w->members, &id, ROOM_GROUP, user, strlen(user), role);
}

static void change(struct world *w, int room, const char *user, enum member_role role)
{
    struct uuid id = room_of(room);

    member(w, room, user, role);
    bridge_member_changed(w->bridge, &id, ROOM_GROUP, user, strlen(user), role);
}

static struct fake_stream *open_session(struct world *w)
{
    struct fake_stream *s = w->streams[w->stream_count++] = fake_stream_make();
    struct fake_request r;

    fake_request_init(&r, "GET", "EIO=4&transport=websocket", NULL);
    fake_request_header(&r, "Upgrade", "websocket");
    fake_request_header(&r, "Sec-WebSocket-Version", "13");
    fake_request_header(&r, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    bridge_request(w->bridge, &r.request);
    r.on_stream(r.context, &s->stream);
    fake_request_finish(&r);
    fake_heard(s);
    return s;
}

static void connect_to(struct world *w, struct fake_stream *s, const char *nsp, const char *user,
                       int64_t ttl_s)
{
    struct buf token = {0}, text = {0};
    struct error e;

    assert_int_equal(token_issue(w->tokens, TOKEN_BY_ISSUER, user, ROLE_USER,
                                 w->clock.port.wall_ms(&w->clock.port) / 1000, ttl_s, &token, &e),
                     0);
    buf_printf(&text, "40%s,{\"token\":\"%s\"}", nsp, token.data);
    fake_say_text(s, text.data);
    buf_finish(&token);
    buf_finish(&text);
}

static void expect_connected(struct fake_stream *s, const char *nsp)
{
    char start[64];
    const char *text = fake_heard(s);

    snprintf(start, sizeof start, "40%s,{\"sid\":\"", nsp);
    assert_memory_equal(text, start, strlen(start));
    assert_string_equal(text + strlen(start) + 20, "\"}\n");
}

static void watched(struct world *w, int room)
{
    struct uuid id = room_of(room);

    w->events->on_watched(w->events->self, &id);
}

static void message(struct world *w, int room, int seq)
{
    struct uuid id = room_of(room);
    char json[32];

    snprintf(json, sizeof json, "{\"seq\":%d}", seq);
    w->events->on_message(w->events->self, &id, seq, json, strlen(json));
}

/* The user connects to /chat; room 1, if new, is watched and its last number is `head`. */
static struct fake_stream *join_user(struct world *w, const char *user, const char *head)
{
    struct fake_stream *s = open_session(w);

    connect_to(w, s, "/chat", user, 3600);
    if (strcmp(watches(w), "+1") == 0) {
        watched(w, 1);
        fake_advance(&w->clock, 0);
        answer(w, QUERY_ROOM_HEADS, 1, 2, (const char *const[]){ROOM_TEXT(1), head});
    }
    expect_connected(s, "/chat");
    return s;
}

#define NEW_MESSAGE(n)                                                                                       \
    "42/chat,[\"new_message\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\",\"message\":{\"seq\":" #n "}}]\n"

/* ---- Connecting. ---- */

static void test_refused(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_session(w);
    static const char refusal[] =
        "44/chat,{\"message\":\"Unauthorized\",\"data\":{\"code\":\"invalid_token\"}}\n";

    fake_say_text(s, "40/chat,");
    assert_string_equal(fake_heard(s), refusal);
    fake_say_text(s, "40/chat,{\"token\":\"x.y.z\"}");
    assert_string_equal(fake_heard(s), refusal);
    fake_say_text(s, "40/chat,{\"token\":7}");
    assert_string_equal(fake_heard(s), refusal);
    fake_say_text(s, "40/none,");
    assert_string_equal(fake_heard(s), "44/none,{\"message\":\"Invalid namespace\"}\n");
    assert_false(s->closed);
    fake_advance(&w->clock, 45000);
    assert_true(s->closed); /* it never came into a namespace */
}

static void test_waits_for_rooms(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_session(w);

    member(w, 1, "alice", MEMBER_OWNER);
    member(w, 2, "alice", MEMBER_OWNER);
    connect_to(w, s, "/chat", "alice", 3600);
    assert_int_equal(strlen(watches(w)), 4); /* +1 and +2 */
    watched(w, 1);
    watched(w, 2);
    assert_int_equal(w->query_count, 0);
    fake_advance(&w->clock, 0);
    assert_int_equal(w->query_count, 1); /* one question for both */
    assert_string_equal(fake_heard(s), "");
    answer(w, QUERY_ROOM_HEADS, 2, 2, (const char *const[]){ROOM_TEXT(1), "5", ROOM_TEXT(2), "0"});
    expect_connected(s, "/chat");
    message(w, 1, 6);
    assert_string_equal(fake_heard(s), NEW_MESSAGE(6));
    s->stream.on_closed(&s->stream);
    assert_int_equal(strlen(watches(w)), 4); /* both unwatched */
}

static void test_waits_a_second(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_session(w);

    member(w, 1, "alice", MEMBER_OWNER);
    connect_to(w, s, "/chat", "alice", 3600);
    fake_advance(&w->clock, 999);
    assert_string_equal(fake_heard(s), "");
    fake_advance(&w->clock, 1);
    expect_connected(s, "/chat");
    watched(w, 1);
    fake_advance(&w->clock, 0);
    answer_failure(w);
    fake_advance(&w->clock, 250);
    answer(w, QUERY_ROOM_HEADS, 0, 2, NULL);
    message(w, 1, 1);
    assert_string_equal(fake_heard(s), NEW_MESSAGE(1));
}

static void test_token_ends(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_session(w);

    connect_to(w, s, "/chat", "alice", 20);
    expect_connected(s, "/chat");
    connect_to(w, s, "/calls", "alice", 15);
    expect_connected(s, "/calls");
    fake_advance(&w->clock, 14000);
    assert_string_equal(fake_heard(s), "");
    fake_advance(&w->clock, 1000);
    assert_string_equal(fake_heard(s), "41/calls,\n");
    fake_advance(&w->clock, 5000);
    assert_string_equal(fake_heard(s), "41/chat,\n");
}

static void test_connections_max(void **state)
{
    struct world *w = *state;
    struct fake_stream *s;

    for (int i = 0; i < 3; i++)
        join_user(w, "alice", "0");
    s = open_session(w);
    connect_to(w, s, "/chat", "alice", 60);
    assert_string_equal(
        fake_heard(s),
        "44/chat,{\"message\":\"Too many connections\",\"data\":{\"code\":\"too_many_connections\"}}\n");
    join_user(w, "bob", "0");
}

static void test_session_rules(void **state)
{
    static const char *const wrong[] = {"42/calls,[\"x\"]", "40/chat,", "4abc", "42/chat,{}",
                                        "451-/chat,[\"x\"]"};
    struct world *w = *state;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct fake_stream *s = join_user(w, "alice", "0");

        fake_say_text(s, wrong[i]);
        if (i == 4) { /* an attachment is due, not text */
            assert_false(s->closed);
            fake_say_text(s, "42/chat,[\"x\"]");
        }
        assert_true(s->closed);
    }
    /* A reserved name is passed over, and leaving a namespace leaves the session. */
    struct fake_stream *s = join_user(w, "alice", "0");
    fake_say_text(s, "42/chat,[\"connecting\"]");
    fake_say_text(s, "41/chat,");
    assert_string_equal(fake_heard(s), "");
    assert_false(s->closed);
    connect_to(w, s, "/chat", "alice", 60);
    expect_connected(s, "/chat");
}

/* ---- Messages in order. ---- */

static void test_everybody_once(void **state)
{
    struct world *w = *state;
    struct fake_stream *a, *a2, *b;

    member(w, 1, "alice", MEMBER_OWNER);
    member(w, 1, "bob", MEMBER_MEMBER);
    a = join_user(w, "alice", "3");
    a2 = join_user(w, "alice", "");
    b = join_user(w, "bob", "");
    message(w, 1, 3); /* old */
    message(w, 1, 4);
    message(w, 1, 4); /* again */
    message(w, 1, 5);
    assert_string_equal(fake_heard(a), NEW_MESSAGE(4) NEW_MESSAGE(5));
    assert_string_equal(fake_heard(a2), NEW_MESSAGE(4) NEW_MESSAGE(5));
    assert_string_equal(fake_heard(b), NEW_MESSAGE(4) NEW_MESSAGE(5));
}

static void test_gap(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "3");
    message(w, 1, 6);
    message(w, 1, 7);
    assert_string_equal(fake_heard(a), "");
    assert_string_equal(w->queries[0].values[1], "3");
    message(w, 1, 8);
    assert_int_equal(w->query_count, 1);
    answer_messages(w, 4, 6); /* read when 7 was not yet there */
    assert_string_equal(fake_heard(a),
                        NEW_MESSAGE(4) NEW_MESSAGE(5) NEW_MESSAGE(6) NEW_MESSAGE(7) NEW_MESSAGE(8));
    assert_int_equal(w->query_count, 0);

    message(w, 1, 11); /* the database fails, then gives half */
    answer_failure(w);
    assert_int_equal(w->query_count, 0);
    fake_advance(&w->clock, 250);
    answer_messages(w, 9, 9);
    answer_messages(w, 10, 10);
    assert_string_equal(fake_heard(a), NEW_MESSAGE(9) NEW_MESSAGE(10) NEW_MESSAGE(11));
    assert_int_equal(w->query_count, 0);
}

/* What comes between the watch and the answer of the database is passed on from its number on. */
static void test_baseline_then_messages(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_session(w);
    const char *text;

    member(w, 1, "alice", MEMBER_OWNER);
    connect_to(w, s, "/chat", "alice", 3600);
    watched(w, 1);
    fake_advance(&w->clock, 0);
    message(w, 1, 5);
    message(w, 1, 6);
    answer(w, QUERY_ROOM_HEADS, 1, 2, (const char *const[]){ROOM_TEXT(1), "5"});
    text = fake_heard(s); /* the answer to CONNECT, then what is newer than it */
    assert_memory_equal(text, "40/chat,", 8);
    assert_string_equal(strchr(text, '\n') + 1, NEW_MESSAGE(6));
}

static void test_lost_link(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "3");
    w->events->on_lost(w->events->self);
    fake_advance(&w->clock, 0);
    answer(w, QUERY_ROOM_HEADS, 1, 2, (const char *const[]){ROOM_TEXT(1), "4"});
    answer_messages(w, 4, 4);
    assert_string_equal(fake_heard(a), NEW_MESSAGE(4));
    watched(w, 1); /* linked again; 5 and 6 came between */
    fake_advance(&w->clock, 0);
    message(w, 1, 7);
    answer(w, QUERY_ROOM_HEADS, 1, 2, (const char *const[]){ROOM_TEXT(1), "7"});
    answer_messages(w, 5, 7);
    assert_string_equal(fake_heard(a), NEW_MESSAGE(5) NEW_MESSAGE(6) NEW_MESSAGE(7));
    watched(w, 1);
    fake_advance(&w->clock, 0);
    message(w, 1, 8); /* passes at once, the answer is older than it */
    answer(w, QUERY_ROOM_HEADS, 1, 2, (const char *const[]){ROOM_TEXT(1), "7"});
    assert_string_equal(fake_heard(a), NEW_MESSAGE(8));
    assert_int_equal(w->query_count, 0);
}

/* More early messages than are kept: they are read from the database. */
static void test_many_early(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;
    int lines = 0;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    for (int seq = 2; seq <= 600; seq++)
        message(w, 1, seq);
    for (int round = 0; w->query_count > 0 && round < 10; round++) {
        int first = (int)strtol(w->queries[0].values[1], NULL, 10) + 1;

        answer_messages(w, first, first + 199 < 600 ? first + 199 : 600);
    }
    for (const char *at = fake_heard(a); *at != '\0'; at = strchr(at, '\n') + 1) {
        char end[32];

        snprintf(end, sizeof end, "{\"seq\":%d}}]\n", ++lines);
        assert_memory_equal(strchr(at, '\n') + 1 - strlen(end), end, strlen(end));
    }
    assert_int_equal(lines, 600);
}

static void test_members_change(void **state)
{
    struct world *w = *state;
    struct fake_stream *a, *b;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    b = join_user(w, "bob", "");
    message(w, 1, 1);
    assert_string_equal(fake_heard(b), "");
    change(w, 1, "bob", MEMBER_MEMBER);
    change(w, 1, "bob", MEMBER_ADMIN);
    message(w, 1, 2);
    assert_string_equal(fake_heard(b), NEW_MESSAGE(2));
    change(w, 1, "bob", MEMBER_NONE);
    message(w, 1, 3);
    assert_string_equal(fake_heard(b), "");
    assert_string_equal(fake_heard(a), NEW_MESSAGE(1) NEW_MESSAGE(2) NEW_MESSAGE(3));
    change(w, 1, "alice", MEMBER_NONE);
    assert_string_equal(watches(w), "-1");
}

static void test_members_reset(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    members_clear(w->members);
    member(w, 2, "alice", MEMBER_OWNER);
    bridge_members_reset(w->bridge);
    assert_string_equal(watches(w), "-1+2");
    message(w, 1, 1);
    assert_string_equal(fake_heard(a), "");
}

/* ---- Events. ---- */

static void test_send(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    fake_say_text(a, "42/chat,7[\"send_message\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\",\"content\":\"hi\"}]");
    assert_int_equal(w->send_count, 1);
    assert_string_equal(w->sends[0].user, "alice");
    assert_string_equal(w->sends[0].payload, "{\"chatRoomId\":\"" ROOM_TEXT(1) "\",\"content\":\"hi\"}");
    assert_string_equal(fake_heard(a), "");
    answer_send(
        w, &(struct broker_answer){.stored = true, .seq = 1, .message = "{\"seq\":1}", .message_size = 9});
    assert_string_equal(fake_heard(a), "43/chat,7[{\"status\":\"ok\",\"message\":{\"seq\":1}}]\n");
}

static void test_send_refused(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;
    struct broker_answer no = {.stored = false};

    error_set(&no.error, ERROR_CONFLICT, "conflict", "Another body.");
    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    fake_say_text(a, "42/chat,8[\"send_message\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    answer_send(w, &no);
    assert_string_equal(
        fake_heard(a),
        "43/chat,8[{\"status\":\"error\",\"code\":\"conflict\",\"message\":\"Another body.\"}]\n");
    fake_say_text(a, "42/chat,[\"send_message\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    answer_send(w, &no);
    assert_string_equal(
        fake_heard(a),
        "42/chat,[\"exception\",{\"status\":\"error\",\"message\":\"Another body.\",\"code\":\"conflict\","
        "\"cause\":{\"pattern\":\"send_message\",\"data\":{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}}}]\n");
    fake_say_text(a, "42/chat,9[\"send_message\",{\"chatRoomId\":\"" ROOM_TEXT(2) "\"}]");
    assert_string_equal(fake_heard(a),
                        "43/chat,9[{\"status\":\"error\",\"code\":\"room_not_found\",\"message\":\"There is "
                        "no such room.\"}]\n");
    assert_int_equal(w->send_count, 0);
}

/* A bad event costs only itself. */
static void test_bad_events(void **state)
{
    static const struct {
        const char *event, *code;
    } cases[] = {{"[\"send_message\"]", "invalid_message"},
                 {"[\"send_message\",7]", "invalid_message"},
                 {"[\"send_message\",{}]", "invalid_message"},
                 {"[\"send_message\",{\"chatRoomId\":\"x\"}]", "invalid_message"},
                 {"[\"send_message\",{bad}]", "invalid_json"},
                 {"[\"send_message\",{\"a\":\"\\u0000\"}]", "invalid_json"},
                 {"[\"send_message\",{\"a\":1,\"a\":2}]", "invalid_json"},
                 {"[\"nothing\",{}]", "unknown_event"},
                 {"[\"join_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\",\"afterSeq\":-1}]", "invalid_message"},
                 {"[\"join_chat\",{\"chatRoomId\":\"" ROOM_TEXT(2) "\"}]", "room_not_found"}};
    struct world *w = *state;
    struct fake_stream *a;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256], expected[128];

        snprintf(text, sizeof text, "42/chat,5%s", cases[i].event);
        fake_say_text(a, text);
        snprintf(expected, sizeof expected, "43/chat,5[{\"status\":\"error\",\"code\":\"%s\",",
                 cases[i].code);
        assert_memory_equal(fake_heard(a), expected, strlen(expected));
    }
    fake_say_text(a, "42/chat,[\"no\\\"thing\",1,2]");
    assert_non_null(
        strstr(fake_heard(a),
               "\"code\":\"unknown_event\",\"cause\":{\"pattern\":\"no\\\\\\\"thing\",\"data\":1}}]"));
    assert_false(a->closed);
}

static void test_rate(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;

    w->config->sends_per_s = 10;
    w->config->sends_burst = 5;
    a = join_user(w, "alice", "0");
    for (int i = 0; i < 7; i++) {
        fake_say_text(a, "42/chat,1[\"nothing\"]");
        assert_non_null(strstr(fake_heard(a), i < 5 ? "unknown_event" : "rate_limited"));
    }
    fake_advance(&w->clock, 100);
    fake_say_text(a, "42/chat,1[\"nothing\"]");
    assert_non_null(strstr(fake_heard(a), "unknown_event"));
}

static void test_gone_before_answer(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "0");
    fake_say_text(a, "42/chat,7[\"send_message\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    fake_say_text(a, "42/chat,8[\"send_message\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    fake_say_text(a, "42/chat,9[\"join_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\",\"afterSeq\":0}]");
    a->stream.on_closed(&a->stream);
    answer_send(w, &(struct broker_answer){.stored = true, .message = "{}", .message_size = 2});
    answer_room(w, "0");
    assert_int_equal(w->query_count, 0);
}

/* ---- Catching up. ---- */

#define JOIN(n, after)                                                                                       \
    "42/chat," #n "[\"join_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\",\"afterSeq\":" #after "}]"
#define JOINED(n, missed, more)                                                                              \
    "43/chat," #n "[{\"status\":\"ok\",\"room\":{\"lastSeq\":9},\"missed\":[" missed "],\"hasMore\":" more   \
    "}]\n"

static void test_join(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "5");
    fake_say_text(a, "42/chat,1[\"join_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    answer_room(w, "0");
    assert_string_equal(fake_heard(a), JOINED(1, "", "false"));

    fake_say_text(a, JOIN(2, 3));
    answer_room(w, "0");
    assert_string_equal(w->queries[0].values[1], "3");
    answer_messages(w, 4, 5);
    assert_string_equal(fake_heard(a), JOINED(2, "{\"seq\":4},{\"seq\":5}", "false"));

    fake_say_text(a, JOIN(3, 3)); /* history begins later for this member */
    answer_room(w, "4");
    assert_string_equal(w->queries[0].values[1], "4");
    answer_messages(w, 5, 5);
    assert_string_equal(fake_heard(a), JOINED(3, "{\"seq\":5}", "false"));

    fake_say_text(a, "42/chat,4[\"leave_chat\",{\"chatRoomId\":\"" ROOM_TEXT(1) "\"}]");
    assert_string_equal(fake_heard(a), "43/chat,4[{\"status\":\"ok\"}]\n");
}

/* Live messages that come while the database is asked, with an answer older and one newer than they. */
static void test_join_races(void **state)
{
    struct world *w = *state;
    struct fake_stream *a, *b;

    member(w, 1, "alice", MEMBER_OWNER);
    member(w, 1, "bob", MEMBER_MEMBER);
    a = join_user(w, "alice", "5");
    b = join_user(w, "bob", "");
    fake_say_text(a, JOIN(1, 3));
    message(w, 1, 6);
    answer_room(w, "0");
    message(w, 1, 7);
    assert_string_equal(fake_heard(a), "");
    assert_string_equal(fake_heard(b), NEW_MESSAGE(6) NEW_MESSAGE(7));
    answer_messages(w, 4, 6); /* older: 7 follows live */
    assert_string_equal(fake_heard(a),
                        JOINED(1, "{\"seq\":4},{\"seq\":5},{\"seq\":6}", "false") NEW_MESSAGE(7));

    fake_say_text(a, JOIN(2, 6));
    answer_room(w, "0");
    answer_messages(w, 7, 9); /* newer: 8 and 9 are still to come live */
    assert_string_equal(fake_heard(a), JOINED(2, "{\"seq\":7}", "false"));
    message(w, 1, 8);
    message(w, 1, 9);
    assert_string_equal(fake_heard(a), NEW_MESSAGE(8) NEW_MESSAGE(9));

    fake_say_text(a, JOIN(3, 8)); /* it fails: nothing that was kept is lost */
    message(w, 1, 10);
    answer_failure(w);
    assert_string_equal(fake_heard(a), "43/chat,3[{\"status\":\"error\",\"code\":\"database_unavailable\","
                                       "\"message\":\"The database is away.\"}]\n" NEW_MESSAGE(10));
}

static void test_join_has_more(void **state)
{
    struct world *w = *state;
    struct fake_stream *a;
    const char *text;

    member(w, 1, "alice", MEMBER_OWNER);
    a = join_user(w, "alice", "1000");
    fake_say_text(a, JOIN(1, 0));
    answer_room(w, "0");
    assert_string_equal(w->queries[0].values[2], "501");
    answer_messages(w, 1, 501);
    text = fake_heard(a);
    assert_non_null(strstr(text, "{\"seq\":500}],\"hasMore\":true}]\n"));
    assert_null(strstr(text, "{\"seq\":501}"));
}

static void test_join_and_removal(void **state)
{
    struct world *w = *state;
    struct fake_stream *b;
    static const char refused[] =
        "43/chat,1[{\"status\":\"error\",\"code\":\"room_not_found\",\"message\":\"There is no such "
        "room.\"}]\n";

    member(w, 1, "alice", MEMBER_OWNER);
    member(w, 1, "bob", MEMBER_MEMBER);
    join_user(w, "alice", "5");
    b = join_user(w, "bob", "");
    fake_say_text(b, JOIN(1, 3));
    message(w, 1, 6);
    change(w, 1, "bob", MEMBER_NONE);
    assert_string_equal(fake_heard(b), refused);
    answer_room(w, "0");
    assert_string_equal(fake_heard(b), "");
}

static void test_join_waits_for_room(void **state)
{
    struct world *w = *state;
    struct fake_stream *s = open_session(w);

    member(w, 1, "alice", MEMBER_OWNER);
    connect_to(w, s, "/chat", "alice", 3600);
    fake_advance(&w->clock, 1000);
    expect_connected(s, "/chat");
    fake_say_text(s, JOIN(1, 3));
    fake_say_text(s, JOIN(2, 3));
    assert_int_equal(w->query_count, 0);
    watched(w, 1);
    fake_advance(&w->clock, 0);
    answer(w, QUERY_ROOM_HEADS, 1, 2, (const char *const[]){ROOM_TEXT(1), "4"});
    assert_int_equal(w->query_count, 2);
    answer_failure(w);
    answer_failure(w);
    fake_heard(s);
    change(w, 2, "alice", MEMBER_MEMBER);
    fake_say_text(s, JOIN(3, 3));
    fake_advance(&w->clock, w->config->answer_timeout_ms);
    assert_non_null(strstr(fake_heard(s), "\"code\":\"unavailable\""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_refused),
                                       TEST(test_waits_for_rooms),
                                       TEST(test_waits_a_second),
                                       TEST(test_token_ends),
                                       TEST(test_connections_max),
                                       TEST(test_session_rules),
                                       TEST(test_everybody_once),
                                       TEST(test_gap),
                                       TEST(test_baseline_then_messages),
                                       TEST(test_lost_link),
                                       TEST(test_many_early),
                                       TEST(test_members_change),
                                       TEST(test_members_reset),
                                       TEST(test_send),
                                       TEST(test_send_refused),
                                       TEST(test_bad_events),
                                       TEST(test_rate),
                                       TEST(test_gone_before_answer),
                                       TEST(test_join),
                                       TEST(test_join_races),
                                       TEST(test_join_has_more),
                                       TEST(test_join_and_removal),
                                       TEST(test_join_waits_for_room)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
