/* RFC 3339 texts, against the C library's calendar. */
#include "core/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

static void assert_text(int64_t wall_ms, const char *expected)
{
    char text[CLOCK_TEXT_SIZE];
    clock_format(wall_ms, text);
    assert_string_equal(text, expected);
}

static void test_known_times(void **state)
{
    (void)state;
    assert_text(0, "1970-01-01T00:00:00.000Z");
    assert_text(-1, "1969-12-31T23:59:59.999Z");
    assert_text(1769850300123, "2026-01-31T09:05:00.123Z");
    assert_text(951782400000, "2000-02-29T00:00:00.000Z");
    assert_text(4107542399999, "2100-02-28T23:59:59.999Z");
    assert_text(4107542400000, "2100-03-01T00:00:00.000Z");
    assert_text(253402300799999, "9999-12-31T23:59:59.999Z");
    assert_text(-62167219200000, "0000-01-01T00:00:00.000Z");
}

static void test_outside_is_clamped(void **state)
{
    (void)state;
    assert_text(INT64_MAX, "9999-12-31T23:59:59.999Z");
    assert_text(INT64_MIN, "0000-01-01T00:00:00.000Z");
}

static void test_agrees_with_the_calendar(void **state)
{
    (void)state;
    /* A step of about 9.7 days, uneven in all units, from the year 1 to 9999. */
    for (int64_t at = -62135596800000; at < 253402300799999; at += 839123457) {
        time_t seconds = (time_t)((at - (at % 1000 + 1000) % 1000) / 1000);
        struct tm parts;
        char seconds_text[32], expected[48];
        assert_non_null(gmtime_r(&seconds, &parts));
        snprintf(seconds_text, sizeof seconds_text, "%04d-", parts.tm_year + 1900);
        strftime(seconds_text + 5, sizeof seconds_text - 5, "%m-%dT%H:%M:%S", &parts);
        snprintf(expected, sizeof expected, "%s.%03dZ", seconds_text, (int)((at % 1000 + 1000) % 1000));
        assert_text(at, expected);
    }
}

static void test_clocks_run(void **state)
{
    (void)state;
    int64_t mono = clock_mono_ns(), wall = clock_wall_ms();
    assert_true(clock_mono_ns() >= mono);
    assert_true(wall / 1000 - (int64_t)time(NULL) <= 1 && (int64_t)time(NULL) - wall / 1000 <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_times),
        cmocka_unit_test(test_outside_is_clamped),
        cmocka_unit_test(test_agrees_with_the_calendar),
        cmocka_unit_test(test_clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
