/* What parlorctl token check says: the verdict is token_verify's, the lines name the check that failed. */
#include "ctl/token_report.h"

#include "core/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#define NOW 1795366000

static struct config config = {.jwt_algorithms = (char[]){"HS256"},
                               .jwt_secret = (char[]){"0123456789abcdef0123456789abcdef"},
                               .operator_secret = (char[]){"fedcba9876543210fedcba9876543210"},
                               .service_secret = (char[]){"00112233445566778899aabbccddeeff"},
                               .trusted_roles = (char[]){"agent"}};
static struct token_keys *keys;
static struct buf token;
static struct token_report report;

static int setup(void **state)
{
    (void)state;
    return token_keys_create(&config, &keys, NULL);
}

static int teardown(void **state)
{
    (void)state;
    token_keys_destroy(&keys);
    buf_finish(&token);
    return 0;
}

static void issue(enum token_signer signer, enum role role)
{
    buf_clear(&token);
    assert_int_equal(token_issue(keys, signer, "ann", role, NOW, 3600, &token, NULL), 0);
}

static void make(int64_t at_s)
{
    token_report_make(&config, keys, token.data, token.size, at_s, &report);
}

static const struct token_report_line *line(const char *name)
{
    for (size_t i = 0; i < report.count; i++) {
        if (strcmp(report.lines[i].name, name) == 0)
            return &report.lines[i];
    }
    fail_msg("no line %s", name);
    return NULL;
}

#define ASSERT_LINE(name, expected) assert_int_equal(line(name)->result, expected)

static void test_valid(void **state)
{
    (void)state;
    issue(TOKEN_BY_ISSUER, ROLE_USER);
    make(NOW + 10);
    assert_true(report.valid);
    assert_string_equal(report.token.user, "ann");
    for (size_t i = 0; i < report.count; i++)
        assert_int_not_equal(report.lines[i].result, CHECK_FAILED);
    assert_string_equal(line("sub")->text, "ann");
    assert_non_null(strstr(line("exp")->text, "in 59 minutes"));
}

static void test_expired_has_a_good_signature(void **state)
{
    (void)state;
    issue(TOKEN_BY_ISSUER, ROLE_USER);
    make(NOW + 3700);
    assert_false(report.valid);
    assert_string_equal(report.why.word, "token_expired");
    ASSERT_LINE("signature", CHECK_PASSED);
    ASSERT_LINE("exp", CHECK_FAILED);
    assert_non_null(strstr(line("exp")->text, "100 seconds ago"));
}

static void test_broken_signature(void **state)
{
    (void)state;
    issue(TOKEN_BY_ISSUER, ROLE_USER);
    char *at = strrchr(token.data, '.') + 1;
    *at = *at == 'A' ? 'B' : 'A';
    make(NOW + 10);
    assert_false(report.valid);
    ASSERT_LINE("key", CHECK_PASSED);
    ASSERT_LINE("signature", CHECK_FAILED);
    ASSERT_LINE("exp", CHECK_PASSED);
}

static void test_other_algorithm(void **state)
{
    (void)state;
    /* {"alg":"none"} . {"sub":"ann","exp":1} . */
    static const char none[] = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJleHAiOjF9.";
    token_report_make(&config, keys, none, sizeof none - 1, NOW, &report);
    assert_false(report.valid);
    ASSERT_LINE("key", CHECK_FAILED);
    ASSERT_LINE("signature", CHECK_FAILED);
    ASSERT_LINE("exp", CHECK_FAILED);
}

/* Nobody has vouched for these bytes: they may not reach a terminal. */
static void test_control_characters(void **state)
{
    (void)state;
    /* {"alg":"ESC[2J\nvalid"} . {"sub":"ann","exp":1,"role":"ESC[1m\nx"} . */
    static const char text[] = "eyJhbGciOiJcdTAwMWJbMkpcbnZhbGlkIn0.eyJzdWIiOiJhbm4iLCJleHAi"
                               "OjEsInJvbGUiOiJcdTAwMWJbMW1cbngifQ.";
    struct buf out = {0};
    token_report_make(&config, keys, text, sizeof text - 1, NOW, &report);
    token_report_print(&out, &report, false);
    assert_null(strchr(out.data, 0x1b));
    assert_null(strstr(out.data, "\nvalid"));
    assert_non_null(strstr(out.data, "\\x1b[2J\\x0avalid"));
    assert_non_null(strstr(out.data, "\\x1b[1m\\x0ax is none of"));
    buf_finish(&out);
}

static void test_issuer_and_audience(void **state)
{
    (void)state;
    issue(TOKEN_BY_ISSUER, ROLE_USER);
    config.jwt_issuer = (char[]){"https://login"};
    config.jwt_audience = (char[]){"chat"};
    /* Keys of their own: the token must not be remembered from before. */
    struct token_keys *others = NULL;
    assert_int_equal(token_keys_create(&config, &others, NULL), 0);
    token_report_make(&config, others, token.data, token.size, NOW + 10, &report);
    token_keys_destroy(&others);
    config.jwt_issuer = config.jwt_audience = NULL;
    assert_false(report.valid);
    ASSERT_LINE("signature", CHECK_PASSED);
    ASSERT_LINE("iss", CHECK_FAILED);
    ASSERT_LINE("aud", CHECK_FAILED);
}

static void test_roles(void **state)
{
    (void)state;
    issue(TOKEN_BY_OPERATOR, ROLE_OPERATOR);
    make(NOW + 10);
    assert_true(report.valid);
    assert_non_null(strstr(line("key")->text, "operator_secret"));
    assert_string_equal(line("role")->text, "operator");
    issue(TOKEN_BY_ISSUER, ROLE_OPERATOR);
    make(NOW + 10);
    assert_int_equal(report.token.role, ROLE_USER);
    assert_string_equal(line("role")->text, "operator is not in trusted_roles: counts as user");
    issue(TOKEN_BY_SERVICE, ROLE_SERVICE);
    make(NOW + 10);
    assert_true(report.valid);
    assert_non_null(strstr(line("key")->text, "service_secret"));
}

static void test_no_token_at_all(void **state)
{
    (void)state;
    static const char *const texts[] = {"",     "abc",      "a.b",         "a.b.c",
                                        "....", "e30.e30.", "eyJ9.eyJ9.x", "\xff\xff.\xff.\xff"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct buf out = {0};
        token_report_make(&config, keys, texts[i], strlen(texts[i]), NOW, &report);
        assert_false(report.valid);
        token_report_print(&out, &report, true);
        assert_int_equal(json_check(out.data, out.size, NULL), 0);
        buf_finish(&out);
    }
}

static void test_printing(void **state)
{
    (void)state;
    struct buf out = {0};
    issue(TOKEN_BY_ISSUER, ROLE_AGENT);
    make(NOW + 10);
    token_report_print(&out, &report, false);
    assert_memory_equal(out.data, "valid: ann, role agent, until ", 30);
    buf_clear(&out);
    token_report_print(&out, &report, true);
    assert_int_equal(json_check(out.data, out.size, NULL), 0);
    assert_null(strstr(out.data, token.data)); /* a report never shows the token */
    buf_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_expired_has_a_good_signature),
        cmocka_unit_test(test_broken_signature),
        cmocka_unit_test(test_other_algorithm),
        cmocka_unit_test(test_issuer_and_audience),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_no_token_at_all),
        cmocka_unit_test(test_printing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
