/* store_batch against a real PostgreSQL: numbers without a gap, what is refused, what is found again, locks,
 * broken connections, and plans that stay on their indexes. */
#include "plugin/store.h"

#include "core/clock.h"
#include "plugin/store_sql.h"
#include "tests/unit/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>

#define ITEMS_MAX   300
#define DEADLINE_MS 5000

static char url[160];
static struct config config;
static PGconn *conn; /* the test's own, beside the store's */
static struct store *store;
static struct draft drafts[ITEMS_MAX];
static struct store_item items[ITEMS_MAX];
static struct uuid room_a, room_b;

/* ---- Helpers. ---- */

static struct uuid make_room(const char *users)
{
    struct uuid id;
    char text[UUID_TEXT_SIZE];
    uuid_make(&id, clock_wall_ms());
    uuid_format(&id, text);
    assert_string_equal(
        pg_sql(conn,
               "select outcome from parlor_room_create('%s', 'ann', 'group', 'g', '%s', null, null, 5000)",
               text, users),
        "created");
    return id;
}

static const char *room_text(const struct uuid *room)
{
    static char text[UUID_TEXT_SIZE];
    uuid_format(room, text);
    return text;
}

static void put(size_t i, const struct uuid *room, const char *user, const char *client_id,
                const char *content)
{
    struct draft *d = &drafts[i];
    buf_finish(&d->mentions);
    *d = (struct draft){.type = "text", .content = content, .content_size = strlen(content)};
    snprintf(d->client_message_id, sizeof(d->client_message_id), "%s", client_id);
    d->body_hash = (int64_t)strlen(content) * 1000 + content[0];
    items[i] = (struct store_item){.room = *room, .user = user, .draft = d, .created_at_ms = clock_wall_ms()};
    uuid_make(&items[i].id, items[i].created_at_ms);
}

static int64_t in_ms(int64_t ms)
{
    return clock_mono_ns() + ms * 1000000;
}

static void store_now(size_t count)
{
    struct error e = {0};
    if (store_batch(store, items, count, in_ms(DEADLINE_MS), &e) != 0) {
        fail_msg("%s: %s", e.word, e.text);
    }
}

static void assert_stored(size_t i, int64_t seq)
{
    assert_int_equal(items[i].outcome, STORE_STORED);
    assert_int_equal(items[i].message.seq, seq);
    assert_true(uuid_equal(&items[i].message.id, &items[i].id));
}

static void assert_rejected(size_t i, const char *word)
{
    assert_int_equal(items[i].outcome, STORE_REJECTED);
    assert_string_equal(items[i].error.word, word);
}

/* Every seq from 1 to last_seq is there once. */
static void assert_gapless(const struct uuid *room, int64_t last_seq)
{
    char expected[64];
    snprintf(expected, sizeof(expected), "%lld/%lld/%lld", (long long)last_seq, (long long)last_seq,
             (long long)last_seq);
    assert_string_equal(pg_sql(conn,
                               "select count(distinct m.seq) || '/' || coalesce(max(m.seq), 0) || '/' || "
                               "(select last_seq from chat_rooms where id = '%s') "
                               "from chat_messages m where room_id = '%s'",
                               room_text(room), room_text(room)),
                        expected);
}

static const char *writer_pid(void)
{
    return pg_sql(conn, "select pid from pg_stat_activity where application_name = 'parlor writer' "
                        "and datname = current_database() order by backend_start desc limit 1");
}

static int set_up(void **state)
{
    (void)state;
    conn = pg_database("store");
    pg_url("store", url);
    config = (struct config){.database_url = url, .lock_timeout_ms = 200, .database_timeout_ms = 4000};
    store = store_create(&config);
    room_a = make_room("{bob,cid}");
    room_b = make_room("{bob}");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_destroy(&store);
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        buf_finish(&drafts[i].mentions);
    }
    PQfinish(conn);
    return 0;
}

/* ---- What is stored. ---- */

