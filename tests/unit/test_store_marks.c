/* store_marks against a real PostgreSQL: only forward, never past the end, what strangers and unknown
 * messages get, the history, and plans that stay on their indexes. */
#include "plugin/store_marks.h"

#include "core/clock.h"
#include "plugin/store.h"
#include "plugin/store_sql.h"
#include "tests/unit/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DEADLINE_NS INT64_C(5000000000)

static char url[160];
static struct config config;
static PGconn *conn; /* the test's own, beside the store's */
static struct store *store;
static struct uuid room;
static char room_text[UUID_TEXT_SIZE];

static void send_as(const char *user, const char *client_id)
{
    struct draft draft = {.type = "text", .content = "x", .content_size = 1, .body_hash = 1};
    struct store_item item = {.room = room, .user = user, .draft = &draft, .created_at_ms = clock_wall_ms()};
    snprintf(draft.client_message_id, sizeof(draft.client_message_id), "%s", client_id);
    uuid_make(&item.id, item.created_at_ms);
    assert_int_equal(store_batch(store, &item, 1, clock_mono_ns() + DEADLINE_NS, NULL), 0);
    assert_int_equal(item.outcome, STORE_STORED);
}

static int set_up(void **state)
{
    (void)state;
    char id[8];
    store = store_create(&config);
    uuid_make(&room, clock_wall_ms());
    uuid_format(&room, room_text);
    pg_sql(conn, "select parlor_room_create('%s', 'ann', 'group', 'g', '{bob,cid}', null, null, 5000)",
           room_text);
    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof(id), "m%d", i);
        send_as("ann", id);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_destroy(&store);
    return 0;
}

static void mark_now(struct store_mark *marks, size_t count)
{
    struct error e = {0};
    if (store_marks(store, marks, count, clock_wall_ms(), clock_mono_ns() + DEADLINE_NS, &e) != 0) {
        fail_msg("%s: %s", e.word, e.text);
    }
}

static struct store_mark mark_of(const char *user, int64_t read_seq, int64_t delivered_seq)
{
    return (struct store_mark){
        .room = room, .user = user, .read = {.seq = read_seq}, .delivered = {.seq = delivered_seq}};
}

static void assert_marked(const char *user, int64_t read_to, int64_t delivered_to, bool moved,
                          int64_t read_seq, int64_t delivered_seq)
{
    struct store_mark mark = mark_of(user, read_to, delivered_to);
    mark_now(&mark, 1);
    assert_true(mark.member);
    assert_int_equal(mark.moved, moved);
    assert_int_equal(mark.read_seq, read_seq);
    assert_int_equal(mark.delivered_seq, delivered_seq);
}

static void only_forward_and_not_past_the_end(void **state)
{
    (void)state;
    assert_marked("bob", 4, 0, true, 4, 4);
    assert_marked("bob", 3, 0, false, 4, 4);
    assert_marked("bob", 0, 2, false, 4, 4);
    assert_marked("bob", 0, 7, true, 4, 7);
    assert_marked("bob", 5, 6, true, 5, 7);
    assert_marked("bob", INT64_C(9007199254740991), 0, true, 10, 10);
    assert_marked("bob", INT64_C(9007199254740991), 0, false, 10, 10);
    assert_string_equal(pg_sql(conn,
                               "select string_agg(seq::text, ' ' order by seq) from message_read_receipts "
                               "where room_id = '%s' and user_id = 'bob'",
                               room_text),
                        "4 5 10");
}

static void own_messages_count_as_read(void **state)
{
    (void)state;
    assert_marked("ann", 3, 0, false, 10, 10); /* what ann sent was not written yet */
    send_as("bob", "from-bob");
    assert_marked("bob", 2, 0, false, 11, 11);
}

static void by_message(void **state)
{
    (void)state;
    struct store_mark mark = mark_of("bob", 0, 0);
    mark.read.has_message = true;
    uuid_parse(pg_sql(conn, "select id from chat_messages where room_id = '%s' and seq = 6", room_text),
               UUID_TEXT_SIZE - 1, &mark.read.message);
    mark_now(&mark, 1);
    assert_false(mark.read.missing);
    assert_true(mark.moved);
    assert_int_equal(mark.read_seq, 6);
    uuid_make(&mark.read.message, clock_wall_ms());
    mark_now(&mark, 1);
    assert_true(mark.read.missing);
    assert_false(mark.moved);
    assert_int_equal(mark.read_seq, 6);
}

