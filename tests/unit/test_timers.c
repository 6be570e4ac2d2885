/* The heap of timers against a plain list: order, cancelling, and timers that start or cancel others. */
#include "service/timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY 2000

struct entry {
    struct timer *timer;
    int64_t due_ns;
    bool cancelled, ran;
};

static struct timers timers;
static int64_t now_ns;
static int64_t last_due_ns;
static unsigned ran;

static void on_entry(void *context)
{
    struct entry *entry = context;
    assert_false(entry->ran);
    assert_false(entry->cancelled);
    assert_true(entry->due_ns <= now_ns);
    assert_true(entry->due_ns >= last_due_ns);
    last_due_ns = entry->due_ns;
    entry->ran = true;
    entry->timer = NULL;
    ran++;
}

static void they_run_in_order(void **state)
{
    (void)state;
    static struct entry entries[MANY];
    uint32_t seed = 12345;
    unsigned cancelled = 0;
    for (int i = 0; i < MANY; i++) {
        seed = seed * 1664525 + 1013904223;
        entries[i].due_ns = seed >> 20;
        entries[i].timer = timers_start(&timers, entries[i].due_ns, on_entry, &entries[i]);
    }
    for (int i = 0; i < MANY; i += 3) {
        timers_cancel(&timers, &entries[i].timer);
        assert_null(entries[i].timer);
        entries[i].cancelled = true;
        cancelled++;
    }
    for (now_ns = 0; now_ns < 4096; now_ns += 100) {
        timers_run(&timers, now_ns);
        assert_true(timers_due_ns(&timers) < 0 || timers_due_ns(&timers) > now_ns);
    }
    timers_run(&timers, now_ns);
    assert_int_equal(ran, MANY - cancelled);
    assert_int_equal(timers_due_ns(&timers), -1);
    timers_finish(&timers);
}

static struct timer *other;
static unsigned again;

static void on_other(void *context)
{
    (void)context;
    fail_msg("it was cancelled");
}

static void on_again(void *context)
{
    again++;
    timers_cancel(&timers, &other);
    timers_start(&timers, 0, on_again, context);
}

static void they_may_start_and_cancel_others(void **state)
{
    (void)state;
    timers_start(&timers, 1, on_again, NULL);
    other = timers_start(&timers, 2, on_other, NULL);
    timers_run(&timers, 10);
    assert_int_equal(again, 1); /* the one that it started is for the next time */
    assert_null(other);
    timers_run(&timers, 10);
    assert_int_equal(again, 2);
    timers_finish(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_run_in_order),
        cmocka_unit_test(they_may_start_and_cancel_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
