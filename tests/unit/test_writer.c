/* The writer with a store of the test's own: batches and their order, one beside another, data that the
 * database refuses, the beginning and the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/writer_world.h"

static void stores_and_answers(void **state)
{
    (void)state;
    submit(1, "a", "hello");
    expect(RESULT_STORED, 1, "", "\"clientMessageId\":\"a\",\"status\":\"stored\"");
    submit(1, "a", "hello");
    expect(RESULT_REPLAYED, 1, "", "\"status\":\"stored\"");
    assert_true(writer_database_up(writer));
}

static void what_waited_is_the_next_batch(void **state)
{
    (void)state;
    hold_a_batch();
    submit(1, "b", "x");
    submit(2, "c", "x");
    submit(1, "d", "x");
    db_set(false, ANSWER_OK);
    expect(RESULT_STORED, 1, "", "\"first\"");
    expect(RESULT_STORED, 2, "", "\"b\"");
    expect(RESULT_STORED, 3, "", "\"c\"");
    expect(RESULT_STORED, 4, "", "\"d\"");
    assert_int_equal(db.calls, 2);
}

static void the_same_id_twice_is_two_batches(void **state)
{
    (void)state;
    hold_a_batch();
    submit(1, "b", "x");
    submit(1, "b", "x");
    submit(2, "b", "x"); /* after a double the rest waits too, to stay in order */
    db_set(false, ANSWER_OK);
    expect(RESULT_STORED, 1, "", "\"first\"");
    expect(RESULT_STORED, 2, "", "\"b\"");
    expect(RESULT_REPLAYED, 2, "", "\"b\"");
    expect(RESULT_REPLAYED, 2, "", "\"b\"");
    assert_int_equal(db.calls, 3);
}

static void bad_json_costs_only_itself(void **state)
{
    (void)state;
    hold_a_batch();
    struct item *bad = item_make("alice", 5, "", 0, "{\"content\":\"\\u0000\"}", 20);
    bad->arrived_ns = clock_mono_ns();
    hand_over(bad);
    submit(1, "b", "x");
    db_set(false, ANSWER_OK);
    expect(RESULT_REJECTED, 0, "invalid_json", "\"clientMessageId\":null");
    expect(RESULT_STORED, 1, "", "\"first\"");
    expect(RESULT_STORED, 2, "", "\"b\"");
}

static void poison_is_found_by_halving(void **state)
{
    (void)state;
    snprintf(db.poison, sizeof db.poison, "poison");
    hold_a_batch();
    submit(1, "b", "x");
    submit(1, "c", "x");
    submit(1, "d", "poison");
    submit(1, "e", "x");
    db_set(false, ANSWER_OK);
    expect(RESULT_STORED, 1, "", "\"first\"");
    expect(RESULT_STORED, 2, "", "\"b\"");
    expect(RESULT_STORED, 3, "", "\"c\"");
    expect(RESULT_REJECTED, 0, "invalid_message", "\"d\"");
    expect(RESULT_STORED, 4, "", "\"e\"");
}

/* A whole batch waits: it is not left to gather. */
static void submit_batch(const char *const ids[])
{
    for (size_t i = 0; i < BATCH_MAX; i++)
        assert_true(writer_submit(writer, make(1, ids[i], "x")));
    writer_wake(writer);
}

static const char *const b[BATCH_MAX] = {"b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8"};

static void expect_batch(enum result_kind kind, int64_t seq, const char *word)
{
    for (size_t i = 0; i<BATCH_MAX; i++, seq += seq> 0)
        expect(kind, seq, word, b[i]);
}

/* "a" commits, behind it the batch "b" is begun. */
static void begin_behind_a_commit(void)
{
    hold_commits(true);
    db_set(true, db.answer);
    submit(1, "a", "x");
    wait_for_calls(1);
    submit_batch(b); /* before a's commit begins: it is not waited for by itself */
    db_set(false, db.answer);
    wait_for(&db.commits, 1);
    wait_for_calls(2);
}

