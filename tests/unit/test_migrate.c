/* Migrations: applied once and in order, never edited, one run at a time, whole or not at all. */
#include "core/migrate.h"
#include "tests/unit/pg.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static PGconn *empty_database(void)
{
    PGconn *conn = pg_connect("postgres");
    pg_sql(conn, "drop database if exists empty with (force)");
    pg_sql(conn, "create database empty");
    PQfinish(conn);
    return pg_connect("empty");
}

static const struct migration first_two[] = {
    {1, "one", "create table one (a int);\ninsert into one values (1);"},
    {2, "two", "create table two (a int)"}};

static void test_applies_once_and_in_order(void **state)
{
    (void)state;
    PGconn *conn = empty_database();
    struct buf report = {0};
    struct error e = {0};
    assert_int_equal(migrate_run_list(conn, first_two, 1, false, &report, &e), 1);
    assert_int_equal(migrate_run_list(conn, first_two, 2, false, &report, &e), 1);
    assert_int_equal(migrate_run_list(conn, first_two, 2, false, &report, &e), 0);
    assert_string_equal(report.data, "0001_one applied\n0002_two applied\n");
    assert_string_equal(pg_sql(conn, "select count(*) from one"), "1");
    buf_finish(&report);
    PQfinish(conn);
}

static void test_dry_run_changes_nothing(void **state)
{
    (void)state;
    PGconn *conn = empty_database();
    struct buf report = {0};
    struct error e = {0};
    assert_int_equal(migrate_run_list(conn, first_two, 2, true, &report, &e), 2);
    assert_string_equal(report.data, "0001_one would be applied\n0002_two would be applied\n");
    assert_string_equal(pg_sql(conn, "select to_regclass('one') is null"), "t");
    buf_finish(&report);
    PQfinish(conn);
}

static void test_refuses_an_edited_one(void **state)
{
    (void)state;
    PGconn *conn = empty_database();
    struct buf report = {0};
    struct error e = {0};
    static const struct migration edited[] = {{1, "one", "create table one (b int)"},
                                              {2, "two", "create table two (a int)"}};
    assert_int_equal(migrate_run_list(conn, first_two, 1, false, &report, &e), 1);
    assert_int_equal(migrate_run_list(conn, edited, 2, false, &report, &e), -1);
    assert_int_equal(e.code, ERROR_INVALID);
    assert_string_equal(e.word, "migration_changed");
    assert_string_equal(pg_sql(conn, "select to_regclass('two') is null"), "t");
    buf_finish(&report);
    PQfinish(conn);
}

static void test_refuses_a_newer_schema(void **state)
{
    (void)state;
    PGconn *conn = empty_database();
    struct buf report = {0};
    struct error e = {0};
    assert_int_equal(migrate_run_list(conn, first_two, 2, false, &report, &e), 2);
    assert_int_equal(migrate_run_list(conn, first_two, 1, false, &report, &e), -1);
    assert_string_equal(e.word, "schema_too_new");
    buf_finish(&report);
    PQfinish(conn);
}

static void test_names_a_gap(void **state)
{
    (void)state;
    PGconn *conn = empty_database();
    struct buf report = {0};
    struct error e = {0};
    assert_int_equal(migrate_run_list(conn, first_two, 2, false, &report, &e), 2);
    pg_sql(conn, "delete from schema_migrations where version = 1");
    for (int dry_run = 0; dry_run < 2; dry_run++) {
        assert_int_equal(migrate_run_list(conn, first_two, 2, dry_run != 0, &report, &e), -1);
        assert_string_equal(e.word, "migration_missing");
        assert_non_null(strstr(e.text, "has 0002_two, but not 0001_one"));
    }
    buf_finish(&report);
    PQfinish(conn);
}

/* A role of its own, as an outside database has it. */
static void test_says_what_to_grant(void **state)
{
    (void)state;
    PGconn *conn = empty_database();
    struct buf report = {0};
    struct error e = {0};
    pg_sql(conn, "drop role if exists \"App\"");
    pg_sql(conn, "create role \"App\"");
    pg_sql(conn, "set role \"App\"");
    assert_int_equal(migrate_run_list(conn, first_two, 2, false, &report, &e), -1);
    assert_int_equal(e.code, ERROR_DENIED);
    assert_non_null(strstr(e.text, "permission denied for schema public"));
    assert_non_null(strstr(e.text, "`grant create on schema public to \"App\"`"));
    pg_sql(conn, "reset role");
    pg_sql(conn, "grant create on schema public to \"App\"");
    assert_int_equal(migrate_run_list(conn, first_two, 1, false, &report, &e), 1);
    pg_sql(conn, "set role \"App\"");
    assert_int_equal(migrate_run_list(conn, first_two, 2, false, &report, &e), -1);
    assert_int_equal(e.code, ERROR_DENIED);
    assert_non_null(strstr(e.text, "permission denied for table schema_migrations"));
    assert_non_null(strstr(e.text, "belong to the role "));
    assert_non_null(strstr(e.text, " to \"App\"`"));
    buf_finish(&report);
    PQfinish(conn);
}

static void test_a_failing_one_leaves_nothing(void **state)
{
    (void)state;
    PGconn *conn = empty_database();
    struct buf report = {0};
    struct error e = {0};
    static const struct migration list[] = {
        {1, "one", "create table one (a int)"},
        {2, "bad", "create table half (a int); insert into nowhere values (1)"}};
    assert_int_equal(migrate_run_list(conn, list, 2, false, &report, &e), -1);
    assert_string_equal(e.word, "migration_failed");
    assert_non_null(strstr(e.text, "0002_bad"));
    assert_non_null(strstr(e.text, "nowhere"));
    assert_string_equal(report.data, "0001_one applied\n");
    assert_string_equal(pg_sql(conn, "select to_regclass('half') is null and to_regclass('one') is not null"),
                        "t");
    assert_string_equal(pg_sql(conn, "select max(version) from schema_migrations"), "1");
    buf_finish(&report);
    PQfinish(conn);
}

static void *run_built_in(void *context)
{
    PGconn *conn = pg_connect("empty");
    struct buf report = {0};
    struct error e = {0};
    *(int *)context = migrate_run(conn, false, &report, &e);
    buf_finish(&report);
    PQfinish(conn);
    return NULL;
}

static void test_two_at_once(void **state)
{
    (void)state;
    PGconn *conn = empty_database();
    pthread_t threads[2];
    int applied[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run_built_in, &applied[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_true(applied[i] >= 0);
    }
    char sum[16];
    snprintf(sum, sizeof(sum), "%d", applied[0] + applied[1]);
    assert_string_equal(pg_sql(conn, "select count(*) from schema_migrations"), sum);
    PQfinish(conn);
}

static int start(void **state)
{
    (void)state;
    return pg_start("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_applies_once_and_in_order),
                                       cmocka_unit_test(test_dry_run_changes_nothing),
                                       cmocka_unit_test(test_refuses_an_edited_one),
                                       cmocka_unit_test(test_refuses_a_newer_schema),
                                       cmocka_unit_test(test_names_a_gap),
                                       cmocka_unit_test(test_says_what_to_grant),
                                       cmocka_unit_test(test_a_failing_one_leaves_nothing),
                                       cmocka_unit_test(test_two_at_once)};
    return cmocka_run_group_tests(tests, start, NULL);
}
