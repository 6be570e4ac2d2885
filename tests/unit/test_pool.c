/* The pool against a real PostgreSQL: order, preparing, refusals that cost only themselves, broken
 * connections, a database that goes and comes, one that hangs. */
#include "tests/unit/pg.h"

#include "core/buf.h"
#include "core/clock.h"
#include "service/loop.h"
#include "service/pool.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#define ASKED_MAX   400
#define WAIT_NS_MAX (INT64_C(20) * 1000000000)

struct world;

struct asked {
    struct world *world;
    bool done;
    unsigned order; /* of its answer among all */
    bool ok;
    struct error error;
    char state[6], text[64];
    int rows;
};

struct world {
    struct loop *loop;
    struct config config;
    struct pool *pool;
    char url[160];
    struct asked asked[ASKED_MAX];
    unsigned asked_count, answered;
};

static const char sql_echo[] = "select $1::text || '!', null";
static const char sql_slow[] = "select pg_sleep($1::float8)::text";
static const char sql_broken[] = "select nothing from nowhere";
static const char sql_divide[] = "select (10 / $1::int)::text";
static const char sql_insert[] = "insert into pool_test values ($1::int)";
static const char sql_insert_slow[] = "insert into pool_test select 1 from pg_sleep($1::float8)";
static const char sql_count[] = "select count(*)::text from pool_test";
static const char sql_deferred[] = "insert into pool_deferred values ($1::int)";
static const char sql_end[] = "select pg_terminate_backend(pg_backend_pid())::text";

static void on_done(void *context, const struct db_answer *answer)
{
    struct asked *a = context;
    assert_false(a->done);
    a->done = true;
    a->order = a->world->answered++;
    a->ok = answer->ok;
    a->error = answer->error;
    memcpy(a->state, answer->sqlstate, sizeof a->state);
    a->rows = answer->ok ? answer->rows : -1;
    if (answer->ok && answer->rows > 0) {
        assert_int_equal(answer->cell_size(answer, 0, 0), strlen(answer->cell(answer, 0, 0)));
        snprintf(a->text, sizeof a->text, "%s", answer->cell(answer, 0, 0));
        if (answer->columns > 1)
            assert_null(answer->cell(answer, 0, 1));
    }
}

static struct asked *ask(struct world *w, const char *sql, const char *value)
{
    struct asked *a = &w->asked[w->asked_count++];
    a->world = w;
    char copy[32]; /* gone when query returns */
    snprintf(copy, sizeof copy, "%s", value ? value : "");
    const char *values[] = {copy};
    struct db_port *port = pool_port(w->pool);
    port->query(port, sql, value ? 1 : 0, values, on_done, a);
    assert_false(a->done);
    return a;
}

static void turn_until(struct world *w, unsigned answered)
{
    int64_t from_ns = clock_mono_ns();
    while (w->answered < answered && clock_mono_ns() - from_ns < WAIT_NS_MAX)
        loop_turn(w->loop, true);
    assert_int_equal(w->answered, answered);
}

static void settle(struct world *w)
{
    turn_until(w, w->asked_count);
}

static int set_up_size(void **state, int64_t size)
{
    struct world *w = mem_zalloc(1, sizeof *w);
    struct error e;
    pg_url("pool", w->url);
    w->config.database_url = w->url;
    w->config.pool_size = size;
    assert_int_equal(loop_create(&w->loop, &e), 0);
    assert_int_equal(pool_create(w->loop, &w->config, &w->pool, &e), 0);
    *state = w;
    return 0;
}

static int set_up(void **state)
{
    return set_up_size(state, 3);
}

static int set_up_one(void **state)
{
    return set_up_size(state, 1);
}

static int tear_down(void **state)
{
    struct world *w = *state;
    pool_destroy(&w->pool);
    assert_int_equal(w->answered, w->asked_count);
    loop_destroy(&w->loop);
    free(w);
    return 0;
}