static void the_next_batch_is_begun_while_one_commits(void **state)
{
    (void)state;
    begin_behind_a_commit();
    assert_true(queue_empty(results)); /* nobody is answered before the commit */
    hold_commits(false);
    expect(RESULT_STORED, 1, "", "\"a\"");
    expect_batch(RESULT_STORED, 2, "");
    assert_int_equal(db.calls, 2);
}

/* Fewer gather until the commit is complete, those that came after it began as well. */
static void the_next_batch_gathers_while_one_commits(void **state)
{
    (void)state;
    hold_commits(true);
    submit(1, "a", "x");
    wait_for(&db.commits, 1);
    submit(1, "b", "x");
    submit(1, "c", "x");
    assert_int_equal(db.calls, 1);
    hold_commits(false);
    expect(RESULT_STORED, 1, "", "\"a\"");
    expect(RESULT_STORED, 2, "", "\"b\"");
    expect(RESULT_STORED, 3, "", "\"c\"");
    assert_int_equal(db.calls, 2);
}

/* It is begun before those of the one that was committed are answered, and costs them nothing when that goes
 * wrong. */
static void a_batch_that_cannot_begin_costs_the_committed_nothing(void **state)
{
    (void)state;
    hold_commits(true);
    submit(1, "a", "x");
    wait_for(&db.commits, 1);
    submit(1, "b", "x");
    db_set(false, ANSWER_AWAY);
    hold_commits(false);
    expect(RESULT_STORED, 1, "", "\"a\"");
    expect(RESULT_REJECTED, 0, "unavailable", "\"b\"");
}

/* What was begun behind it is done again, behind it: in order, once. */
static void a_commit_that_fails_takes_nothing_with_it(void **state)
{
    (void)state;
    db_set(false, ANSWER_UNCERTAIN_BUT_STORED);
    begin_behind_a_commit();
    submit(1, "c", "x");
    db_set(false, ANSWER_OK);
    hold_commits(false);
    expect(RESULT_REPLAYED, 1, "", "\"a\"");
    expect_batch(RESULT_STORED, 2, "");
    expect(RESULT_STORED, 10, "", "\"c\"");
    assert_int_equal(db.last_seq, 10);
}

static void behind_a_commit_of_unknown_fate_is_told_in_time(void **state)
{
    (void)state;
    db_set(false, ANSWER_UNCERTAIN_BUT_STORED);
    begin_behind_a_commit();
    db_set(false, ANSWER_AWAY);
    hold_commits(false);
    expect_batch(RESULT_REJECTED, 0, "unavailable");
    db_set(false, ANSWER_OK);
    expect(RESULT_REPLAYED, 1, "", "\"a\"");
    assert_int_equal(db.last_seq, 1);
}

/* Poison behind a commit costs neither the batch before it nor its neighbours. */
static void poison_behind_a_commit(void **state)
{
    (void)state;
    snprintf(db.poison, sizeof db.poison, "poison");
    hold_commits(true);
    db_set(true, ANSWER_OK);
    submit(1, "a", "x");
    wait_for_calls(1);
    for (size_t i = 0; i < BATCH_MAX; i++)
        assert_true(writer_submit(writer, make(1, b[i], i == 0 ? "poison" : "x")));
    writer_wake(writer);
    db_set(false, ANSWER_OK);
    wait_for_calls(2);
    hold_commits(false);
    expect(RESULT_STORED, 1, "", "\"a\"");
    expect(RESULT_REJECTED, 0, "invalid_message", b[0]);
    for (size_t i = 1; i < BATCH_MAX; i++)
        expect(RESULT_STORED, (int64_t)i + 1, "", b[i]);
}

