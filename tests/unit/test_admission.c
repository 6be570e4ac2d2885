/* How many sessions an address may open, and have open without being known. */
#include "bridge/admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NS_PER_S INT64_C(1000000000)

static void test_rate(void **state)
{
    struct admission *a = admission_create(2, 0);
    uint16_t place = admission_place("192.0.2.1"), other = admission_place("192.0.2.2");
    int passed = 0;

    (void)state;
    for (int i = 0; i < 15; i++)
        passed += admission_pass(a, place, NS_PER_S) == ADMISSION_PASSED;
    assert_int_equal(passed, 10); /* five seconds' worth at once */
    assert_int_equal(admission_pass(a, place, NS_PER_S), ADMISSION_TOO_FAST);
    assert_int_not_equal(place, other);
    assert_int_equal(admission_pass(a, other, NS_PER_S), ADMISSION_PASSED);
    for (int i = 0; i < 5; i++)
        passed += admission_pass(a, place, 2 * NS_PER_S) == ADMISSION_PASSED;
    assert_int_equal(passed, 12);
    admission_destroy(&a);
    assert_null(a);
}

static void test_strangers(void **state)
{
    struct admission *a = admission_create(0, 2);
    uint16_t place = admission_place("2001:db8::1");

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(admission_pass(a, place, NS_PER_S), ADMISSION_PASSED);
    admission_count(a, place, 1);
    admission_count(a, place, 1);
    assert_int_equal(admission_pass(a, place, NS_PER_S), ADMISSION_TOO_MANY);
    assert_int_equal(admission_pass(a, admission_place("2001:db8::2"), NS_PER_S), ADMISSION_PASSED);
    admission_count(a, place, -1);
    assert_int_equal(admission_pass(a, place, NS_PER_S), ADMISSION_PASSED);
    admission_destroy(&a);
}

/* One that is refused for their number costs nothing of the rate. */
static void test_both(void **state)
{
    struct admission *a = admission_create(1, 1);
    uint16_t place = admission_place("192.0.2.1");

    (void)state;
    admission_count(a, place, 1);
    for (int i = 0; i < 20; i++)
        assert_int_equal(admission_pass(a, place, NS_PER_S), ADMISSION_TOO_MANY);
    admission_count(a, place, -1);
    for (int i = 0; i < ADMISSION_BURST_S; i++)
        assert_int_equal(admission_pass(a, place, NS_PER_S), ADMISSION_PASSED);
    assert_int_equal(admission_pass(a, place, NS_PER_S), ADMISSION_TOO_FAST);
    admission_destroy(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rate), cmocka_unit_test(test_strangers),
                                       cmocka_unit_test(test_both)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
