/* Counted bytes. */
#include "core/shared.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void test_copies_and_counts(void **state)
{
    (void)state;
    char text[] = "frame";
    struct shared *s = shared_make(text, 5);
    memset(text, 'x', 5);
    assert_int_equal(s->size, 5);
    assert_memory_equal(s->data, "frame", 5);
    assert_int_equal(s->holders, 1);
    assert_ptr_equal(shared_hold(s), s);
    assert_int_equal(s->holders, 2);
    shared_drop(s);
    assert_int_equal(s->holders, 1);
    assert_memory_equal(s->data, "frame", 5);
    shared_drop(s); /* a second free or a leak is the sanitizers' to find */
    shared_drop(NULL);
}

static void test_to_be_filled(void **state)
{
    (void)state;
    struct shared *s = shared_make(NULL, 1000);
    memset(s->data, 7, 1000);
    assert_int_equal(s->size, 1000);
    shared_drop(s);
    s = shared_make(NULL, 0);
    assert_int_equal(s->size, 0);
    shared_drop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies_and_counts),
        cmocka_unit_test(test_to_be_filled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