static void full_queue_refuses(void **state)
{
    (void)state;
    db_set(true, ANSWER_OK);
    char id[16];
    for (int i = 0; i < 32; i++) {
        snprintf(id, sizeof id, "m%d", i);
        submit(1, id, "x");
    }
    struct item *one_more = make(1, "more", "x");
    assert_false(writer_submit(writer, one_more));
    one_more->code = ERROR_UNAVAILABLE;
    one_more->word = "busy";
    one_more->text = "too many";
    writer_refuse(writer, one_more);
    writer_wake(writer);
    db_set(false, ANSWER_OK);
    unsigned stored = 0, busy = 0;
    for (int i = 0; i < 33; i++) {
        struct result *result = next_result();
        stored += result->kind == RESULT_STORED;
        busy += result->kind == RESULT_REJECTED && strstr(result->ack, "\"more\"") != NULL;
        result_destroy(&result);
    }
    assert_int_equal(stored, 32);
    assert_int_equal(busy, 1);
}

static void makes_or_takes_the_missing_id(void **state)
{
    (void)state;
    struct item *item = item_make("alice", 5, "fallback-7", 10, "{\"content\":\"x\"}", 15);
    item->arrived_ns = clock_mono_ns();
    hand_over(item);
    expect(RESULT_STORED, 1, "", "\"fallback-7\"");
    item = item_make("alice", 5, "", 0, "{\"content\":\"x\"}", 15);
    item->arrived_ns = clock_mono_ns();
    hand_over(item);
    expect(RESULT_STORED, 2, "", "\"clientMessageId\":\"0");
}

static void stop_stores_what_was_accepted(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "m%d", i);
        submit(1, id, "x");
    }
    writer_stop(&writer, 5000);
    assert_int_equal(db.last_seq, 20);
}

static void stop_does_not_wait_for_ever(void **state)
{
    (void)state;
    db_set(false, ANSWER_UNCERTAIN);
    submit(1, "a", "x");
    wait_for_calls(1);
    int64_t from_ns = clock_mono_ns();
    writer_stop(&writer, 200);
    assert_true(clock_mono_ns() - from_ns < 3000 * NS_PER_MS);
}

static void refuses_a_database_of_another_schema(void **state)
{
    (void)state;
    struct writer *other = NULL;
    struct error e;
    db.connect_word = "schema_too_old";
    assert_int_equal(writer_start(&config, 100, results, on_wake, NULL, &other, &e), -1);
    assert_int_equal(e.code, ERROR_INVALID);
    assert_string_equal(e.word, "schema_too_old");
    db.connect_word = "database_unavailable";
    assert_int_equal(writer_start(&config, 100, results, on_wake, NULL, &other, &e), 0);
    assert_false(writer_database_up(other));
    writer_stop(&other, 100);
    db.connect_word = NULL;
}

/* Batches of one. */
static void batches_of_one(void **state)
{
    (void)state;
    writer_stop(&writer, 1000);
    config.batch_max = 1;
    assert_int_equal(writer_start(&config, 100, results, on_wake, NULL, &writer, NULL), 0);
    hold_commits(true);
    unsigned before = db.commits;
    submit(1, "a", "x");
    wait_for(&db.commits, before + 1);
    submit(1, "a", "x");
    submit(1, "b", "x");
    hold_commits(false);
    expect(RESULT_STORED, 1, "", "\"a\"");
    expect(RESULT_REPLAYED, 1, "", "\"a\"");
    expect(RESULT_STORED, 2, "", "\"b\"");
    config.batch_max = BATCH_MAX;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(stores_and_answers),
        TEST(what_waited_is_the_next_batch),
        TEST(the_same_id_twice_is_two_batches),
        TEST(bad_json_costs_only_itself),
        TEST(poison_is_found_by_halving),
        TEST(the_next_batch_is_begun_while_one_commits),
        TEST(the_next_batch_gathers_while_one_commits),
        TEST(a_batch_that_cannot_begin_costs_the_committed_nothing),
        TEST(a_commit_that_fails_takes_nothing_with_it),
        TEST(behind_a_commit_of_unknown_fate_is_told_in_time),
        TEST(poison_behind_a_commit),
        TEST(full_queue_refuses),
        TEST(makes_or_takes_the_missing_id),
        TEST(stop_stores_what_was_accepted),
        TEST(stop_does_not_wait_for_ever),
        TEST(batches_of_one),
        TEST(refuses_a_database_of_another_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