static void queries_are_answered(void **state)
{
    struct world *w = *state;
    char value[16];
    for (int i = 0; i < 300; i++) {
        snprintf(value, sizeof value, "%d", i);
        ask(w, sql_echo, value);
    }
    assert_int_equal(pool_unanswered(w->pool), 300);
    settle(w);
    for (int i = 0; i < 300; i++) {
        snprintf(value, sizeof value, "%d!", i);
        assert_true(w->asked[i].ok);
        assert_string_equal(w->asked[i].text, value);
    }
    for (int i = 0; pool_connected(w->pool) < 3 && i < 1000; i++)
        loop_turn(w->loop, true);
    assert_int_equal(pool_connected(w->pool), 3);
    ask(w, sql_count, NULL);
    settle(w);
    assert_int_equal(pool_unanswered(w->pool), 0);
}

static void one_connection_answers_in_order(void **state)
{
    struct world *w = *state;
    ask(w, sql_slow, "0.05");
    for (int i = 0; i < 100; i++)
        ask(w, sql_echo, "x");
    settle(w);
    for (unsigned i = 0; i <= 100; i++)
        assert_int_equal(w->asked[i].order, i);
}

static void the_least_loaded_connection_is_taken(void **state)
{
    struct world *w = *state;
    while (pool_connected(w->pool) < 3)
        loop_turn(w->loop, true);
    struct asked *slow = ask(w, sql_slow, "0.3");
    for (int i = 0; i < 10; i++)
        ask(w, sql_echo, "x");
    settle(w);
    assert_true(slow->order >= 6); /* at most a third or so was put behind it */
}

static void a_refused_query_costs_only_itself(void **state)
{
    struct world *w = *state;
    struct asked *a = ask(w, sql_divide, "2");
    struct asked *zero = ask(w, sql_divide, "0");
    struct asked *b = ask(w, sql_divide, "5");
    struct asked *broken = ask(w, sql_broken, NULL);
    struct asked *again = ask(w, sql_broken, NULL);
    struct asked *c = ask(w, sql_divide, "1");
    struct asked *deferred = ask(w, sql_deferred, "7");
    struct asked *d = ask(w, sql_echo, "after");
    settle(w);
    assert_string_equal(a->text, "5");
    assert_false(zero->ok);
    assert_string_equal(zero->state, "22012");
    assert_int_equal(zero->error.code, ERROR_INTERNAL);
    assert_string_equal(b->text, "2");
    assert_string_equal(broken->state, "42P01");
    assert_false(again->ok);
    assert_string_equal(c->text, "10");
    /* Its rows were good; its commit was not. */
    assert_false(deferred->ok);
    assert_string_equal(deferred->state, "23503");
    assert_string_equal(d->text, "after!");
    assert_int_equal(pool_connected(w->pool), 1);
}

/* Its result type changes under a prepared statement, as when a migration runs. */
static void a_stale_plan_is_cured(void **state)
{
    static const char star[] = "select * from pool_star";
    struct world *w = *state;
    ask(w, "create table pool_star (a text); insert into pool_star values ('a')", NULL);
    ask(w, "create table pool_star (a text)", NULL);
    ask(w, "insert into pool_star values ('one')", NULL);
    assert_true((ask(w, star, NULL), settle(w), w->asked[3].ok));
    ask(w, "alter table pool_star alter a type varchar(10)", NULL);
    struct asked *stale = ask(w, star, NULL);
    settle(w);
    assert_string_equal(stale->state, "0A000");
    struct asked *again = ask(w, star, NULL);
    settle(w);
    assert_string_equal(again->text, "one");
}

static void a_broken_connection_is_replaced(void **state)
{
    struct world *w = *state;
    struct asked *end = ask(w, sql_end, NULL);
    settle(w);
    assert_false(end->ok);
    assert_int_equal(end->error.code, ERROR_UNAVAILABLE);
    struct asked *after = ask(w, sql_echo, "a");
    settle(w);
    if (!after->ok) { /* it went out before the end was seen */
        after = ask(w, sql_echo, "a");
        settle(w);
    }
    assert_true(after->ok);
}

