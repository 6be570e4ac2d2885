/* The strict check against tables of right and wrong texts, the tree's look-ups, and printing. */
#include "core/json.h"

#include "core/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

struct text {
    const char *bytes;
    size_t size;
};

#define T(literal)                                                                                           \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }

static const struct text right[] = {
    T("null"),
    T("true"),
    T("false"),
    T("0"),
    T("-0"),
    T("-0.0e-0"),
    T("1.25E+10"),
    T("1e99"),
    T("123456789012345678901234567890"),
    T("\"\""),
    T(" \t\r\n[] \n"),
    T("{}"),
    T("[1, 2 ,3]"),
    T("{\"\":0}"),
    T("{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]}}"),
    T("{\"a\":1,\"A\":2}"),
    T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\uD83D\\ude00\""),
    T("\"\x7f\""),
    T("\"\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf \xf0\x90\x80\x80 "
      "\xf4\x8f\xbf\xbf\""),
    T("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"),
};

static const struct text wrong[] = {
    T(""),
    T(" "),
    T("nul"),
    T("nulll"),
    T("True"),
    T("NaN"),
    T("Infinity"),
    T("+1"),
    T("01"),
    T("-"),
    T("-01"),
    T("1."),
    T(".5"),
    T("1e"),
    T("1e+"),
    T("0x10"),
    T("1e999"),
    T("-1e400"),
    T("1 2"),
    T("[1] x"),
    T("[]]"),
    T("\xef\xbb\xbf{}"),
    T("[1,]"),
    T("[,1]"),
    T("[1 2]"),
    T("["),
    T("[1"),
    T("[1,"),
    T("{"),
    T("{\"a\""),
    T("{\"a\":"),
    T("{\"a\":1"),
    T("{\"a\":1,"),
    T("{\"a\":1,}"),
    T("{a:1}"),
    T("{'a':1}"),
    T("{\"a\" 1}"),
    T("{1:1}"),
    T("{,}"),
    T("\""),
    T("\"\\"),
    T("\"\\\""),
    T("\"a"),
    T("\"\\x\""),
    T("\"\\u12\""),
    T("\"\\u12G4\""),
    T("\"\\u\""),
    T("\"\\'\""),
    T("\"\t\""),
    T("\"\n\""),
    T("\"\x1f\""),
    T("\"\0\""),
    T("\"a\0b\""),
    T("1\0"),
    T("/* c */ 1"),
    T("[1]// c"),
    /* no zero by any spelling */
    T("\"\\u0000\""),
    T("{\"a\\u0000\":1}"),
    /* halves of pairs */
    T("\"\\ud800\""),
    T("\"\\udc00\""),
    T("\"\\ud800x\""),
    T("\"\\ud800\\n\""),
    T("\"\\ud800\\ud800\""),
    T("\"\\udc00\\ud800\""),
    T("\"\\ud83d\\ude0\""),
    /* bad UTF-8: lone, cut, overlong, surrogates, past the end */
    T("\"\x80\""),
    T("\"\xc3\""),
    T("\"\xe2\x82\""),
    T("\"\xf0\x9f\x98\""),
    T("\"\xc0\xaf\""),
    T("\"\xc1\xbf\""),
    T("\"\xe0\x9f\xbf\""),
    T("\"\xf0\x8f\xbf\xbf\""),
    T("\"\xed\xa0\x80\""),
    T("\"\xed\xbf\xbf\""),
    T("\"\xf4\x90\x80\x80\""),
    T("\"\xf5\x80\x80\x80\""),
    T("\"\xff\""),
    T("\"\xe2\x28\xa1\""),
    T("\"\xe2\x82\x28\""),
    T("\"12345678\xc3\""),
    /* names twice, in every spelling */
    T("{\"a\":1,\"a\":1}"),
    T("{\"a\":1,\"b\":2,\"\\u0061\":3}"),
    T("{\"\":1,\"\":2}"),
    T("{\"x\":{\"y\":1,\"y\":2}}"),
    T("{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\uDE00\":2}"),
    T("{\"/\":1,\"\\/\":2}"),
    T("{\"\xc3\xa9\":1,\"\\u00e9\":2}"),
    T("{\"\xe2\x82\xac\":1,\"\\u20aC\":2}"),
    T("{\"\\n\":1,\"\\u000a\":2}"),
    /* seventeen levels */
    T("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"),
    T("{\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}"),
    /* sixty-three digits */
    T("123456789012345678901234567890123456789012345678901234567890123"),
};

