/* Token buckets: burst, refill, keys apart, and a table that never grows. */
#include "plugin/rates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND_NS INT64_C(1000000000)

static void burst_then_the_rate(void **state)
{
    (void)state;
    struct rates *r = rates_create(16);
    int64_t now_ns = SECOND_NS;
    for (int i = 0; i < 5; i++)
        assert_true(rates_take(r, 7, 2, 5, now_ns));
    assert_false(rates_take(r, 7, 2, 5, now_ns));
    assert_false(rates_take(r, 7, 2, 5, now_ns + SECOND_NS / 4));
    assert_true(rates_take(r, 7, 2, 5, now_ns + SECOND_NS / 2 + 1));
    assert_false(rates_take(r, 7, 2, 5, now_ns + SECOND_NS / 2 + 2));
    rates_destroy(&r);
    assert_null(r);
}

static void never_holds_more_than_the_burst(void **state)
{
    (void)state;
    struct rates *r = rates_create(16);
    assert_true(rates_take(r, 7, 100, 3, SECOND_NS));
    for (int i = 0; i < 3; i++)
        assert_true(rates_take(r, 7, 100, 3, 1000 * SECOND_NS));
    assert_false(rates_take(r, 7, 100, 3, 1000 * SECOND_NS));
    rates_destroy(&r);
}

static void keys_are_apart(void **state)
{
    (void)state;
    struct rates *r = rates_create(64);
    assert_true(rates_take(r, 1, 1, 1, SECOND_NS));
    assert_false(rates_take(r, 1, 1, 1, SECOND_NS));
    assert_true(rates_take(r, 2, 1, 1, SECOND_NS));
    rates_destroy(&r);
}

static void the_least_recently_used_is_forgotten(void **state)
{
    (void)state;
    struct rates *r = rates_create(4); /* one set */
    for (uint64_t key = 1; key <= 4; key++)
        assert_true(rates_take(r, key, 1, 1, SECOND_NS + (int64_t)key));
    assert_true(rates_take(r, 5, 1, 1, SECOND_NS + 5));
    assert_false(rates_take(r, 2, 1, 1, SECOND_NS + 6)); /* still known */
    assert_true(rates_take(r, 1, 1, 1, SECOND_NS + 7));  /* forgotten, so full again */
    rates_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_then_the_rate),
        cmocka_unit_test(never_holds_more_than_the_burst),
        cmocka_unit_test(keys_are_apart),
        cmocka_unit_test(the_least_recently_used_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
