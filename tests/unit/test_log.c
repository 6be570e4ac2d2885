/* Log lines: form, escaping, fields that no value can forge, cutting, levels, rate limit. */
#include "core/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static char last[LOG_LINE_MAX + 1];
static int lines;

static void on_line(enum log_level level, const char *line)
{
    (void)level;
    assert_true(strlen(line) <= LOG_LINE_MAX);
    memcpy(last, line, strlen(line) + 1);
    lines++;
}

static int setup(void **state)
{
    (void)state;
    lines = 0;
    log_init(on_line, LOG_LEVEL_DEBUG);
    return 0;
}

static void test_message_and_fields(void **state)
{
    (void)state;
    log_warn("writer", "stored a batch size=%d room=%s", 3, "r-1");
    assert_string_equal(last, "level=warn room=writer msg=\"stored a batch\" size=3 room=r-1");
    log_info("plugin", "up");
    assert_string_equal(last, "level=info room=plugin msg=\"up\"");
}

static void test_values_are_quoted_and_escaped(void **state)
{
    (void)state;
    log_error("acl", "refused topic=%s user=%s empty=%s", "a \"b\"\\", "x\ny\x01", "");
    assert_string_equal(
        last,
        "level=error room=acl msg=\"refused\" topic=\"a \\\"b\\\"\\\\\" user=\"x\\ny\\x01\" empty=\"\"");
    log_error("acl", "a \"%s\" line\nand another", "quoted");
    assert_string_equal(last, "level=error room=acl msg=\"a \\\"quoted\\\" line\\nand another\"");
}

static void test_values_cannot_forge_fields(void **state)
{
    (void)state;
    log_warn("acl", "refused %s user=%s", "x user=root level=info", "bob rule=none");
    assert_string_equal(last,
                        "level=warn room=acl msg=\"refused x user=root level=info\" user=\"bob rule=none\"");
}

static void test_cut_lines_stay_whole(void **state)
{
    (void)state;
    char big[3000];
    memset(big, '\n', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    log_warn("room", "%s", big);
    assert_true(strlen(last) > LOG_LINE_MAX / 2);
    assert_int_equal(last[strlen(last) - 1], '"');
    log_warn("room", "short value=%s more=%s", big, big);
    assert_true(strlen(last) <= LOG_LINE_MAX);
    assert_int_equal(last[strlen(last) - 1], '"');
    /* A format as long as this one is cut as well. */
    memset(big, 'f', sizeof big - 1);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
    log_warn("room", big);
#pragma GCC diagnostic pop
    assert_int_equal(last[strlen(last) - 1], '"');
}

static void test_levels(void **state)
{
    (void)state;
    enum log_level level = LOG_LEVEL_ERROR;
    assert_int_equal(log_level_parse("debug", &level), 0);
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_int_equal(log_level_parse("error", &level), 0);
    assert_int_equal(level, LOG_LEVEL_ERROR);
    assert_int_equal(log_level_parse("Error", &level), -1);
    assert_int_equal(log_level_parse("", &level), -1);
    log_init(on_line, LOG_LEVEL_WARN);
    assert_true(log_wanted(LOG_LEVEL_ERROR) && log_wanted(LOG_LEVEL_WARN));
    assert_false(log_wanted(LOG_LEVEL_INFO) || log_wanted(LOG_LEVEL_DEBUG));
    log_info("x", "silent");
    log_debug("x", "silent");
    assert_int_equal(lines, 0);
    log_warn("x", "heard");
    assert_int_equal(lines, 1);
}

static void test_limit(void **state)
{
    (void)state;
    const int64_t second = 1000000000;
    struct log_limit limit = {0};
    unsigned held = 99;
    assert_true(log_limit_pass(&limit, 2, 5 * second, &held));
    assert_int_equal(held, 0);
    assert_true(log_limit_pass(&limit, 2, 5 * second + 1, &held));
    assert_false(log_limit_pass(&limit, 2, 5 * second + 2, &held));
    assert_false(log_limit_pass(&limit, 2, 6 * second - 1, &held));
    assert_true(log_limit_pass(&limit, 2, 6 * second, &held));
    assert_int_equal(held, 2);
    assert_true(log_limit_pass(&limit, 2, 6 * second, &held));
    assert_int_equal(held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_message_and_fields, setup),
        cmocka_unit_test_setup(test_values_are_quoted_and_escaped, setup),
        cmocka_unit_test_setup(test_values_cannot_forge_fields, setup),
        cmocka_unit_test_setup(test_cut_lines_stay_whole, setup),
        cmocka_unit_test_setup(test_levels, setup),
        cmocka_unit_test_setup(test_limit, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