static void test_numbers_in_the_order_of_the_batch(void **state)
{
    (void)state;
    put(0, &room_b, "ann", "1", "b one");
    put(1, &room_a, "bob", "1", "a one");
    put(2, &room_b, "bob", "1", "b two");
    put(3, &room_a, "ann", "1", "a two");
    put(4, &room_a, "bob", "2", "a three");
    store_now(5);
    assert_stored(0, 1);
    assert_stored(1, 1);
    assert_stored(2, 2);
    assert_stored(3, 2);
    assert_stored(4, 3);
    put(0, &room_a, "cid", "1", "a four");
    store_now(1);
    assert_stored(0, 4);
    assert_gapless(&room_a, 4);
    assert_gapless(&room_b, 2);
}

static void test_every_value_arrives(void **state)
{
    (void)state;
    put(0, &room_a, "ann", "first", "to be answered");
    store_now(1);
    struct uuid first = items[0].id;
    put(0, &room_a, "bob", "k\xc3\xa9y",
        "sm\xc3\xb8rrebr\xc3\xb8"
        "d \\ \" ' % {");
    buf_put_text(&drafts[0].mentions, "[\"ann\",\"cid\"]");
    drafts[0].has_reply = true;
    drafts[0].reply_to = first;
    items[0].created_at_ms = INT64_C(1767225600123);
    store_now(1);
    assert_stored(0, 2);
    struct message fresh = items[0].message;
    assert_string_equal(fresh.mentions, "[\"ann\",\"cid\"]");
    uuid_make(&items[0].id, clock_wall_ms());
    store_now(1);
    const struct message *old = &items[0].message;
    assert_int_equal(items[0].outcome, STORE_REPLAYED);
    assert_true(uuid_equal(&old->id, &fresh.id));
    assert_int_equal(old->seq, 2);
    assert_int_equal(old->created_at_ms, INT64_C(1767225600123));
    assert_string_equal(old->content, drafts[0].content);
    assert_int_equal(old->content_size, drafts[0].content_size);
    assert_string_equal(old->mentions, "[\"ann\", \"cid\"]");
    assert_string_equal(old->attachments, "[]");
    assert_string_equal(old->type, "text");
    assert_true(old->has_reply && uuid_equal(&old->reply_to, &first));
    assert_int_equal(old->edited_at_ms, 0);
    assert_gapless(&room_a, 2);
}

static void test_no_content_is_null(void **state)
{
    (void)state;
    put(0, &room_a, "ann", "1", "");
    drafts[0].content = NULL;
    drafts[0].type = "media";
    store_now(1);
    assert_stored(0, 1);
    assert_string_equal(pg_sql(conn, "select content is null and mentions is null and type = 'media' "
                                     "from chat_messages"),
                        "t");
}

/* ---- What is refused, and costs nobody a number. ---- */

static void test_each_gets_its_own_verdict(void **state)
{
    (void)state;
    put(0, &room_a, "ann", "old", "the first");
    put(1, &room_b, "ann", "elsewhere", "in the other room");
    store_now(2);
    struct uuid first = items[0].id, elsewhere = items[1].id, nowhere;
    uuid_make(&nowhere, clock_wall_ms());

    put(0, &room_a, "ann", "1", "good");
    put(1, &room_a, "eve", "1", "a stranger's");
    put(2, &room_a, "ann", "old", "the first");
    put(3, &room_a, "ann", "2", "good");
    put(4, &nowhere, "ann", "1", "into no room");
    put(5, &room_a, "bob", "old", "another's clientMessageId is another one");
    put(6, &room_a, "bob", "r", "an answer to a message elsewhere");
    drafts[6].has_reply = true;
    drafts[6].reply_to = elsewhere;
    put(7, &room_a, "bob", "f", "with a file");
    drafts[7].attachment_count = 1;
    put(8, &room_a, "cid", "3", "good");
    put(9, &room_b, "eve", "3", "a stranger's alone in its room");
    store_now(10);
    assert_stored(0, 2);
    assert_rejected(1, "room_not_found");
    assert_int_equal(items[2].outcome, STORE_REPLAYED);
    assert_true(uuid_equal(&items[2].message.id, &first));
    assert_stored(3, 3);
    assert_rejected(4, "room_not_found");
    assert_stored(5, 4);
    assert_rejected(6, "reply_not_found");
    assert_rejected(7, "attachment_not_found");
    assert_stored(8, 5);
    assert_rejected(9, "room_not_found");
    put(0, &room_a, "ann", "old", "something else");
    store_now(1);
    assert_rejected(0, "conflict");
    assert_gapless(&room_a, 5);
    assert_gapless(&room_b, 1);
}

