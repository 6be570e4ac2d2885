/* The file of what was seen: printed, parsed, and refused whole when it is not whole. */
#include "plugin/past.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEAD     "parlor-past 1\n"
#define IDENTITY "identity 7312345678901234567/00000001\n"
#define ROOM     "0193587a-6b00-7000-8000-3f5a5f1b2c3d"

static struct watermarks *seen;
static char identity[PAST_IDENTITY_SIZE];

static int parse(const char *text, size_t size)
{
    struct error e = {0};
    watermarks_clear(seen);
    snprintf(identity, sizeof identity, "as before");
    int ok = past_parse(text, size, identity, seen, &e);
    if (ok != 0) {
        assert_int_equal(e.code, ERROR_INVALID);
        assert_string_equal(e.word, "bad_past");
        assert_string_equal(identity, "");
        assert_int_equal(watermarks_count(seen), 0);
    }
    return ok;
}

static void test_what_is_printed_is_parsed(void **state)
{
    (void)state;
    struct buf text = {0};
    struct watermarks *many = watermarks_create(PAST_ROOMS_MAX);
    struct uuid rooms[PAST_ROOMS_MAX];
    for (int i = 0; i < PAST_ROOMS_MAX; i++) {
        uuid_make(&rooms[i], 1700000000000 + i);
        assert_true(watermarks_raise(many, &rooms[i], "", INT64_MAX - i));
    }
    past_print(&text, "7312345678901234567/0000000A", many);
    assert_true(text.size <= PAST_BYTES_MAX);
    assert_int_equal(parse(text.data, text.size), 0);
    assert_string_equal(identity, "7312345678901234567/0000000A");
    assert_int_equal(watermarks_count(seen), PAST_ROOMS_MAX);
    for (size_t i = 0; i < PAST_ROOMS_MAX; i++) {
        assert_true(uuid_equal(&watermarks_at(seen, i)->room, &rooms[i]));
        assert_int_equal(watermarks_at(seen, i)->seq, INT64_MAX - (int64_t)i);
    }
    buf_clear(&text);
    watermarks_clear(many);
    past_print(&text, "1/1", many);
    assert_string_equal(text.data, HEAD "identity 1/1\nrooms 0\n");
    assert_int_equal(parse(text.data, text.size), 0);
    watermarks_destroy(&many);
    buf_finish(&text);
}

static void test_a_file_that_is_cut_off_counts_as_none(void **state)
{
    (void)state;
    static const char whole[] = HEAD IDENTITY ROOM " 41\n01935890-0000-7000-8000-1a2b3c4d5e6f 7\nrooms 2\n";
    for (size_t size = 0; size < sizeof whole - 1; size++)
        assert_int_equal(parse(whole, size), -1);
    assert_int_equal(parse(whole, sizeof whole - 1), 0);
    assert_int_equal(parse(whole, sizeof whole), -1); /* a byte more */
}

static void test_what_is_not_ours_counts_as_none(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "parlor-past 2\n" IDENTITY "rooms 0\n",
        "parlor-past 1 \n" IDENTITY "rooms 0\n",
        "\n" HEAD IDENTITY "rooms 0\n",
        HEAD "rooms 0\n",
        HEAD "identity \nrooms 0\n",
        HEAD "identity 12\nrooms 0\n",
        HEAD "identity /1\nrooms 0\n",
        HEAD "identity 1/2/3\nrooms 0\n",
        HEAD "identity 1/x\nrooms 0\n",
        HEAD "identity 1111111111111111111111111111111111/11111111111111111111111111111\nrooms 0\n",
        HEAD IDENTITY "rooms 1\n",
        HEAD IDENTITY "rooms 00\n",
        HEAD IDENTITY "rooms -0\n",
        HEAD IDENTITY ROOM "\nrooms 1\n",
        HEAD IDENTITY ROOM " \nrooms 1\n",
        HEAD IDENTITY ROOM " 0\nrooms 1\n",
        HEAD IDENTITY ROOM " -1\nrooms 1\n",
        HEAD IDENTITY ROOM " 1 \nrooms 1\n",
        HEAD IDENTITY ROOM " 01\nrooms 1\n",
        HEAD IDENTITY ROOM " 9223372036854775808\nrooms 1\n",
        HEAD IDENTITY ROOM " 1\n" ROOM " 2\nrooms 2\n",
        HEAD IDENTITY ROOM " 1\r\nrooms 1\n",
        HEAD IDENTITY "0193587a-6b00-7000-8000-3f5a5f1b2c3 1\nrooms 1\n",
        HEAD IDENTITY "rooms 0\nrooms 0\n",
        HEAD IDENTITY "rooms 0\n" ROOM " 1\n",
        "\x7f\x45\x4c\x46",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (parse(wrong[i], strlen(wrong[i])) == 0)
            fail_msg("taken: %s", wrong[i]);
    static const char zero[] = HEAD IDENTITY ROOM " 1\0\nrooms 1\n";
    assert_int_equal(parse(zero, sizeof zero - 1), -1);
}

static void test_too_many_rooms_count_as_none(void **state)
{
    (void)state;
    struct buf text = {0};
    struct watermarks *many = watermarks_create(PAST_ROOMS_MAX + 1);
    for (int i = 0; i <= PAST_ROOMS_MAX; i++) {
        struct uuid room;
        uuid_make(&room, 1700000000000 + i);
        watermarks_raise(many, &room, "", 1);
    }
    past_print(&text, "1/1", many);
    assert_int_equal(parse(text.data, text.size), -1);
    watermarks_destroy(&many);
    buf_finish(&text);
}

static int set_up(void **state)
{
    (void)state;
    seen = watermarks_create(PAST_ROOMS_MAX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    watermarks_destroy(&seen);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_printed_is_parsed),
        cmocka_unit_test(test_a_file_that_is_cut_off_counts_as_none),
        cmocka_unit_test(test_what_is_not_ours_counts_as_none),
        cmocka_unit_test(test_too_many_rooms_count_as_none),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