static void test_table(void **state)
{
    (void)state;
    struct error e;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        /* A copy of the exact size: reading past the end is the sanitizer's to find. */
        char *bytes = malloc(right[i].size);
        memcpy(bytes, right[i].bytes, right[i].size);
        if (json_check(bytes, right[i].size, &e) != 0)
            fail_msg("%s refused: %s", right[i].bytes, e.text);
        struct json *tree = json_parse(bytes, right[i].size, &e);
        assert_non_null(tree);
        json_destroy(&tree);
        free(bytes);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char *bytes = malloc(wrong[i].size != 0 ? wrong[i].size : 1);
        memcpy(bytes, wrong[i].bytes, wrong[i].size);
        if (json_check(bytes, wrong[i].size, &e) == 0)
            fail_msg("accepted: %s", wrong[i].bytes);
        assert_int_equal(e.code, ERROR_INVALID);
        assert_string_equal(e.word, "invalid_json");
        assert_null(json_parse(bytes, wrong[i].size, NULL));
        free(bytes);
    }
}

static void test_names_the_place(void **state)
{
    (void)state;
    struct error e;
    assert_int_equal(json_check("{\"a\":1,\"a\":2}", 13, &e), -1);
    assert_string_equal(e.text, "not valid JSON at byte 7: a name that its object has twice");
    assert_int_equal(json_check("[1,\"ab\\u0000\"]", 14, &e), -1);
    assert_string_equal(e.text, "not valid JSON at byte 6: \\u0000, which no text may hold");
    assert_int_equal(json_check(NULL, 0, &e), -1);
}

/* Each prefix of a right text is wrong. */
static void test_every_cut_is_refused(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\\u00e9\":[1.5e3,-2,\"\xf0\x9f\x98\x80\\ud83d\\ude00\",{\"b\":null}],\"c\":true}";
    for (size_t size = 0; size < sizeof text - 1; size++) {
        char *bytes = malloc(size != 0 ? size : 1);
        memcpy(bytes, text, size);
        assert_int_equal(json_check(bytes, size, NULL), -1);
        free(bytes);
    }
    assert_int_equal(json_check(text, sizeof text - 1, NULL), 0);
}

static void put_members(struct buf *b, unsigned count)
{
    buf_put_byte(b, '{');
    for (unsigned i = 0; i < count; i++)
        buf_printf(b, "%s\"name%u\":%u", i != 0 ? "," : "", i, i);
}

static void test_duplicates_among_many(void **state)
{
    (void)state;
    for (unsigned count = 1; count < 200; count++) {
        struct buf b = {0};
        put_members(&b, count);
        struct buf twice = {0};
        buf_put(&twice, b.data, b.size);
        buf_printf(&twice, ",\"name%u\":0}", count / 3);
        buf_put_byte(&b, '}');
        assert_int_equal(json_check(b.data, b.size, NULL), 0);
        assert_int_equal(json_check(twice.data, twice.size, NULL), -1);
        buf_finish(&b);
        buf_finish(&twice);
    }
}

/* Ten times the members may take ten times as long and a little more, not a hundred times. */
static void test_many_names_are_not_quadratic(void **state)
{
    (void)state;
    int64_t took[2];
    const unsigned counts[2] = {20000, 200000};
    for (int i = 0; i < 2; i++) {
        struct buf b = {0};
        put_members(&b, counts[i]);
        buf_put_byte(&b, '}');
        took[i] = INT64_MAX;
        for (int round = 0; round < 3; round++) {
            int64_t start = clock_mono_ns();
            assert_int_equal(json_check(b.data, b.size, NULL), 0);
            int64_t this_took = clock_mono_ns() - start;
            took[i] = this_took < took[i] ? this_took : took[i];
        }
        buf_finish(&b);
    }
    assert_true(took[1] < 50 * took[0]);
}