/* Each kind of refusal turns a fast batch into a careful one: the neighbours must not notice. */
static void test_a_refusal_costs_its_neighbours_nothing(void **state)
{
    (void)state;
    put(0, &room_a, "ann", "0", "known");
    store_now(1);
    int64_t seq = 1;
    for (int kind = 0; kind < 3; kind++) {
        store_destroy(&store); /* a new one begins the fast way */
        store = store_create(&config);
        put(0, &room_a, "ann", kind == 0 ? "a" : kind == 1 ? "b" : "c", "before");
        put(1, &room_a, kind == 0 ? "eve" : "ann", "0", kind == 1 ? "other" : "known");
        put(2, &room_a, "bob", kind == 0 ? "a" : kind == 1 ? "b" : "c", "behind");
        store_now(3);
        assert_stored(0, ++seq);
        assert_int_not_equal(items[1].outcome, STORE_STORED);
        assert_stored(2, ++seq);
    }
    assert_gapless(&room_a, seq);
}

static void test_the_same_item_again_is_stored_once(void **state)
{
    (void)state;
    put(0, &room_a, "ann", "1", "tried twice");
    store_now(1);
    store_now(1);
    assert_stored(0, 1);
    pg_sql(conn, "delete from chat_participants where room_id = '%s' and user_id = 'ann'",
           room_text(&room_a));
    store_now(1); /* its first try was a member's */
    assert_stored(0, 1);
    assert_gapless(&room_a, 1);
}

static void test_bad_data_is_poison(void **state)
{
    (void)state;
    struct error e = {0};
    put(0, &room_a, "ann", "1", "good");
    put(1, &room_a, "ann", "2", "bad \xff bytes");
    assert_int_equal(store_batch(store, items, 2, in_ms(DEADLINE_MS), &e), -1);
    assert_int_equal(e.code, ERROR_INVALID);
    assert_string_equal(e.word, "poison");
    assert_gapless(&room_a, 0);
    store_now(1);
    assert_stored(0, 1);
}

static void test_large_batches(void **state)
{
    (void)state;
    static char ids[ITEMS_MAX][16];
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%zu", i);
        put(i, i % 3 == 0 ? &room_b : &room_a, i % 2 == 0 ? "ann" : "bob", ids[i], "one of many");
    }
    store_now(ITEMS_MAX);
    int64_t a = 0, b = 0;
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        assert_stored(i, i % 3 == 0 ? ++b : ++a);
    }
    store_now(ITEMS_MAX); /* and all of them again, the careful way */
    assert_stored(ITEMS_MAX - 1, a);
    assert_gapless(&room_a, a);
    assert_gapless(&room_b, b);
}

/* ---- Locks, lost connections, deadlines. ---- */

static void test_a_locked_room_is_busy(void **state)
{
    (void)state;
    struct error e = {0};
    pg_sql(conn, "begin");
    pg_sql(conn, "select from chat_rooms where id = '%s' for update", room_text(&room_a));
    put(0, &room_a, "ann", "1", "waits");
    assert_int_equal(store_batch(store, items, 1, in_ms(DEADLINE_MS), &e), -1);
    assert_int_equal(e.code, ERROR_UNAVAILABLE);
    assert_string_equal(e.word, "busy");
    bool locked[2];
    assert_int_equal(store_locked(store, (struct uuid[]){room_b, room_a}, 2, locked, in_ms(DEADLINE_MS), &e),
                     0);
    assert_true(locked[1] && !locked[0]);
    pg_sql(conn, "rollback");
    store_now(1);
    assert_stored(0, 1);
}

