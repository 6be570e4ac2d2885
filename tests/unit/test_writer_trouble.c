/* The writer with a store of the test's own: who is told what when the database is away or hangs, a room is
 * locked, or a message comes again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/writer_world.h"

static void a_locked_room_costs_only_itself(void **state)
{
    (void)state;
    db.locked[2] = true;
    hold_a_batch();
    submit(1, "b", "x");
    submit(2, "c", "x");
    submit(1, "d", "x");
    db_set(false, ANSWER_OK);
    expect(RESULT_STORED, 1, "", "\"first\"");
    expect(RESULT_STORED, 2, "", "\"b\"");
    expect(RESULT_STORED, 3, "", "\"d\"");
    expect(RESULT_REJECTED, 0, "busy", "\"c\"");
    assert_true(writer_database_up(writer)); /* a lock is no outage */
}

static void lock(uint8_t room, bool locked)
{
    pthread_mutex_lock(&db.lock);
    db.locked[room] = locked;
    pthread_mutex_unlock(&db.lock);
}

static void a_room_unlocked_in_time_loses_nothing(void **state)
{
    (void)state;
    config.lock_timeout_ms = 60000;
    lock(2, true);
    submit(2, "locked-1", "x");
    wait_for_calls(1);
    submit(2, "locked-2", "x");
    submit(1, "free", "x");
    expect(RESULT_STORED, 1, "", "\"free\"");
    submit(2, "locked-3", "x");
    submit(1, "free-2", "x");
    expect(RESULT_STORED, 2, "", "\"free-2\"");
    lock(2, false);
    expect(RESULT_STORED, 3, "", "\"locked-1\"");
    expect(RESULT_STORED, 4, "", "\"locked-2\"");
    expect(RESULT_STORED, 5, "", "\"locked-3\"");
    config.lock_timeout_ms = 200;
}

static void away_is_told_in_time(void **state)
{
    (void)state;
    db_set(false, ANSWER_AWAY);
    int64_t from_ns = clock_mono_ns();
    submit(1, "a", "x");
    submit(1, "b", "x");
    /* In either order: what is being tried is told later than what waits behind it. */
    struct result *one = next_result(), *other = next_result();
    assert_true((strstr(one->ack, "\"a\"") != NULL) != (strstr(other->ack, "\"a\"") != NULL));
    assert_true((strstr(one->ack, "\"b\"") != NULL) != (strstr(other->ack, "\"b\"") != NULL));
    for (struct result **r = (struct result *[]){one, other, NULL}; *r != NULL; r++) {
        assert_int_equal((*r)->kind, RESULT_REJECTED);
        assert_string_equal((*r)->word, "unavailable");
    }
    result_destroy(&one);
    result_destroy(&other);
    assert_true(clock_mono_ns() - from_ns < 2000 * NS_PER_MS);
    assert_false(writer_database_up(writer));
    db_set(false, ANSWER_OK);
    submit(1, "c", "x");
    expect(RESULT_STORED, 1, "", "\"c\"");
    assert_true(writer_database_up(writer));
}

static void uncertain_is_never_called_rejected(void **state)
{
    (void)state;
    db_set(true, ANSWER_UNCERTAIN_BUT_STORED);
    submit(1, "a", "x");
    wait_for_calls(1);
    submit(1, "behind", "x"); /* was certainly not stored */
    db_set(false, ANSWER_UNCERTAIN);
    expect(RESULT_REJECTED, 0, "unavailable", "\"behind\"");
    db_set(false, ANSWER_AWAY);
    pthread_mutex_lock(&db.lock);
    unsigned calls = db.calls;
    pthread_mutex_unlock(&db.lock);
    wait_for_calls(calls + 30); /* well past the time at which others are rejected */
    db_set(false, ANSWER_OK);
    struct result *result = next_result();
    assert_non_null(strstr(result->ack, "\"a\",\"status\":\"stored\""));
    result_destroy(&result);
}

/* Its sender, or the library under it, asks again meanwhile: "rejected" would be believed of the first, too.
 */