static void a_database_that_goes_and_comes(void **state)
{
    struct world *w = *state;
    while (pool_connected(w->pool) < 1)
        loop_turn(w->loop, true);
    struct asked *write = ask(w, sql_insert_slow, "30");
    struct asked *read = ask(w, sql_echo, "x");
    for (int i = 0; i < 20; i++) { /* let them reach the server */
        loop_turn(w->loop, false);
        usleep(1000);
    }
    assert_int_equal(pg_command("pg_ctl -D %s/data -m immediate -w stop >/dev/null 2>&1", pg_folder), 0);
    settle(w);
    /* Immediate shutdown tells clients so by 57P02 or just goes. */
    assert_false(write->ok);
    assert_true(write->error.code == ERROR_UNCERTAIN || write->error.code == ERROR_UNAVAILABLE);
    assert_int_equal(read->error.code, ERROR_UNAVAILABLE);
    for (int i = 0; !pool_error(w->pool) && i < 1000; i++)
        loop_turn(w->loop, true);
    struct asked *away = ask(w, sql_echo, "x");
    int64_t from_ns = clock_mono_ns();
    settle(w);
    assert_false(away->ok);
    assert_string_equal(away->error.word, "database_unavailable");
    assert_true(clock_mono_ns() - from_ns < INT64_C(1000000000));
    assert_int_equal(pg_command("pg_ctl -D %s/data -w -l %s/log -o \"-c listen_addresses= -c "
                                "unix_socket_directories=%s\" start >/dev/null",
                                pg_folder, pg_folder, pg_folder),
                     0);
    from_ns = clock_mono_ns();
    while (pool_connected(w->pool) < 1 && clock_mono_ns() - from_ns < WAIT_NS_MAX)
        loop_turn(w->loop, true);
    assert_null(pool_error(w->pool));
    struct asked *back = ask(w, sql_echo, "back");
    settle(w);
    assert_string_equal(back->text, "back!");
}

static void a_hung_database_is_given_up(void **state)
{
    struct world *w = *state;
    while (pool_connected(w->pool) < 1)
        loop_turn(w->loop, true);
    int64_t from_ns = clock_mono_ns();
    struct asked *write = ask(w, sql_insert_slow, "60");
    struct asked *behind = ask(w, sql_echo, "x");
    settle(w);
    int64_t took_ms = (clock_mono_ns() - from_ns) / 1000000;
    assert_int_equal(write->error.code, ERROR_UNCERTAIN);
    assert_string_equal(write->error.word, "uncertain");
    assert_int_equal(behind->error.code, ERROR_UNAVAILABLE);
    assert_true(took_ms >= POOL_DEADLINE_MS && took_ms < POOL_DEADLINE_MS + 2000);
    struct asked *after = ask(w, sql_echo, "x");
    settle(w);
    assert_true(after->ok);
}

static void the_queue_has_a_bound(void **state)
{
    struct world *w = *state;
    static struct asked flood[POOL_WAITING_MAX + 1];
    struct db_port *port = pool_port(w->pool);
    memset(flood, 0, sizeof flood);
    for (unsigned i = 0; i <= POOL_WAITING_MAX; i++) { /* nothing is connected yet */
        flood[i].world = w;
        port->query(port, sql_count, 0, NULL, on_done, &flood[i]);
    }
    turn_until(w, POOL_WAITING_MAX + 1);
    w->asked_count = w->answered;
    assert_string_equal(flood[POOL_WAITING_MAX].error.word, "busy");
    assert_true(flood[0].ok);
    assert_true(flood[POOL_WAITING_MAX - 1].ok);
}

static void what_is_under_way_fails_when_the_pool_goes(void **state)
{
    struct world *w = *state;
    ask(w, sql_insert, "1"); /* tear_down counts its answer */
}

#define CASE(name, up) cmocka_unit_test_setup_teardown(name, up, tear_down)

int main(void)
{
    if (pg_start("") != 0)
        return 1;
    PGconn *conn = pg_database("pool");
    if (!conn)
        return 1;
    pg_sql(conn, "%s",
           "create table pool_test (n int); create table pool_parent (n int primary key);"
           "create table pool_deferred (n int references pool_parent deferrable initially "
           "deferred)");
    PQfinish(conn);
    const struct CMUnitTest tests[] = {
        CASE(queries_are_answered, set_up),
        CASE(one_connection_answers_in_order, set_up_one),
        CASE(the_least_loaded_connection_is_taken, set_up),
        CASE(a_refused_query_costs_only_itself, set_up_one),
        CASE(a_stale_plan_is_cured, set_up_one),
        CASE(a_broken_connection_is_replaced, set_up_one),
        CASE(a_database_that_goes_and_comes, set_up_one),
        CASE(a_hung_database_is_given_up, set_up_one),
        CASE(the_queue_has_a_bound, set_up_one),
        CASE(what_is_under_way_fails_when_the_pool_goes, set_up_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