static void *batch_thread(void *context)
{
    *(int *)context = store_batch(store, items, 2, in_ms(DEADLINE_MS), NULL);
    return NULL;
}

/* The removal holds the room's row while the batch waits for it; what the batch checks is what is true after.
 */
static void test_a_removal_before_the_lock_counts(void **state)
{
    (void)state;
    config.lock_timeout_ms = 4000;
    pg_sql(conn, "begin");
    pg_sql(conn, "select from chat_rooms where id = '%s' for update", room_text(&room_a));
    pg_sql(conn, "delete from chat_participants where room_id = '%s' and user_id = 'bob'",
           room_text(&room_a));
    put(0, &room_a, "bob", "1", "one who is removed");
    put(1, &room_a, "ann", "1", "one who stays");
    pthread_t thread;
    int result = -1;
    assert_int_equal(pthread_create(&thread, NULL, batch_thread, &result), 0);
    PGconn *watch = pg_connect("store");
    while (
        strcmp(pg_sql(watch, "select count(*) from pg_stat_activity where application_name = 'parlor writer' "
                             "and wait_event_type = 'Lock'"),
               "1") != 0) {
        pg_sql(watch, "select pg_sleep(0.01)");
    }
    PQfinish(watch);
    pg_sql(conn, "commit");
    pthread_join(thread, NULL);
    assert_int_equal(result, 0);
    assert_rejected(0, "room_not_found");
    assert_stored(1, 1);
    assert_gapless(&room_a, 1);
}

static void wait_for_end_of(pid_t backend)
{
    while (strcmp(pg_sql(conn, "select count(*) from pg_stat_activity where pid = %d", (int)backend), "0") !=
           0) {
        pg_sql(conn, "select pg_sleep(0.01)");
    }
}

/* Without the sync the server has nothing to commit, however late it goes on: the sender may be told. */
static void test_a_hung_server_stores_nothing(void **state)
{
    (void)state;
    struct error e = {0};
    assert_int_equal(store_connect(store, in_ms(DEADLINE_MS), &e), 0);
    pid_t backend = (pid_t)strtol(writer_pid(), NULL, 10);
    put(0, &room_a, "ann", "1", "sent into the silence");
    kill(backend, SIGSTOP);
    int64_t start_ns = clock_mono_ns();
    int result = store_batch(store, items, 1, in_ms(200), &e);
    assert_int_equal(result, -1);
    assert_int_equal(e.code, ERROR_UNAVAILABLE);
    assert_true(clock_mono_ns() - start_ns < INT64_C(2000000000));
    assert_false(store_connected(store));
    kill(backend, SIGCONT);
    wait_for_end_of(backend);
    assert_gapless(&room_a, 0);
    store_now(1);
    assert_stored(0, 1);
    assert_gapless(&room_a, 1);
}

/* A commit that takes longer than the deadline: nobody knows, and the same batch finds out. */
static void test_a_hung_commit_is_uncertain(void **state)
{
    (void)state;
    struct error e = {0};
    pg_sql(conn, "create function slow() returns trigger language plpgsql as "
                 "'begin perform pg_sleep(0.5); return null; end'");
    pg_sql(conn, "create constraint trigger slow after insert on chat_messages deferrable initially deferred "
                 "for each row execute function slow()");
    assert_int_equal(store_connect(store, in_ms(DEADLINE_MS), &e), 0);
    pid_t backend = (pid_t)strtol(writer_pid(), NULL, 10);
    put(0, &room_a, "ann", "1", "on the edge");
    assert_int_equal(store_batch(store, items, 1, in_ms(200), &e), -1);
    assert_int_equal(e.code, ERROR_UNCERTAIN);
    assert_false(store_connected(store));
    wait_for_end_of(backend);
    pg_sql(conn, "drop function slow cascade");
    store_now(1);
    assert_stored(0, 1);
    assert_gapless(&room_a, 1);
}