static void a_resend_of_an_uncertain_one_is_never_called_rejected(void **state)
{
    (void)state;
    db_set(true, ANSWER_UNCERTAIN);
    submit(1, "a", "x");
    wait_for_calls(1);
    submit(1, "a", "x");
    submit(1, "behind", "x");
    db_set(false, ANSWER_UNCERTAIN);
    expect(RESULT_REJECTED, 0, "unavailable", "\"behind\"");
    struct item *refused = make(1, "a", "x");
    refused->code = ERROR_LIMIT, refused->word = "rate_limited", refused->text = "a reason";
    writer_refuse(writer, refused);
    submit(1, "later", "x");
    expect(RESULT_REJECTED, 0, "unavailable", "\"later\"");
    db_set(false, ANSWER_OK);
    expect(RESULT_STORED, 1, "", "\"a\",\"status\":\"stored\"");
    expect(RESULT_REPLAYED, 1, "", "\"a\",\"status\":\"stored\"");
    submit(1, "new", "x");
    expect(RESULT_STORED, 2, "", "\"new\"");
}

/* One that came again has the answer of the newest: "rejected" of the first, and then "stored", would be two.
 */
static void who_comes_again_is_answered_once(void **state)
{
    (void)state;
    db_set(false, ANSWER_AWAY);
    struct item *before = make(1, "before", "x"), *first = make(1, "a", "x"), *again = make(1, "a", "x");
    before->arrived_ns += PATIENCE_NS; /* waits for as long as it takes */
    hand_over(before);
    wait_for_calls(1);
    first->arrived_ns -= PATIENCE_NS;
    again->arrived_ns += PATIENCE_NS;
    assert_true(writer_submit(writer, first));
    hand_over(again);
    wait_for_calls(4);
    db_set(false, ANSWER_OK);
    expect(RESULT_STORED, 1, "", "\"before\"");
    expect(RESULT_STORED, 2, "", "\"a\"");
    submit(1, "behind", "x");
    expect(RESULT_STORED, 3, "", "\"behind\"");
}

/* The same where the first one is held for its next try: nobody is told while that may yet be stored. */
static void who_comes_again_behind_one_that_is_held(void **state)
{
    (void)state;
    db_set(true, ANSWER_OK);
    struct item *held = make(1, "a", "x"), *again = make(1, "a", "x");
    held->arrived_ns += PATIENCE_NS;
    again->arrived_ns -= PATIENCE_NS;
    hand_over(held);
    wait_for_calls(1);
    hand_over(again);
    submit(1, "behind", "x");
    db_set(false, ANSWER_AWAY);
    expect(RESULT_REJECTED, 0, "unavailable", "\"behind\"");
    db_set(false, ANSWER_OK);
    expect(RESULT_STORED, 1, "", "\"a\"");
    expect(RESULT_REPLAYED, 1, "", "\"a\"");
}

/* And where their room is busy. */
static void who_comes_again_in_a_busy_room_is_answered_once(void **state)
{
    (void)state;
    lock(2, true);
    submit(2, "a", "x");
    struct item *again = make(2, "a", "x");
    again->arrived_ns += PATIENCE_NS;
    hand_over(again);
    submit(2, "b", "x");
    expect(RESULT_REJECTED, 0, "busy", "\"b\"");
    lock(2, false);
    expect(RESULT_STORED, 1, "", "\"a\"");
    submit(1, "behind", "x");
    expect(RESULT_STORED, 2, "", "\"behind\"");
}

/* It is looked at for its id while the database is away, and is no better for that. */
static void a_bad_one_that_was_looked_at_is_still_bad(void **state)
{
    (void)state;
    db_set(false, ANSWER_AWAY);
    struct item *first = make(1, "first", "x");
    first->arrived_ns += PATIENCE_NS;
    hand_over(first);
    wait_for_calls(1);
    struct item *bad = make(1, "bad", "x\",\"type\":\"none");
    bad->arrived_ns += PATIENCE_NS;
    hand_over(bad);
    wait_for_calls(4);
    db_set(false, ANSWER_OK);
    expect(RESULT_STORED, 1, "", "\"first\"");
    expect(RESULT_REJECTED, 0, "invalid_message", "\"clientMessageId\":\"bad\"");
}