static void a_message_before_ones_time_is_none(void **state)
{
    (void)state;
    struct store_mark mark = mark_of("bob", 0, 0);
    mark.delivered.has_message = true;
    pg_sql(conn, "update chat_participants set history_seq = 6 where room_id = '%s' and user_id = 'bob'",
           room_text);
    uuid_parse(pg_sql(conn, "select id from chat_messages where room_id = '%s' and seq = 6", room_text),
               UUID_TEXT_SIZE - 1, &mark.delivered.message);
    mark_now(&mark, 1);
    assert_true(mark.delivered.missing);
    assert_false(mark.moved);
}

/* One who speaks has read, at the time of the message; no row says so. */
static void when_it_was_read(void **state)
{
    (void)state;
    static const char by_mark[] =
        "select parlor_read_at('%s', 'bob', %d) = (select min(at) from "
        "message_read_receipts where room_id = '%s' and user_id = 'bob' and seq >= %d)",
                      by_message[] =
                          "select parlor_read_at('%s', 'bob', %d) = (select created_at from chat_messages "
                          "where room_id = '%s' and sender_id = 'bob' and seq >= %d)";
    struct store_mark mark = mark_of("bob", 4, 0);
    mark_now(&mark, 1);
    send_as("bob", "b"); /* seq 11 */
    mark = mark_of("bob", 11, 0);
    mark_now(&mark, 1);
    assert_false(mark.moved); /* it was known by the message */
    send_as("ann", "late");
    for (int seq = 1; seq <= 4; seq++)
        assert_string_equal(pg_sql(conn, by_mark, room_text, seq, room_text, seq), "t");
    for (int seq = 5; seq <= 11; seq++)
        assert_string_equal(pg_sql(conn, by_message, room_text, seq, room_text, seq), "t");
    assert_string_equal(pg_sql(conn, "select parlor_read_at('%s', 'bob', 12) is null", room_text), "t");
    assert_string_equal(pg_sql(conn, "select parlor_read_at('%s', 'cid', 1) is null", room_text), "t");
    assert_string_equal(pg_sql(conn, "select parlor_read_at('%s', 'ann', 12) is not null", room_text), "t");
    assert_string_equal(
        pg_sql(conn, "select count(*) from message_read_receipts where room_id = '%s'", room_text), "1");
}

static void strangers_among_many(void **state)
{
    (void)state;
    struct store_mark marks[] = {mark_of("ann", 1, 0), mark_of("bob", 9, 0), mark_of("cid", 0, 8),
                                 mark_of("eve", 5, 0)};
    mark_now(marks, 4);
    assert_false(marks[3].member);
    assert_true(marks[0].member && marks[1].member && marks[2].member);
    assert_int_equal(marks[1].read_seq, 9);
    assert_int_equal(marks[2].delivered_seq, 8);
    assert_int_equal(marks[2].read_seq, 0);
    assert_true(marks[2].moved);
    assert_string_equal(
        pg_sql(conn, "select count(*) from message_read_receipts where room_id = '%s'", room_text), "1");
}

/* The plan that would be used is printed as one line a row; a scan of a table would name it. */
static void plans_stay_on_indexes(void **state)
{
    (void)state;
    const char *statements[] = {SQL_MARKS_LOOK, SQL_MARKS_MOVE};
    for (size_t i = 0; i < 2; i++) {
        pg_sql(conn, SQL_SESSION, 1000LL, 60000LL, 60000LL);
        pg_sql(conn, "prepare planned as %s", statements[i]);
        pg_sql(conn, "create or replace function pg_temp.plan() returns text language plpgsql as $f$ "
                     "declare line text; plan text = ''; begin for line in execute "
                     "'explain execute planned(''{}'',''{}'',''{}'',''{}'',''{}'',''{}'',''{}'')' loop "
                     "plan := plan || line || chr(10); end loop; return plan; end $f$");
        const char *plan = pg_sql(conn, "select pg_temp.plan()");
        assert_null(strstr(plan, "Seq Scan"));
        assert_null(strstr(plan, "chat_messages_seq"));
        assert_non_null(strstr(plan, "chat_messages_pkey"));
        assert_null(strstr(plan, "chat_messages_client"));
        pg_sql(conn, "deallocate planned");
    }
    pg_sql(conn, "reset all");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(only_forward_and_not_past_the_end),
                                       TEST(own_messages_count_as_read),
                                       TEST(by_message),
                                       TEST(a_message_before_ones_time_is_none),
                                       TEST(when_it_was_read),
                                       TEST(strangers_among_many),
                                       TEST(plans_stay_on_indexes)};
    if (pg_start("") != 0) {
        return 1;
    }
    conn = pg_database("marks");
    pg_url("marks", url);
    config = (struct config){.database_url = url, .lock_timeout_ms = 1000, .database_timeout_ms = 5000};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    PQfinish(conn);
    return failed;
}