static void test_a_broken_connection_heals(void **state)
{
    (void)state;
    struct error e = {0};
    put(0, &room_a, "ann", "1", "over a broken connection");
    assert_int_equal(store_connect(store, in_ms(DEADLINE_MS), &e), 0);
    pg_sql(conn, "select pg_terminate_backend(%s, 5000)", writer_pid());
    store_now(1); /* nothing was under way when it broke, so nothing is uncertain */
    assert_stored(0, 1);
    assert_gapless(&room_a, 1);
}

static void test_no_database_is_unavailable(void **state)
{
    (void)state;
    struct config nowhere = {
        .database_url = "host=/nowhere", .lock_timeout_ms = 100, .database_timeout_ms = 500};
    struct store *other = store_create(&nowhere);
    struct error e = {0};
    put(0, &room_a, "ann", "1", "into nothing");
    assert_int_equal(store_batch(other, items, 1, in_ms(500), &e), -1);
    assert_int_equal(e.code, ERROR_UNAVAILABLE);
    assert_string_equal(e.word, "database_unavailable");
    store_destroy(&other);
}

/* ---- One batch behind another's commit. ---- */

/* Item 0 commits, item 1 is begun behind it. */
static void begin_behind_a_commit(void)
{
    struct error e = {0};
    assert_int_equal(store_begin(store, &items[0], 1, in_ms(DEADLINE_MS), &e), 0);
    assert_int_equal(store_execute(store, &items[0], 1, in_ms(DEADLINE_MS), &e), 0);
    assert_int_equal(store_begin(store, &items[1], 1, in_ms(DEADLINE_MS), &e), 0);
}

/* The second is refused by a constraint and goes the careful way, behind the first and before a third. */
static void test_a_batch_behind_a_commit(void **state)
{
    (void)state;
    struct error e = {0};
    put(0, &room_a, "ann", "1", "one");
    put(1, &room_a, "ann", "1", "another");
    put(2, &room_a, "bob", "1", "two");
    begin_behind_a_commit();
    assert_int_equal(store_complete(store, &items[0], 1, in_ms(DEADLINE_MS), &e), 0);
    assert_stored(0, 1);
    assert_int_equal(store_execute(store, &items[1], 1, in_ms(DEADLINE_MS), &e), 0);
    assert_int_equal(store_complete(store, &items[1], 1, in_ms(DEADLINE_MS), &e), 0);
    assert_rejected(1, "conflict");
    store_now(3);
    assert_stored(0, 1);
    assert_stored(2, 2);
    assert_gapless(&room_a, 2);
}

/* A commit that fails takes the batch behind it along, which has no sync of its own: nothing of it is stored.
 */
static void test_nothing_is_stored_behind_a_failed_commit(void **state)
{
    (void)state;
    struct error e = {0};
    pg_sql(conn, "create function refuse() returns trigger language plpgsql as "
                 "'begin raise exception using errcode = 23514; end'");
    pg_sql(conn,
           "create constraint trigger refuse after insert on chat_messages deferrable initially deferred "
           "for each row when (new.content = 'refused') execute function refuse()");
    put(0, &room_a, "ann", "1", "refused");
    put(1, &room_a, "ann", "2", "behind it");
    begin_behind_a_commit();
    pid_t backend = (pid_t)strtol(writer_pid(), NULL, 10);
    assert_int_equal(store_complete(store, &items[0], 1, in_ms(DEADLINE_MS), &e), -1);
    assert_string_equal(e.word, "poison");
    assert_false(store_connected(store));
    wait_for_end_of(backend);
    pg_sql(conn, "drop function refuse cascade");
    assert_gapless(&room_a, 0);
    store_now(2);
    assert_stored(1, 2);
    assert_gapless(&room_a, 2);
}

/* ---- Watermarks and epochs. ---- */

static const char *unread(const char *user)
{
    return pg_sql(conn,
                  "select r.last_seq - parlor_read_seq(r.id, p.user_id, p.read_seq, r.last_seq, r.active_at) "
                  "from chat_participants p join chat_rooms r on r.id = p.room_id where p.user_id = '%s' and "
                  "r.id = '%s'",
                  user, room_text(&room_a));
}