/* what is committed is told although the next batch's begin has to reconnect, and hangs at it. */
static void committed_is_told_before_a_reconnect(void **state)
{
    (void)state;
    hold_commits(true);
    submit(1, "a", "x");
    wait_for(&db.commits, 1);
    submit(1, "b", "x");
    pthread_mutex_lock(&db.lock);
    db.begin_held = true;
    unsigned before = db.begins_waiting;
    pthread_mutex_unlock(&db.lock);
    hold_commits(false);
    wait_for(&db.begins_waiting, before + 1);
    expect(RESULT_STORED, 1, "", "\"a\"");
}

/* a parlord's resend is no answer to an MQTT sender. */
static void a_parlords_resend_does_not_answer_for_mqtt(void **state)
{
    (void)state;
    db_set(false, ANSWER_AWAY);
    struct item *before = make(1, "before", "x"), *first = make(1, "a", "x"), *again = make(1, "a", "x");
    before->arrived_ns += PATIENCE_NS;
    hand_over(before);
    wait_for_calls(1);
    first->arrived_ns -= PATIENCE_NS;
    again->arrived_ns += PATIENCE_NS;
    again->link = 9;
    assert_true(writer_submit(writer, first));
    hand_over(again);
    wait_for_calls(4);
    db_set(false, ANSWER_OK);
    submit(1, "behind", "x");
    unsigned acks = 0;
    for (;;) {
        struct result *result = next_result();
        bool last = strstr(result->ack, "\"behind\"") != NULL;
        acks += result->link == LINK_NONE && strstr(result->ack, "\"a\"") != NULL;
        result_destroy(&result);
        if (last)
            break;
    }
    assert_int_equal(acks, 1);
}

static void a_parlords_resend_in_a_busy_room_does_not_answer_for_mqtt(void **state)
{
    (void)state;
    lock(2, true);
    submit(2, "a", "x");
    struct item *again = make(2, "a", "x");
    again->arrived_ns += PATIENCE_NS;
    again->link = 9;
    hand_over(again);
    submit(2, "b", "x");
    unsigned acks = 0;
    for (bool last = false; !last;) {
        struct result *result = next_result();
        last = strstr(result->ack, "\"b\"") != NULL;
        acks += strstr(result->ack, "\"a\"") != NULL;
        result_destroy(&result);
    }
    lock(2, false);
    struct result *result = next_result(); /* the parlord's */
    assert_int_equal(result->link, 9);
    acks += strstr(result->ack, "\"a\"") != NULL;
    result_destroy(&result);
    assert_int_equal(acks, 1);
}

/* Of a batch that was split, what is not tried yet is held as well. */
static void the_rest_of_a_split_batch_is_held(void **state)
{
    (void)state;
    const char *const ids[] = {"poison", "b", "c", "a"};
    snprintf(db.poison, sizeof db.poison, "poison");
    db_set(true, ANSWER_OK);
    submit(9, "first", "x");
    wait_for_calls(1);
    for (uint8_t i = 0; i < 4; i++) {
        struct item *item = make(i, ids[i], i == 0 ? "poison" : "x");
        item->arrived_ns += PATIENCE_NS;
        assert_true(writer_submit(writer, item));
    }
    struct item *again = make(3, "a", "x");
    again->arrived_ns -= PATIENCE_NS;
    hand_over(again);
    set_away_at(5); /* 2: all. 3: poison and b. 4: poison. 5: b, with c and a behind it */
    db_set(false, ANSWER_OK);
    wait_for_calls(7);
    db_set(false, ANSWER_OK);
    expect(RESULT_STORED, 1, "", "\"first\"");
    expect(RESULT_REJECTED, 0, "invalid_message", "\"poison\"");
    expect(RESULT_STORED, 2, "", "\"b\"");
    expect(RESULT_STORED, 3, "", "\"c\"");
    expect(RESULT_STORED, 4, "", "\"a\"");
    expect(RESULT_REPLAYED, 4, "", "\"a\"");
}

