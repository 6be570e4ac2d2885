/* Errors: how they are filled, prefixed, cut and turned into statuses. */
#include "core/error.h"
#include "core/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void test_set_fills_and_fails(void **state)
{
    (void)state;
    struct error e;
    assert_int_equal(error_set(&e, ERROR_NOT_FOUND, "room_not_found", "no room %d", 7), -1);
    assert_int_equal(e.code, ERROR_NOT_FOUND);
    assert_string_equal(e.word, "room_not_found");
    assert_string_equal(e.text, "no room 7");
    assert_int_equal(error_set(NULL, ERROR_INVALID, "x", "y"), -1);
    assert_int_equal(error_prefix(NULL, "y"), -1);
}

static void test_own_text_may_be_an_argument(void **state)
{
    (void)state;
    struct error e;
    error_set(&e, ERROR_INVALID, "first", "inner");
    error_set(&e, ERROR_INTERNAL, e.word, "outer, from %s", e.text);
    assert_string_equal(e.word, "first");
    assert_string_equal(e.text, "outer, from inner");
}

static void test_prefix(void **state)
{
    (void)state;
    struct error e;
    error_set(&e, ERROR_INVALID, "bad_option", "unknown key");
    assert_int_equal(error_prefix(&e, "%s:%d", "parlor.conf", 3), -1);
    assert_string_equal(e.text, "parlor.conf:3: unknown key");
    assert_int_equal(e.code, ERROR_INVALID);
}

static void test_long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    for (size_t lead = 0; lead < 4; lead++) {
        char text[2 * ERROR_TEXT_MAX];
        size_t size = lead;
        memset(text, 'a', lead);
        while (size + 4 < sizeof text) {
            memcpy(text + size, "\xf0\x9f\x98\x80", 4);
            size += 4;
        }
        text[size] = '\0';
        struct error e;
        error_set(&e, ERROR_INVALID, "a_word_that_is_much_longer_than_any_that_fits_here", "%s", text);
        assert_true(strlen(e.text) >= ERROR_TEXT_MAX - 5);
        assert_true(utf8_check(e.text, strlen(e.text)));
        assert_int_equal(strlen(e.word), ERROR_WORD_MAX - 1);
        error_prefix(&e, "%s", "before");
        assert_memory_equal(e.text, "before: ", 8);
        assert_true(utf8_check(e.text, strlen(e.text)));
    }
}

static void test_statuses(void **state)
{
    (void)state;
    static const struct {
        enum error_code code;
        const char *word;
        int status;
    } rows[] = {{ERROR_INVALID, "x", 400},
                {ERROR_DENIED, "forbidden", 403},
                {ERROR_DENIED, "invalid_token", 401},
                {ERROR_DENIED, "token_expired", 401},
                {ERROR_NOT_FOUND, "x", 404},
                {ERROR_CONFLICT, "x", 409},
                {ERROR_LIMIT, "content_too_large", 413},
                {ERROR_LIMIT, "too_many_requests", 429},
                {ERROR_LIMIT, "large", 429},
                {ERROR_UNAVAILABLE, "x", 503},
                {ERROR_UNCERTAIN, "x", 503},
                {ERROR_INTERNAL, "x", 500},
                {ERROR_NONE, "", 500}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error e;
        error_set(&e, rows[i].code, rows[i].word, "text");
        assert_int_equal(error_http_status(&e), rows[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_fills_and_fails),
        cmocka_unit_test(test_own_text_may_be_an_argument),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_long_texts_are_cut_between_characters),
        cmocka_unit_test(test_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
