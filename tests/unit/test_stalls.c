/* The histogram of time spent in callbacks. */
#include "plugin/stalls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void tells_the_share(void **state)
{
    (void)state;
    struct stalls s = {0};
    for (int i = 0; i < 999; i++)
        stalls_note(&s, 1000);
    stalls_note(&s, 5000000);
    assert_int_equal(s.total, 1000);
    assert_int_equal(s.longest_ns, 5000000);
    assert_int_equal(stalls_percentile_ns(&s, 0.99), 1024);
    assert_int_equal(stalls_percentile_ns(&s, 0.999), 1024);
    assert_int_equal(stalls_percentile_ns(&s, 1.0), 5000000);
}

static void empty_is_nothing(void **state)
{
    (void)state;
    struct stalls s = {0};
    assert_int_equal(stalls_percentile_ns(&s, 0.99), 0);
    stalls_note(&s, 0);
    assert_int_equal(stalls_percentile_ns(&s, 0.99), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tells_the_share), cmocka_unit_test(empty_is_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
