/* store_attendance against a real PostgreSQL: rows made and changed, everybody offline, no database. */
#include "plugin/store_attendance.h"

#include "core/clock.h"
#include "plugin/store.h"
#include "tests/unit/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DEADLINE_NS INT64_C(5000000000)
#define SINCE_MS    INT64_C(1767225600123)

static char url[160];
static struct config config;
static PGconn *conn; /* the test's own, beside the store's */
static struct store *store;

static int set_up(void **state)
{
    (void)state;
    store = store_create(&config);
    pg_sql(conn, "truncate chat_presence");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_destroy(&store);
    return 0;
}

static void write_all(const struct store_attendee *attendees, size_t count)
{
    struct error e = {0};
    if (store_attendance(store, attendees, count, clock_mono_ns() + DEADLINE_NS, &e) != 0)
        fail_msg("%s: %s", e.word, e.text);
}

static void assert_row(const char *user, const char *row)
{
    assert_string_equal(pg_sql(conn,
                               "select online || ' ' || (extract(epoch from last_seen_at) * 1000)::bigint "
                               "from chat_presence where user_id = '%s'",
                               user),
                        row);
}

static void makes_and_changes_rows(void **state)
{
    (void)state;
    const struct store_attendee first[] = {{"ann", true, SINCE_MS}, {"bob", false, SINCE_MS + 1}};
    write_all(first, 2);
    assert_row("ann", "true 1767225600123");
    assert_row("bob", "false 1767225600124");
    const struct store_attendee then[] = {{"ann", false, SINCE_MS + 5000}, {"cid", true, SINCE_MS}};
    write_all(then, 2);
    write_all(then, 2); /* to try again does no harm */
    assert_row("ann", "false 1767225605123");
    assert_row("bob", "false 1767225600124");
    assert_row("cid", "true 1767225600123");
    assert_string_equal(pg_sql(conn, "select count(*) from chat_presence"), "3");
}

static void everybody_offline(void **state)
{
    (void)state;
    const struct store_attendee all[] = {{"ann", true, SINCE_MS}, {"bob", false, SINCE_MS}};
    struct error e = {0};
    write_all(all, 2);
    assert_int_equal(store_nobody(store, clock_mono_ns() + DEADLINE_NS, &e), 0);
    assert_string_equal(pg_sql(conn, "select count(*) from chat_presence where online"), "0");
    assert_row("bob", "false 1767225600123"); /* who was offline already keeps the time */
    assert_string_equal(
        pg_sql(conn, "select now() - last_seen_at < '1 minute' from chat_presence where user_id = 'ann'"),
        "t");
}

static void without_a_database_nothing_is_certain_but_that(void **state)
{
    (void)state;
    struct config away = config;
    char nowhere[] = "host=/nowhere dbname=none";
    away.database_url = nowhere;
    struct store *other = store_create(&away);
    struct error e = {0};
    const struct store_attendee ann = {"ann", true, SINCE_MS};
    assert_int_equal(store_attendance(other, &ann, 1, clock_mono_ns() + DEADLINE_NS, &e), -1);
    assert_int_equal(e.code, ERROR_UNAVAILABLE);
    assert_int_equal(store_nobody(other, clock_mono_ns() + DEADLINE_NS, &e), -1);
    assert_int_equal(e.code, ERROR_UNAVAILABLE);
    store_destroy(&other);
    assert_string_equal(pg_sql(conn, "select count(*) from chat_presence"), "0");
}

int main(void)
{
    if (pg_start("") != 0)
        return 1;
    conn = pg_database("attendance");
    pg_url("attendance", url);
    config.database_url = url;
    config.lock_timeout_ms = 1000;
    config.database_timeout_ms = 5000;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_and_changes_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(everybody_offline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_database_nothing_is_certain_but_that, set_up, tear_down)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    PQfinish(conn);
    return failed;
}
