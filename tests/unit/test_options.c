/* parlorctl's command line, and the exit code of each error. */
#include "ctl/ctl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define PARSE(...) parse((char *[]){"parlorctl", __VA_ARGS__, NULL})

static struct options options;
static struct error error;

static int parse(char *const *argv)
{
    int count = 0;
    while (argv[count] != NULL)
        count++;
    error = (struct error){.code = ERROR_NONE};
    return options_parse(count, argv, &options, &error);
}

static void test_words_and_options_in_any_order(void **state)
{
    (void)state;
    assert_int_equal(PARSE("--config", "/c", "token", "--role=agent", "ann", "--ttl", "2h", "--json"), 0);
    assert_string_equal(options.command, "token");
    assert_int_equal(options.count, 1);
    assert_string_equal(options.words[0], "ann");
    assert_string_equal(options.config, "/c");
    assert_string_equal(options.role, "agent");
    assert_int_equal(options.ttl_s, 7200);
    assert_int_equal(options.given, OPTION_CONFIG | OPTION_ROLE | OPTION_TTL | OPTION_JSON);
    assert_int_equal(PARSE("token", "check", "-"), 0);
    assert_string_equal(options.words[1], "-");
    assert_int_equal(PARSE("token", "--", "--ann"), 0);
    assert_string_equal(options.words[0], "--ann");
    assert_int_equal(options.sure_from, 0);
    assert_int_equal(PARSE("token", "check", "--", "-x"), 0);
    assert_int_equal(options.sure_from, 1);
    assert_int_equal(PARSE("--", "token", "check"), 0);
    assert_int_equal(options.sure_from, OPTIONS_WORDS_MAX);
}

static void test_lives(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds; /* 0: refused */
    } rows[] = {{"1", 1},
                {"60s", 60},
                {"5m", 300},
                {"1h", 3600},
                {"7d", 604800},
                {"3650d", TTL_MAX_S},
                {"3651d", 0},
                {"0", 0},
                {"-1", 0},
                {"1.5h", 0},
                {"h", 0},
                {"1w", 0},
                {"1hh", 0},
                {" 1", 0},
                {"+1", 0},
                {"1 h", 0},
                {"99999999999999999999", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[32];
        snprintf(text, sizeof text, "%s", rows[i].text);
        int result = PARSE("token", "ann", "--ttl", text);
        assert_int_equal(result, rows[i].seconds != 0 ? 0 : -1);
        if (result == 0)
            assert_true(options.ttl_s == rows[i].seconds);
        else
            assert_string_equal(error.word, "usage");
    }
}

static void test_mistakes(void **state)
{
    (void)state;
    assert_int_equal(PARSE("token", "--rolle", "x"), -1);
    assert_string_equal(error.text, "unknown option --rolle (--help lists all)");
    assert_int_equal(PARSE("token", "--role"), -1);
    assert_string_equal(error.text, "--role needs a value");
    assert_int_equal(PARSE("token", "--role="), -1);
    assert_int_equal(PARSE("token", "--role", "a", "--role", "b"), -1);
    assert_string_equal(error.text, "--role is given twice");
    assert_int_equal(PARSE("check", "--json=yes"), -1);
    assert_int_equal(PARSE("why", "a", "b", "c", "d"), -1);
    assert_string_equal(error.text, "one word too many: d");
    assert_int_equal(ctl_exit_code(&error), EX_USAGE);
    assert_int_equal(PARSE("token", "b\xff\x41"), -1);
    assert_string_equal(error.text, "argument 2 is no valid UTF-8");
}

static void test_mistakes_know_of_json(void **state)
{
    (void)state;
    assert_int_equal(PARSE("status", "--bogus", "--json"), -1);
    assert_int_equal(options.given & OPTION_JSON, OPTION_JSON);
    assert_int_equal(PARSE("token", "x\xff", "--json"), -1);
    assert_int_equal(options.given & OPTION_JSON, OPTION_JSON);
    assert_int_equal(PARSE("status", "--bogus"), -1);
    assert_int_equal(options.given & OPTION_JSON, 0);
}

static void test_misplaced(void **state)
{
    (void)state;
    assert_int_equal(PARSE("check", "--ttl", "3", "--json"), 0);
    assert_string_equal(options_misplaced(&options, OPTIONS_COMMON | OPTION_BROKER_CONF), "--ttl");
    assert_null(options_misplaced(&options, OPTIONS_COMMON | OPTION_TTL));
}

static void test_exit_codes(void **state)
{
    (void)state;
    static const struct {
        enum error_code code;
        const char *word;
        int exit_code;
    } rows[] = {{ERROR_INVALID, "usage", EX_USAGE},
                {ERROR_INVALID, "no_user", EX_NOUSER},
                {ERROR_INVALID, "bad_option", EX_CONFIG},
                {ERROR_NOT_FOUND, "no_config", EX_CONFIG},
                {ERROR_INVALID, "schema_too_old", EX_CONFIG},
                {ERROR_INVALID, "migration_missing", EX_CONFIG},
                {ERROR_DENIED, "no_right", EX_NOPERM},
                {ERROR_INVALID, "bad_topic", EX_DATAERR},
                {ERROR_DENIED, "invalid_token", EX_NOPERM},
                {ERROR_UNAVAILABLE, "database_unavailable", EX_UNAVAILABLE},
                {ERROR_UNCERTAIN, "x", EX_UNAVAILABLE},
                {ERROR_INTERNAL, "x", EX_SOFTWARE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        error_set(&error, rows[i].code, rows[i].word, "x");
        assert_int_equal(ctl_exit_code(&error), rows[i].exit_code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_and_options_in_any_order),
        cmocka_unit_test(test_lives),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_mistakes_know_of_json),
        cmocka_unit_test(test_misplaced),
        cmocka_unit_test(test_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