static void test_to_send_is_to_have_read(void **state)
{
    (void)state;
    put(0, &room_a, "bob", "1", "one");
    put(1, &room_a, "ann", "1", "two");
    put(2, &room_a, "bob", "2", "three");
    store_now(3);
    assert_string_equal(unread("ann"), "1"); /* at once, before any watermark is written */
    assert_string_equal(unread("bob"), "0");
    assert_string_equal(unread("cid"), "3");
    store_destroy(&store); /* writes them */
    assert_string_equal(pg_sql(conn,
                               "select string_agg(user_id || read_seq, ' ' order by user_id) "
                               "from chat_participants where room_id = '%s'",
                               room_text(&room_a)),
                        "ann2 bob3 cid0");
    pg_sql(conn, "update chat_participants set read_seq = 0"); /* as if the process had been killed before */
    struct error e = {0};
    store = store_create(&config);
    assert_int_equal(store_connect(store, in_ms(DEADLINE_MS), &e), 0);
    assert_string_equal(pg_sql(conn,
                               "select string_agg(user_id || read_seq, ' ' order by user_id) "
                               "from chat_participants where room_id = '%s'",
                               room_text(&room_a)),
                        "ann2 bob3 cid0");
}

static void test_a_database_gone_back_begins_an_epoch(void **state)
{
    (void)state;
    put(0, &room_a, "ann", "1", "kept");
    put(1, &room_a, "ann", "2", "lost");
    store_now(2);
    pg_sql(conn, "select pg_terminate_backend(%s, 5000)", writer_pid());
    store_connect(store, in_ms(DEADLINE_MS), NULL);
    assert_string_equal(pg_sql(conn, "select max(epoch) from chat_rooms"), "1"); /* nothing was lost */
    pg_sql(conn,
           "delete from chat_messages where client_message_id = '2'"); /* what a restored backup looks like */
    pg_sql(conn, "update chat_rooms set last_seq = 1 where id = '%s'", room_text(&room_a));
    pg_sql(conn, "select pg_terminate_backend(%s, 5000)", writer_pid());
    put(0, &room_b, "ann", "1", "after");
    store_now(1);
    assert_string_equal(pg_sql(conn, "select min(epoch) || '/' || max(epoch) from chat_rooms"), "2/2");
    put(0, &room_a, "ann", "3", "goes on");
    store_now(1);
    assert_stored(0, 2);
}

/* ---- Plans. ---- */

static void assert_plan_on_indexes(const char *name, const char *parameters)
{
    struct error e = {0};
    char sql[512];
    snprintf(sql, sizeof(sql), "explain execute %s(%s)", name, parameters);
    PGresult *r = db_exec(conn, sql, 0, NULL, 5000, &e);
    if (r == NULL) {
        fail_msg("%s: %s", name, e.text);
    }
    for (int i = 0; i < PQntuples(r); i++) {
        const char *line = PQgetvalue(r, i, 0);
        if (strstr(line, "Seq Scan") != NULL || strstr(line, "Hash Join") != NULL ||
            strstr(line, "Merge Join") != NULL || strstr(line, "Bitmap") != NULL) {
            fail_msg("%s: %s", name, line);
        }
    }
    PQclear(r);
}

static void assert_plans(int batch)
{
    char items_of_batch[160], rooms[200], room_ids[80];
    snprintf(items_of_batch, sizeof(items_of_batch), "array_fill(null::parlor_item, array[%d])", batch);
    snprintf(room_ids, sizeof(room_ids), "array_fill(gen_random_uuid(), array[%d])", batch);
    snprintf(rooms, sizeof(rooms), "%s, array_fill(1::int8, array[%d]), array_fill(now(), array[%d])",
             room_ids, batch, batch);
    assert_plan_on_indexes("fast_lock", rooms);
    assert_plan_on_indexes("fast_insert", items_of_batch);
    assert_plan_on_indexes("careful_lock", room_ids);
    assert_plan_on_indexes("careful_insert", items_of_batch);
}