static void test_lookups(void **state)
{
    (void)state;
    static const char text[] =
        "{\"s\":\"v\\u00e9\",\"S\":2,\"n\":null,\"t\":true,\"f\":false,\"a\":[1,\"x\"],\"o\":{},"
        "\"big\":9007199254740992,\"bigger\":9007199254740994,\"half\":0.5,\"neg\":-3}";
    struct error e;
    struct json *tree = json_parse(text, sizeof text - 1, &e);
    assert_non_null(tree);
    assert_int_equal(json_kind(tree), JSON_OBJECT);
    assert_int_equal(json_count(tree), 11);
    assert_string_equal(json_string(json_get(tree, "s")), "v\xc3\xa9");
    int64_t number = 0;
    assert_true(json_integer(json_get(tree, "S"), &number));
    assert_int_equal(number, 2);
    assert_true(json_integer(json_get(tree, "big"), &number));
    assert_true(number == INT64_C(9007199254740992));
    assert_true(json_integer(json_get(tree, "neg"), &number));
    assert_true(number == -3);
    assert_false(json_integer(json_get(tree, "bigger"), &number));
    assert_false(json_integer(json_get(tree, "half"), &number));
    assert_true(json_seq(json_get(tree, "bigger"), &number));
    assert_int_equal(number, INT64_C(1) << 53);
    assert_false(json_seq(json_get(tree, "half"), &number));
    assert_false(json_seq(json_get(tree, "neg"), &number));
    assert_false(json_integer(json_get(tree, "s"), &number));
    bool truth = false;
    assert_true(json_bool(json_get(tree, "t"), &truth) && truth);
    assert_true(json_bool(json_get(tree, "f"), &truth) && !truth);
    assert_false(json_bool(json_get(tree, "S"), &truth));
    assert_int_equal(json_kind(json_get(tree, "n")), JSON_NULL);
    assert_int_equal(json_kind(json_get(tree, "absent")), JSON_ABSENT);
    assert_int_equal(json_kind(json_get(tree, "N")), JSON_ABSENT);
    assert_null(json_string(json_get(tree, "n")));
    const struct json *list = json_get(tree, "a"), *first = json_first(list);
    assert_int_equal(json_kind(first), JSON_NUMBER);
    assert_string_equal(json_string(json_next(first)), "x");
    assert_null(json_next(json_next(first)));
    assert_null(json_next(NULL));
    assert_string_equal(json_name(json_first(tree)), "s");
    assert_null(json_name(first));
    assert_null(json_first(json_get(tree, "o")));
    assert_null(json_first(json_get(tree, "s")));
    assert_null(json_get(list, "x"));
    assert_null(json_get(NULL, "x"));
    json_destroy(&tree);
    assert_null(tree);
    json_destroy(&tree);
    json_destroy(NULL);
}

static void assert_reprinted(const char *text, const char *expected)
{
    struct json *tree = json_parse(text, strlen(text), NULL);
    assert_non_null(tree);
    struct buf b = {0};
    json_put_tree(&b, tree);
    assert_string_equal(b.data, expected);
    buf_finish(&b);
    json_destroy(&tree);
}

static void test_put_tree(void **state)
{
    (void)state;
    assert_reprinted(" { \"a\" : [ 1 , 2.5 , -0 , 1e2, 0.1, 1e-7, 3.0 ] , \"b\" : { } , \"c\":[] } ",
                     "{\"a\":[1,2.5,0,100,0.1,1e-07,3],\"b\":{},\"c\":[]}");
    assert_reprinted("[null,true,false,\"\\u001f\\n\\\"\\/\\u00e9\\ud83d\\ude00\"]",
                     "[null,true,false,\"\\u001f\\n\\\"/\xc3\xa9\xf0\x9f\x98\x80\"]");
    assert_reprinted("0.30000000000000004", "0.30000000000000004");
    assert_reprinted("9007199254740993", "9007199254740992");
    struct buf b = {0};
    json_put_tree(&b, NULL);
    assert_string_equal(b.data, "null");
    buf_finish(&b);
}

