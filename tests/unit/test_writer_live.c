/* The writer's chores, with a store of the test's own: receipts and presence, and who is told what behind
 * them when the database hangs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/writer_world.h"

static void mark(uint8_t room, uint32_t link, uint64_t request, const char *payload)
{
    struct item *item = item_make("alice", 5, "", 0, payload, strlen(payload));
    item->kind = ITEM_READ;
    item->room.bytes[0] = room;
    item->arrived_ns = clock_mono_ns();
    item->link = link;
    item->request = request;
    hand_over(item);
}

static void expect_receipt(enum result_kind kind, uint64_t request, int64_t seq, const char *in_body)
{
    struct result *result = next_result();
    assert_int_equal(result->kind, kind);
    assert_int_equal(result->request, request);
    assert_int_equal(result->seq, seq);
    assert_int_equal(result->ack_size, 0);
    assert_non_null(strstr(result->body, in_body));
    result_destroy(&result);
}

static void marks_of_a_moment_are_one_receipt(void **state)
{
    (void)state;
    for (int seq = 1; seq <= 5; seq++) {
        char payload[32];
        snprintf(payload, sizeof payload, "{\"seq\":%d}", seq);
        mark(1, 0, 0, payload);
    }
    mark(1, 9, 77, "{\"seq\":3}");
    expect_receipt(RESULT_RECEIPT, 0, 5, "\"userId\":\"alice\",\"readSeq\":5,\"deliveredSeq\":5,\"at\":\"2");
    expect_receipt(RESULT_MARKED, 77, 5, "\"readSeq\":5");
    assert_int_equal(db.calls, 1);
    assert_int_equal(db.marks_rows, 1);
    mark(1, 9, 78, "{\"seq\":2}"); /* nothing moves, and yet it is answered */
    expect_receipt(RESULT_MARKED, 78, 5, "\"readSeq\":5");
}

static void bad_marks_are_rejected(void **state)
{
    (void)state;
    const char *bad[] = {"",
                         "5",
                         "{}",
                         "{\"seq\":-1}",
                         "{\"seq\":1.5}",
                         "{\"seq\":\"1\"}",
                         "{\"seq\":1,\"messageId\":\"07000000-0000-7000-8000-000000000000\"}",
                         "{\"messageId\":\"7\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mark(1, 0, 0, bad[i]);
        expect(RESULT_REJECTED, 0, i == 0 ? "invalid_json" : "invalid_receipt", "\"status\":\"rejected\"");
    }
    mark(100, 0, 0, "{\"seq\":1,\"clientMessageId\":\"mine\"}");
    expect(RESULT_REJECTED, 0, "room_not_found", "\"clientMessageId\":\"mine\"");
}

/* Two messages' ids of one user and room are two rounds; the unknown one is refused alone. */
static void marks_by_message(void **state)
{
    (void)state;
    mark(1, 9, 1, "{\"messageId\":\"06000000-0000-7000-8000-000000000000\"}");
    mark(1, 9, 2, "{\"messageId\":\"63000000-0000-7000-8000-000000000000\"}");
    mark(1, 9, 3, "{\"seq\":7}");
    expect_receipt(RESULT_RECEIPT, 0, 6, "\"readSeq\":6");
    expect_receipt(RESULT_MARKED, 1, 6, "\"readSeq\":6");
    expect_receipt(RESULT_RECEIPT, 0, 7, "\"readSeq\":7");
    struct result *result = next_result();
    assert_int_equal(result->request, 2);
    assert_string_equal(result->word, "message_not_found");
    result_destroy(&result);
    expect_receipt(RESULT_MARKED, 3, 7, "\"readSeq\":7");
}

static void a_locked_mark_costs_only_itself(void **state)
{
    (void)state;
    db.locked[2] = true;
    for (uint8_t room = 1; room <= 4; room++)
        mark(room, 0, 0, "{\"seq\":1}");
    for (int i = 0; i < 3; i++)
        expect_receipt(RESULT_RECEIPT, 0, 1, "alice");
    expect(RESULT_REJECTED, 0, "unavailable", "rejected");
    assert_true(writer_database_up(writer));
}

/* Stored without an answer: the next try finds nothing to move, and the room is told all the same. */
static void an_uncertain_mark_is_told(void **state)
{
    (void)state;
    db_set(false, ANSWER_UNCERTAIN_BUT_STORED);
    mark(1, 9, 5, "{\"seq\":4}");
    wait_for_calls(1);
    db_set(false, ANSWER_OK);
    expect_receipt(RESULT_RECEIPT, 0, 4, "\"readSeq\":4");
    expect_receipt(RESULT_MARKED, 5, 4, "\"readSeq\":4");
}

/* Of each user the newest, after the rows of an earlier run were set offline; at the end, nobody is online.
 */
static void presence_is_stored(void **state)
{
    (void)state;
    writer_stop(&writer, 1000); /* the one of set_up has said already that nobody is online */
    pthread_mutex_lock(&db.lock);
    db.attended[0] = '\0';
    db.nobody = 0;
    pthread_mutex_unlock(&db.lock);
    assert_int_equal(writer_start(&config, 100, results, on_wake, NULL, &writer, NULL), 0);
    writer_note_presence(writer, "bob", true, 5);
    writer_note_presence(writer, "ann", true, 6);
    writer_note_presence(writer, "bob", false, 7);
    writer_wake(writer);
    pthread_mutex_lock(&db.lock);
    while (strstr(db.attended, "bob0 ") == NULL || strstr(db.attended, "ann1 ") == NULL)
        pthread_cond_wait(&db.changed, &db.lock);
    unsigned before = db.nobody_before;
    pthread_mutex_unlock(&db.lock);
    writer_stop(&writer, 1000);
    assert_int_equal(before, 1);
    assert_int_equal(db.nobody, 2);
}

/* What came while a chore waited for a database that hung is answered when that gives up, and is not made to
 * wait for another try. */
static void is_told_behind_a_chore(unsigned chores)
{
    wait_for(&db.chores, chores);
    struct item *item = make(1, "a", "x");
    item->arrived_ns -= 1500 * NS_PER_MS;
    hand_over(item);
    unsigned calls = db.calls;
    go_away(false);
    expect(RESULT_REJECTED, 0, "unavailable", "\"a\"");
    assert_int_equal(db.calls, calls);
    assert_false(writer_database_up(writer));
}

static void behind_presence_is_told_in_time(void **state)
{
    (void)state;
    unsigned chores = db.chores;
    hold_chores();
    writer_note_presence(writer, "bob", true, 5);
    writer_wake(writer);
    is_told_behind_a_chore(chores + 1);
}

static void behind_a_receipt_is_told_in_time(void **state)
{
    (void)state;
    unsigned chores = db.chores;
    hold_chores();
    mark(1, 0, 0, "{\"seq\":1}");
    is_told_behind_a_chore(chores + 1);
}

static void behind_a_reconnect_is_told_in_time(void **state)
{
    (void)state;
    unsigned chores = db.chores;
    go_away(true);
    writer_wake(writer);
    is_told_behind_a_chore(chores + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(marks_of_a_moment_are_one_receipt),
        TEST(bad_marks_are_rejected),
        TEST(marks_by_message),
        TEST(a_locked_mark_costs_only_itself),
        TEST(an_uncertain_mark_is_told),
        TEST(presence_is_stored),
        TEST(behind_presence_is_told_in_time),
        TEST(behind_a_receipt_is_told_in_time),
        TEST(behind_a_reconnect_is_told_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