static void prepare_plans(void)
{
    pg_sql(conn, "deallocate all");
    pg_sql(conn, SQL_SESSION, 1000LL, 60000LL, 60000LL);
    pg_sql(conn, "prepare fast_lock as " SQL_FAST_LOCK);
    pg_sql(conn, "prepare fast_insert as " SQL_FAST_INSERT);
    pg_sql(conn, "prepare careful_lock as " SQL_CAREFUL_LOCK);
    pg_sql(conn, "prepare careful_insert as " SQL_CAREFUL_INSERT);
}

static void test_plans_stay_on_indexes(void **state)
{
    (void)state;
    static const int batches[] = {1, 30, 300};
    for (int full = 0; full < 2; full++) {
        prepare_plans();
        for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
            assert_plans(batches[i]);
        }
        if (full == 0) {
            pg_sql(conn, "reset all");
            pg_sql(
                conn,
                "insert into chat_rooms (id, type, created_by, active_at, created_at, updated_at) "
                "select gen_random_uuid(), 'group', 'x', now(), now(), now() from generate_series(1, 2000)");
            pg_sql(
                conn,
                "insert into chat_participants (room_id, user_id, role, joined_at) select id, 'user' || n, "
                "'member', now() from chat_rooms, generate_series(1, 10) n");
            pg_sql(
                conn,
                "insert into chat_messages (seq, body_hash, created_at, id, room_id, type, sender_id, "
                "client_message_id, content) select n, 0, now(), gen_random_uuid(), id, 'text', 'user1', n, "
                "'some text' from chat_rooms, generate_series(1, 100) n");
            pg_sql(conn, "analyze");
        }
    }
}

/* What a batch writes to rooms stays on its page and touches no index. */
static void test_room_updates_are_hot(void **state)
{
    (void)state;
    char id[16];
    for (int i = 0; i < 200; i++) {
        snprintf(id, sizeof(id), "%d", i);
        put(0, &room_a, "ann", id, "again");
        store_now(1);
    }
    store_destroy(&store);
    store = store_create(&config);
    pg_sql(conn, "select pg_stat_force_next_flush()");
    for (int i = 0;
         i < 100 && strcmp(pg_sql(conn, "select n_tup_upd >= 200 from pg_stat_user_tables where relname = "
                                        "'chat_rooms'"),
                           "t") != 0;
         i++) {
        pg_sql(conn, "select pg_sleep(0.05)"); /* the statistics come late */
    }
    assert_string_equal(pg_sql(conn, "select n_tup_hot_upd * 100 >= n_tup_upd * 95 from pg_stat_user_tables "
                                     "where relname = 'chat_rooms'"),
                        "t");
}

static int start(void **state)
{
    (void)state;
    return pg_start("");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_numbers_in_the_order_of_the_batch),
                                       TEST(test_every_value_arrives),
                                       TEST(test_no_content_is_null),
                                       TEST(test_each_gets_its_own_verdict),
                                       TEST(test_a_refusal_costs_its_neighbours_nothing),
                                       TEST(test_the_same_item_again_is_stored_once),
                                       TEST(test_bad_data_is_poison),
                                       TEST(test_large_batches),
                                       TEST(test_a_locked_room_is_busy),
                                       TEST(test_a_removal_before_the_lock_counts),
                                       TEST(test_a_hung_server_stores_nothing),
                                       TEST(test_a_hung_commit_is_uncertain),
                                       TEST(test_a_broken_connection_heals),
                                       TEST(test_no_database_is_unavailable),
                                       TEST(test_a_batch_behind_a_commit),
                                       TEST(test_nothing_is_stored_behind_a_failed_commit),
                                       TEST(test_to_send_is_to_have_read),
                                       TEST(test_a_database_gone_back_begins_an_epoch),
                                       TEST(test_plans_stay_on_indexes),
                                       TEST(test_room_updates_are_hot)};
    return cmocka_run_group_tests(tests, start, NULL);
}
