/* Last words: taken once, and bounded in count, bytes and time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bridge/farewells.h"
#include "tests/unit/fake_ports.h"

#include <stdio.h>

#define ID_SIZE 4

static struct fake_clock clock_;
static struct farewells *farewells;

static int set_up(void **state)
{
    (void)state;
    fake_clock_init(&clock_);
    farewells = farewells_create(&clock_.port, ID_SIZE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    farewells_destroy(&farewells);
    assert_null(clock_.timers);
    return 0;
}

static void keep(unsigned number, size_t size)
{
    char id[ID_SIZE + 1];
    struct buf words = {0};

    snprintf(id, sizeof id, "%04u", number);
    for (size_t i = 0; i < size; i++)
        buf_put_byte(&words, 'x');
    farewells_keep(farewells, id, &words);
    assert_null(words.data);
}

static size_t take(unsigned number)
{
    char id[ID_SIZE + 1];
    struct buf words = {0};
    size_t size = 0;

    snprintf(id, sizeof id, "%04u", number);
    if (farewells_take(farewells, id, ID_SIZE, &words))
        size = words.size;
    buf_finish(&words);
    return size;
}

static void test_taken_once(void **state)
{
    (void)state;
    keep(1, 10);
    keep(2, 20);
    assert_int_equal(take(3), 0);
    assert_int_equal(take(2), 20);
    assert_int_equal(take(2), 0);
    fake_advance(&clock_, FAREWELL_MS - 1000);
    keep(3, 30);
    fake_advance(&clock_, 2000);
    assert_int_equal(take(1), 0);
    assert_int_equal(take(3), 30);
}

static void test_the_oldest_goes_first(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= FAREWELLS_MAX; i++)
        keep(i, 1);
    assert_int_equal(take(0), 0);
    assert_int_equal(take(1), 1);
    assert_int_equal(take(FAREWELLS_MAX), 1);
    keep(9000, FAREWELLS_BYTES_MAX - 1);
    assert_int_equal(take(FAREWELLS_MAX - 2), 0);
    assert_int_equal(take(FAREWELLS_MAX - 1), 1);
    keep(9001, FAREWELLS_BYTES_MAX + 1);
    assert_int_equal(take(9001), 0);
    assert_int_equal(take(9000), FAREWELLS_BYTES_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_taken_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_oldest_goes_first, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
