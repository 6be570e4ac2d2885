/* A writer with a store of the test's own, and what it answers.
 *
 * Included by one test program, after cmocka.h. */
#ifndef PARLOR_TESTS_WRITER_WORLD_H
#define PARLOR_TESTS_WRITER_WORLD_H

#include "core/clock.h"
#include "plugin/writer.h"
#include "tests/unit/fake_store.h"

#include <stdio.h>

#define NS_PER_MS   INT64_C(1000000)
#define PATIENCE_NS (20000 * NS_PER_MS)
#define BATCH_MAX   8

static struct config config = {.batch_max = BATCH_MAX,
                               .queue_messages_max = 32,
                               .queue_bytes_max = 1 << 20,
                               .lock_timeout_ms = 200,
                               .database_timeout_ms = 2000,
                               .content_bytes_max = 1024,
                               .payload_bytes_max = 4096};
static struct queue *results;
static struct writer *writer;
static struct result *waiting; /* taken from the queue, not yet looked at */

static void on_wake(void *context)
{
    (void)context;
    queue_wake(results);
}

static int set_up(void **state)
{
    (void)state;
    be_well();
    db.begun = db.committing = false;
    db.calls = db.commits = 0;
    db.poison[0] = '\0';
    memset(db.locked, 0, sizeof db.locked);
    db.last_seq = 0;
    memset(db.read_of, 0, sizeof db.read_of);
    results = queue_create(0, 0);
    unsigned before = db.nobody;
    int ok = writer_start(&config, 100, results, on_wake, NULL, &writer, NULL);
    wait_for(&db.nobody, before + 1); /* its first act: the users of an earlier run are offline */
    return ok;
}

static int tear_down(void **state)
{
    (void)state;
    be_well();
    writer_stop(&writer, 1000);
    while (waiting != NULL || (waiting = (struct result *)(void *)queue_take(results)) != NULL) {
        struct result *next = (struct result *)(void *)waiting->node.next;
        result_destroy(&waiting);
        waiting = next;
    }
    queue_destroy(&results);
    return 0;
}

static struct item *make(uint8_t room, const char *id, const char *content)
{
    char json[256];
    int size = snprintf(json, sizeof json, "{\"clientMessageId\":\"%s\",\"content\":\"%s\"}", id, content);
    struct item *item = item_make("alice", 5, "", 0, json, (size_t)size);
    item->room.bytes[0] = room;
    item->arrived_ns = clock_mono_ns();
    return item;
}

static void hand_over(struct item *item)
{
    assert_true(writer_submit(writer, item));
    writer_wake(writer);
}

static inline void submit(uint8_t room, const char *id, const char *content)
{
    hand_over(make(room, id, content));
}

/* A batch, "first" of room 1, is under way until db_set: what comes meanwhile is the next. */
static inline void hold_a_batch(void)
{
    db_set(true, ANSWER_OK);
    submit(1, "first", "x");
    wait_for_calls(1);
}

static struct result *next_result(void)
{
    if (waiting == NULL) {
        queue_wait(results, clock_mono_ns() + PATIENCE_NS);
        waiting = (struct result *)(void *)queue_take(results);
    }
    assert_non_null(waiting);
    struct result *result = waiting;
    waiting = (struct result *)(void *)result->node.next;
    return result;
}

static void expect(enum result_kind kind, int64_t seq, const char *word, const char *in_ack)
{
    struct result *result = next_result();
    assert_int_equal(result->kind, kind);
    assert_string_equal(result->word, word);
    assert_int_equal(result->seq, seq);
    assert_non_null(strstr(result->ack, in_ack));
    result_destroy(&result);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
