/* Growing buffers: their zero byte, growth, printing and giving away. */
#include "core/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void test_grows_and_stays_terminated(void **state)
{
    (void)state;
    struct buf b = {0};
    for (size_t i = 0; i < 10000; i++) {
        buf_put_byte(&b, (unsigned char)('a' + i % 26));
        assert_int_equal(b.size, i + 1);
        assert_int_equal(b.data[b.size], '\0');
        assert_true(b.capacity > b.size);
    }
    for (size_t i = 0; i < b.size; i++)
        assert_int_equal(b.data[i], 'a' + (char)(i % 26));
    size_t capacity = b.capacity;
    buf_clear(&b);
    assert_int_equal(b.size, 0);
    assert_string_equal(b.data, "");
    assert_int_equal(b.capacity, capacity);
    buf_finish(&b);
    assert_null(b.data);
    buf_finish(NULL);
}

static void test_puts(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_clear(&b);
    buf_put(&b, NULL, 0);
    assert_string_equal(b.data, "");
    buf_put_text(&b, "one");
    buf_put(&b, "\0two", 4);
    assert_int_equal(b.size, 7);
    assert_memory_equal(b.data, "one\0two", 8);
    buf_finish(&b);
}

static void test_printf_of_every_length(void **state)
{
    (void)state;
    /* Lengths around each place where the buffer must grow while printing. */
    for (int size = 0; size < 600; size++) {
        struct buf b = {0};
        buf_put_text(&b, "x");
        buf_printf(&b, "%0*d", size, 0);
        size_t expected = 1 + (size_t)(size > 0 ? size : 1);
        assert_int_equal(b.size, expected);
        assert_int_equal(strlen(b.data), expected);
        buf_finish(&b);
    }
}

static void test_take(void **state)
{
    (void)state;
    struct buf b = {0};
    size_t size = 99;
    char *empty = buf_take(&b, &size);
    assert_string_equal(empty, "");
    assert_int_equal(size, 0);
    free(empty);
    buf_put_text(&b, "bytes");
    char *taken = buf_take(&b, NULL);
    assert_string_equal(taken, "bytes");
    assert_null(b.data);
    assert_int_equal(b.capacity, 0);
    free(taken);
}

static void test_memory(void **state)
{
    (void)state;
    char *zeroes = mem_zalloc(3, 5);
    for (int i = 0; i < 15; i++)
        assert_int_equal(zeroes[i], 0);
    zeroes = mem_realloc(zeroes, 64);
    free(zeroes);
    void *nothing = mem_alloc(0);
    assert_non_null(nothing);
    free(nothing);
    char *copy = mem_dup("a\0b", 3);
    assert_memory_equal(copy, "a\0b", 4);
    free(copy);
    copy = mem_strdup("text");
    assert_string_equal(copy, "text");
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows_and_stays_terminated),
        cmocka_unit_test(test_puts),
        cmocka_unit_test(test_printf_of_every_length),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