static void test_put_values(void **state)
{
    (void)state;
    struct buf b = {0};
    json_put_int(&b, 0);
    buf_put_byte(&b, ' ');
    json_put_int(&b, INT64_MAX);
    buf_put_byte(&b, ' ');
    json_put_int(&b, INT64_MIN);
    assert_string_equal(b.data, "0 9223372036854775807 -9223372036854775808");
    buf_clear(&b);
    json_put_text(&b, NULL);
    json_put_text(&b, "");
    json_put_string(&b, "a\"b\\c\b\f\n\r\t\x01\x1f\x7f\xc3\xa9", 15);
    assert_string_equal(b.data, "null\"\"\"a\\\"b\\\\c\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\"");
    buf_finish(&b);
}

/* All byte values at all places of a string print to a text that the check accepts and the reader gives back.
 */
static void test_strings_come_back(void **state)
{
    (void)state;
    for (unsigned code = 1; code < 0x80; code++) {
        for (size_t place = 0; place < 20; place++) {
            char text[21] = "....................", *back;
            text[place] = (char)code;
            struct buf b = {0};
            json_put_string(&b, text, 20);
            struct json *tree = json_parse(b.data, b.size, NULL);
            assert_non_null(tree);
            back = mem_strdup(json_string(tree));
            assert_string_equal(back, text);
            free(back);
            json_destroy(&tree);
            buf_finish(&b);
        }
    }
}

/* utf8_check against the definition, for every sequence of up to three bytes and the borders of four. */
static bool is_character(unsigned long code)
{
    return code != 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
}

static void test_utf8_of_all_three_bytes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1u << 16; i++) {
        unsigned char two[2] = {(unsigned char)(i >> 8), (unsigned char)i};
        bool pair = (two[0] & 0xe0) == 0xc0 && (two[1] & 0xc0) == 0x80 && (two[0] & 0x1fu) >= 2;
        bool singles = two[0] != 0 && two[0] < 0x80 && two[1] != 0 && two[1] < 0x80;
        assert_int_equal(utf8_check((char *)two, 2), pair || singles);
    }
    for (unsigned i = 0xe00000; i < 0xf00000; i++) {
        unsigned char b[3] = {(unsigned char)(i >> 16), (unsigned char)(i >> 8), (unsigned char)i};
        unsigned long code = (b[0] & 0x0ful) << 12 | (b[1] & 0x3ful) << 6 | (b[2] & 0x3f);
        bool form = (b[1] & 0xc0) == 0x80 && (b[2] & 0xc0) == 0x80;
        if (utf8_check((char *)b, 3) != (form && code >= 0x800 && is_character(code)))
            fail_msg("%06x", i);
    }
    for (unsigned lead = 0xf0; lead <= 0xff; lead++) {
        for (unsigned second = 0; second < 256; second++) {
            unsigned char b[4] = {(unsigned char)lead, (unsigned char)second, 0x80, 0xbf};
            unsigned long code = (lead & 7ul) << 18 | (second & 0x3ful) << 12 | 0x3f;
            bool fine = lead < 0xf8 && (second & 0xc0) == 0x80 && code >= 0x10000 && is_character(code);
            assert_int_equal(utf8_check((char *)b, 4), fine);
        }
    }
}

static void test_utf8_at_every_place(void **state)
{
    (void)state;
    for (size_t place = 0; place < 40; place++) {
        char text[40];
        memset(text, 'a', sizeof text);
        assert_true(utf8_check(text, sizeof text));
        text[place] = '\0';
        assert_false(utf8_check(text, sizeof text));
        text[place] = '\x80';
        assert_false(utf8_check(text, sizeof text));
        text[place] = '\xe2';
        assert_false(utf8_check(text, sizeof text));
    }
    assert_true(utf8_check("", 0));
    assert_true(utf8_check(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_names_the_place),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_duplicates_among_many),
        cmocka_unit_test(test_many_names_are_not_quadratic),
        cmocka_unit_test(test_lookups),
        cmocka_unit_test(test_put_tree),
        cmocka_unit_test(test_put_values),
        cmocka_unit_test(test_strings_come_back),
        cmocka_unit_test(test_utf8_of_all_three_bytes),
        cmocka_unit_test(test_utf8_at_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
