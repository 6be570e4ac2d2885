/* The bridge in a world of fakes: users who connect, a database and a broker that answer when told to.
 *
 * Flow:   test -> request or stream -> bridge -> fakes -> test.
 * Thread: one.
 * Owns:   a struct world, from setup to teardown. */
#ifndef PARLOR_TESTS_UNIT_BRIDGE_WORLD_H
#define PARLOR_TESTS_UNIT_BRIDGE_WORLD_H

#include "bridge/bridge.h"
#include "core/config.h"
#include "core/log.h"
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
    char *user, *payload, *request_id;
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
    struct buf said;    /* typing and online, a word each */
    struct fake_stream *streams[USERS_MAX];
    int stream_count;
};

static struct world *the_world; /* the ports' callbacks have no context of ours */

/* Room n is 00000000-0000-7000-8000-00000000000n. */
static inline struct uuid room_of(int n)
{
    struct uuid id = {{0}};

    id.bytes[6] = 0x70;
    id.bytes[8] = 0x80;
    id.bytes[15] = (uint8_t)n;
    return id;
}

#define ROOM_TEXT(n) "00000000-0000-7000-8000-00000000000" #n

/* ---- The ports. ---- */

static inline void on_query(struct db_port *port, const char *sql, int count, const char *const *values,
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

static inline const char *table_cell(const struct db_answer *answer, int row, int column)
{
    return ((const struct table *)answer)->cells[row * answer->columns + column];
}

static inline size_t table_cell_size(const struct db_answer *answer, int row, int column)
{
    return strlen(table_cell(answer, row, column));
}

/* Answers the oldest query, which must be `sql`, with rows of so many columns. */
static inline void answer(struct world *w, const char *sql, int rows, int columns, const char *const *cells)
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

static inline void answer_failure(struct world *w)
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
static inline void answer_messages(struct world *w, int first, int last)
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

static inline void answer_room(struct world *w, const char *history_seq)
{
    answer(w, QUERY_ROOM, 1, 4, (const char *const[]){"{\"lastSeq\":9}", "group", "member", history_seq});
}

static inline void on_send(struct broker_port *port, const struct broker_send *send, broker_answer_fn done,
                           void *context)
{
    (void)port;
    the_world->sends[the_world->send_count++] = (struct send){mem_strdup(send->user),
                                                              mem_dup(send->payload, send->payload_size),
                                                              mem_strdup(send->request_id),
                                                              send->room,
                                                              done,
                                                              context};
}

static inline void answer_send(struct world *w, const struct broker_answer *a)
{
    struct send s = w->sends[0];

    assert_true(w->send_count > 0);
    memmove(w->sends, w->sends + 1, (size_t)--w->send_count * sizeof *w->sends);
    s.done(s.context, a);
    free(s.user);
    free(s.payload);
    free(s.request_id);
}

static inline void on_watch(struct broker_port *port, const struct uuid *room)
{
    (void)port;
    buf_printf(&the_world->watches, "+%d", room->bytes[15]);
}

static inline void on_unwatch(struct broker_port *port, const struct uuid *room)
{
    (void)port;
    buf_printf(&the_world->watches, "-%d", room->bytes[15]);
}

static inline void on_mark(struct broker_port *port, bool delivered, const struct broker_send *mark,
                           broker_answer_fn done, void *context)
{
    assert_false(delivered);
    on_send(port, mark, done, context);
}

static inline void on_type(struct broker_port *port, const struct uuid *room, const char *user, bool on)
{
    (void)port;
    buf_printf(&the_world->said, "%s %s in %d\n", user, on ? "types" : "stops", room->bytes[15]);
}

static inline void on_online(struct broker_port *port, const char *user, bool on)
{
    (void)port;
    buf_printf(&the_world->said, "%s is %s\n", user, on ? "here" : "gone");
}

static inline const char *said(struct world *w)
{
    static char text[256];

    snprintf(text, sizeof text, "%s", w->said.data != NULL ? w->said.data : "");
    buf_clear(&w->said);
    return text;
}

static inline const char *watches(struct world *w)
{
    static char text[256];

    snprintf(text, sizeof text, "%s", w->watches.data != NULL ? w->watches.data : "");
    buf_clear(&w->watches);
    return text;
}

/* ---- The world. ---- */

static inline int setup(void **state)
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
    w->broker = (struct broker_port){.send = on_send,
                                     .watch = on_watch,
                                     .unwatch = on_unwatch,
                                     .mark = on_mark,
                                     .typing = on_type,
                                     .online = on_online};
    w->members = members_create();
    assert_int_equal(token_keys_create(w->config, &w->tokens, &e), 0);
    ports = (struct ports){w->config, &w->db, &w->broker, &w->clock.port, w->members, w->tokens};
    w->bridge = bridge_create(&ports);
    w->events = bridge_broker_events(w->bridge);
    *state = w;
    return 0;
}

static inline int teardown(void **state)
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
    buf_finish(&w->said);
    free(w);
    return 0;
}

static inline void member(struct world *w, int room, const char *user, enum member_role role)
{
    struct uuid id = room_of(room);

    members_apply(w->members, &id, ROOM_GROUP, user, strlen(user), role);
}

static inline void change(struct world *w, int room, const char *user, enum member_role role)
{
    struct uuid id = room_of(room);

    member(w, room, user, role);
    bridge_member_changed(w->bridge, &id, ROOM_GROUP, user, strlen(user), role);
}

static inline struct fake_stream *open_session(struct world *w)
{
    struct fake_stream *s = w->streams[w->stream_count++] = fake_stream_make();
    struct fake_request r;

    fake_request_init(&r, "GET", "EIO=4&transport=websocket", NULL);
    fake_request_header(&r, "Upgrade", "websocket");
    fake_request_header(&r, "Connection", "keep-alive, Upgrade");
    fake_request_header(&r, "Sec-WebSocket-Version", "13");
    fake_request_header(&r, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    bridge_request(w->bridge, &r.request);
    r.on_stream(r.context, &s->stream);
    fake_request_finish(&r);
    fake_heard(s);
    return s;
}

static inline void connect_to(struct world *w, struct fake_stream *s, const char *nsp, const char *user,
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

static inline void expect_connected(struct fake_stream *s, const char *nsp)
{
    char start[64];
    const char *text = fake_heard(s);

    snprintf(start, sizeof start, "40%s,{\"sid\":\"", nsp);
    assert_memory_equal(text, start, strlen(start));
    assert_string_equal(text + strlen(start) + 20, "\"}\n");
}

static inline void watched(struct world *w, int room)
{
    struct uuid id = room_of(room);

    w->events->on_watched(w->events->self, &id);
}

static inline void message(struct world *w, int room, int seq)
{
    struct uuid id = room_of(room);
    char json[32];

    snprintf(json, sizeof json, "{\"seq\":%d}", seq);
    w->events->on_message(w->events->self, &id, seq, json, strlen(json));
}

/* The user connects to /chat; room 1, if new, is watched and its last number is `head`. */
static inline struct fake_stream *join_user(struct world *w, const char *user, const char *head)
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
