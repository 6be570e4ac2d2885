/* The statements behind edits, sync and search over tables that are not small: their plans stay on indexes,
 * for any values and for these. */
#include "core/queries.h"
#include "tests/unit/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROOM "01900000-0000-7000-8000-000000000007"

static PGconn *conn;

/* Three thousand rooms of twenty messages, one message in ten changed; and a room of 20,000. */
static int fill(void **state)
{
    (void)state;
    conn = pg_database("messages");
    pg_sql(conn,
           "insert into chat_rooms (id, type, created_by, active_at, created_at, updated_at, last_seq, rev) "
           "select ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'group', 'alice', now(), "
           "now(), now(), case n when 7 then 20000 else 20 end, 20 from generate_series(1, 3000) n");
    pg_sql(conn,
           "insert into chat_participants (room_id, user_id, role, joined_at) select id, 'u' || n / 5, "
           "'member', now() from chat_rooms, lateral (select right(id::text, 12)::bigint) v (n) union all "
           "select '" ROOM "', 'carol', 'member', now()");
    pg_sql(conn,
           "insert into chat_messages (seq, rev, body_hash, created_at, id, room_id, type, sender_id, "
           "client_message_id, content) select n, case when n %% 10 = 0 then n / 10 else 0 end, 0, now(), "
           "gen_random_uuid(), r.id, 'text', 'bob', 'c' || n, 'word' || n || ' all' from chat_rooms r, "
           "generate_series(1, r.last_seq) n");
    pg_sql(conn, "analyze");
    pg_sql(conn, "set jit = off");
    return 0;
}

static int finish(void **state)
{
    (void)state;
    PQfinish(conn);
    return 0;
}

/* Fails when the plan of `sql` with these arguments reads a table of the chat from end to end. */
static void assert_indexes(const char *sql, const char *arguments)
{
    struct buf text = {0};
    for (int generic = 0; generic < 2; generic++) {
        struct error e = {0};
        pg_sql(conn, "set plan_cache_mode = %s", generic ? "force_generic_plan" : "force_custom_plan");
        buf_clear(&text);
        buf_printf(&text, "prepare looked_at as %s", sql);
        PGresult *made = PQexec(conn, text.data);
        if (PQresultStatus(made) != PGRES_COMMAND_OK)
            fail_msg("%s", PQerrorMessage(conn));
        PQclear(made);
        buf_clear(&text);
        buf_printf(&text, "explain execute looked_at (%s)", arguments);
        PGresult *plan = db_exec(conn, text.data, 0, NULL, 60000, &e);
        if (plan == NULL)
            fail_msg("%s", e.text);
        for (int row = 0; row < PQntuples(plan); row++)
            if (strstr(PQgetvalue(plan, row, 0), "Seq Scan on chat_") != NULL)
                fail_msg("%s", PQgetvalue(plan, row, 0));
        PQclear(plan);
        pg_sql(conn, "deallocate looked_at");
    }
    buf_finish(&text);
}

static void test_sync(void **state)
{
    (void)state;
    assert_indexes(QUERY_SYNC_HEADS, "'carol', '{" ROOM "}', '{50}', '{3}', '{1}', '500'");
    assert_indexes(QUERY_SYNC_MESSAGES,
                   "'carol', '{" ROOM "}', '{3}', '{20}', '{17}', '{19000}', '{19000}', '{19400}'");
}

static void test_one_message(void **state)
{
    (void)state;
    assert_indexes(QUERY_MESSAGE_FACTS, "gen_random_uuid(), 'carol'");
}

/* How many messages a search finds with pages of 100. */
static long found(const char *user, const char *head, const char *tail)
{
    long count = 0;
    char below[32] = "9223372036854775807";
    for (int page = 0; page < 1000; page++) {
        pg_sql(conn, "drop table if exists hits");
        pg_sql(
            conn,
            "create temp table hits as select (s.hit).seq as seq, (s.hit).id as id from parlor_search('" ROOM
            "', '%s', '%s', '%s', %s, 100, 'mark') s",
            user, head, tail, below);
        count += strtol(pg_sql(conn, "select count(*) from hits where id is not null"), NULL, 10);
        const char *next =
            pg_sql(conn, "select coalesce((select seq from hits where id is null), case when "
                         "(select count(*) from hits) > 100 then (select min(seq) from hits) end)");
        if (next[0] == '\0')
            return count;
        snprintf(below, sizeof below, "%s", next);
    }
    fail_msg("the search goes on");
    return -1;
}

static void test_search(void **state)
{
    (void)state;
    for (int indexed = 0; indexed < 2; indexed++) {
        assert_int_equal(found("carol", "", "word19999"), 1);
        assert_int_equal(found("carol", "word77", "a"), 1);
        assert_int_equal(found("carol", "", "word1999"), 11);
        assert_int_equal(found("carol", "word1", "word2"), 0);
        assert_int_equal(found("mallory", "", "word"), 0);
        assert_string_equal(pg_sql(conn, "select parlor_search_feed('" ROOM "', 1000)"), "0");
    }
    assert_string_equal(pg_sql(conn, "select blocks from chat_search_rooms"), "625");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sync),
        cmocka_unit_test(test_one_message),
        cmocka_unit_test(test_search),
    };
    if (pg_start("-c fsync=off") != 0) {
        fprintf(stderr, "no PostgreSQL\n");
        return 1;
    }
    return cmocka_run_group_tests_name("messages_sql", tests, fill, finish);
}