/* the like of a parked one is held. */
static void a_parked_one_waits_with_its_like_that_is_held(void **state)
{
    (void)state;
    lock(2, true);
    struct item *first = make(2, "a", "x");
    first->arrived_ns += PATIENCE_NS;
    hand_over(first);
    wait_for_calls(1);
    submit(2, "a", "x");
    submit(1, "b", "x");
    expect(RESULT_STORED, 1, "", "\"b\"");
    set_away_at(3); /* the first one's next try; the second is parked behind it */
    lock(2, false);
    wait_for_calls(3 + 8); /* past lock_timeout_ms */
    db_set(false, ANSWER_OK);
    expect(RESULT_STORED, 2, "", "\"a\"");
    expect(RESULT_REPLAYED, 2, "", "\"a\"");
}

/* splitting keeps the order within a room. */
static void halves_of_a_busy_room_keep_their_order(void **state)
{
    (void)state;
    config.lock_timeout_ms = 60000;
    snprintf(db.poison, sizeof db.poison, "poison");
    lock(2, true);
    db_set(true, ANSWER_OK);
    submit(9, "first", "x");
    wait_for_calls(1);
    submit(2, "one", "x");
    submit(1, "x", "x");
    submit(1, "p", "poison");
    submit(2, "two", "x");
    db_set(false, ANSWER_OK);
    expect(RESULT_STORED, 1, "", "\"first\"");
    expect(RESULT_STORED, 2, "", "\"x\"");
    expect(RESULT_REJECTED, 0, "invalid_message", "\"p\"");
    lock(2, false);
    struct result *one = next_result(), *two = next_result();
    config.lock_timeout_ms = 200;
    assert_non_null(strstr(one->ack, "\"one\""));
    result_destroy(&one);
    result_destroy(&two);
}

/* Many rooms are locked at once (an UPDATE of the whole table): the free one does not wait for each of them.
 */
static void many_locked_rooms_cost_only_themselves(void **state)
{
    (void)state;
    hold_a_batch();
    for (uint8_t room = 1; room < BATCH_MAX; room++) {
        char id[16];
        lock(room + 1, true);
        snprintf(id, sizeof id, "m%d", room);
        submit(room + 1, id, "x");
    }
    submit(1, "free", "x");
    db_set(false, ANSWER_OK);
    expect(RESULT_STORED, 1, "", "\"first\"");
    expect(RESULT_STORED, 2, "", "\"free\"");
    assert_int_equal(db.calls, 3); /* one try of all, and one of the free */
    for (uint8_t room = 1; room < BATCH_MAX; room++)
        expect(RESULT_REJECTED, 0, "busy", "\"m");
    assert_int_equal(db.calls, 3);
}

/* The database goes away when it is asked which rooms are locked: nothing is tried room by room. */
static void away_behind_a_locked_room_is_told_in_time(void **state)
{
    (void)state;
    struct item *free_one = make(1, "free", "x"), *busy = make(2, "busy", "x");
    lock(2, true);
    db.probe_away = true;
    free_one->arrived_ns -= PATIENCE_NS;
    busy->arrived_ns -= PATIENCE_NS;
    assert_true(writer_submit(writer, free_one));
    hand_over(busy);
    expect(RESULT_REJECTED, 0, "unavailable", "\"free\"");
    expect(RESULT_REJECTED, 0, "unavailable", "\"busy\"");
    assert_int_equal(db.calls, 1);
    assert_false(writer_database_up(writer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_locked_room_costs_only_itself),
        TEST(a_room_unlocked_in_time_loses_nothing),
        TEST(away_is_told_in_time),
        TEST(uncertain_is_never_called_rejected),
        TEST(a_resend_of_an_uncertain_one_is_never_called_rejected),
        TEST(who_comes_again_is_answered_once),
        TEST(who_comes_again_behind_one_that_is_held),
        TEST(who_comes_again_in_a_busy_room_is_answered_once),
        TEST(a_bad_one_that_was_looked_at_is_still_bad),
        TEST(committed_is_told_before_a_reconnect),
        TEST(a_parlords_resend_does_not_answer_for_mqtt),
        TEST(a_parlords_resend_in_a_busy_room_does_not_answer_for_mqtt),
        TEST(the_rest_of_a_split_batch_is_held),
        TEST(a_parked_one_waits_with_its_like_that_is_held),
        TEST(halves_of_a_busy_room_keep_their_order),
        TEST(many_locked_rooms_cost_only_themselves),
        TEST(away_behind_a_locked_room_is_told_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
