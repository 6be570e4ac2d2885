/* Connecting, checking and waiting, against a real PostgreSQL. */
#include "core/clock.h"
#include "core/db.h"
#include "tests/unit/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_no_password_in_errors(void **state)
{
    (void)state;
    static const char *const urls[] = {"postgres://me:topsecret@localhost:port/db",
                                       "host=/nowhere password=topsecret", "password='topsecret",
                                       "postgres://me:topsecret@127.0.0.1:1/db"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct error e = {0};
        assert_null(db_connect(urls[i], "test", 2000, &e));
        assert_int_equal(e.code, ERROR_UNAVAILABLE);
        assert_string_equal(e.word, "database_unavailable");
        assert_null(strstr(e.text, "topsecret"));
    }
}

static void test_check_accepts_ours(void **state)
{
    (void)state;
    struct error e = {0};
    PGconn *conn = pg_database("ours");
    assert_int_equal(db_check(conn, DB_CHECK_MS, &e), 0);
    PQfinish(conn);
}

static void assert_refused(PGconn *conn, const char *word)
{
    struct error e = {0};
    assert_int_equal(db_check(conn, DB_CHECK_MS, &e), -1);
    assert_int_equal(e.code, ERROR_INVALID);
    assert_string_equal(e.word, word);
}

static void test_check_refuses_other_schemas(void **state)
{
    (void)state;
    PGconn *conn = pg_connect("postgres");
    assert_refused(conn, "schema_too_old");
    PQfinish(conn);
    conn = pg_database("newer");
    pg_sql(conn, "insert into schema_migrations (version, name, checksum) values (9999, 'future', '')");
    assert_refused(conn, "schema_too_new");
    pg_sql(conn, "delete from schema_migrations");
    assert_refused(conn, "schema_too_old");
    PQfinish(conn);
}

static void test_check_refuses_what_loses(void **state)
{
    (void)state;
    PGconn *conn = pg_database("careless");
    pg_sql(conn, "set synchronous_commit = off");
    assert_refused(conn, "unsafe_database");
    pg_sql(conn, "set synchronous_commit = on");
    pg_sql(conn, "alter system set fsync = off");
    pg_sql(conn, "select pg_reload_conf()");
    for (int i = 0; i < 100 && strcmp(pg_sql(conn, "show fsync"), "off") != 0; i++) {
        pg_sql(conn, "select pg_sleep(0.02)"); /* the server reads its files in its own time */
    }
    assert_refused(conn, "unsafe_database");
    pg_sql(conn, "alter system reset fsync");
    pg_sql(conn, "select pg_reload_conf()");
    PQfinish(conn);
}

static void test_check_refuses_other_encodings(void **state)
{
    (void)state;
    PGconn *conn = pg_connect("postgres");
    pg_sql(conn, "create database latin encoding latin1 locale 'C' template template0");
    PQfinish(conn);
    conn = pg_connect("latin");
    assert_refused(conn, "unsafe_database");
    PQfinish(conn);
}

static void test_result_keeps_its_deadline(void **state)
{
    (void)state;
    PGconn *conn = pg_connect("postgres");
    assert_int_equal(PQsendQuery(conn, "select pg_sleep(30)"), 1);
    int64_t start_ns = clock_mono_ns();
    bool timed_out;
    assert_null(db_result(conn, start_ns + 100 * 1000000, &timed_out));
    assert_true(timed_out);
    assert_true(clock_mono_ns() - start_ns < INT64_C(5000000000));
    PQfinish(conn);
}

static void test_exec_tells_why(void **state)
{
    (void)state;
    struct error e = {0};
    PGconn *conn = pg_connect("postgres");
    const char *const values[] = {"41"};
    PGresult *r = db_exec(conn, "select $1::int + 1", 1, values, 5000, &e);
    assert_non_null(r);
    assert_string_equal(PQgetvalue(r, 0, 0), "42");
    PQclear(r);
    assert_null(db_exec(conn, "select * from nowhere", 0, NULL, 5000, &e));
    assert_int_equal(e.code, ERROR_INTERNAL);
    assert_null(db_exec(conn, "set statement_timeout = 50; select pg_sleep(30)", 0, NULL, 5000, &e));
    assert_int_equal(e.code, ERROR_UNAVAILABLE);
    assert_string_equal(e.word, "busy");
    assert_null(db_exec(conn, "select pg_terminate_backend(pg_backend_pid())", 0, NULL, 5000, &e));
    assert_int_equal(e.code, ERROR_UNAVAILABLE);
    assert_string_equal(e.word, "database_unavailable");
    PQfinish(conn);
}

static int start(void **state)
{
    (void)state;
    return pg_start("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_password_in_errors),
                                       cmocka_unit_test(test_check_accepts_ours),
                                       cmocka_unit_test(test_check_refuses_other_schemas),
                                       cmocka_unit_test(test_check_refuses_what_loses),
                                       cmocka_unit_test(test_check_refuses_other_encodings),
                                       cmocka_unit_test(test_result_keeps_its_deadline),
                                       cmocka_unit_test(test_exec_tells_why)};
    return cmocka_run_group_tests(tests, start, NULL);
}
