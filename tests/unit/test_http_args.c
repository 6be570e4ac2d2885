/* The query string's rules, the gathering of problems, and the rate of a user. */
#include "http/args.h"
#include "http/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const known[] = {"limit", "cursor", "type", NULL};

static void test_decoding(void **state)
{
    (void)state;
    struct args p;
    struct problems problems = {0};
    args_read(&p, "cursor=a%20b+c%C3%A9&&limit=7&type=", known, &problems);
    assert_int_equal(problems.count, 0);
    assert_string_equal(args_get(&p, "cursor"), "a b cé");
    assert_string_equal(args_get(&p, "type"), "");
    int64_t limit = 0;
    assert_true(args_integer(&p, "limit", 1, 100, &limit, &problems));
    assert_int_equal(limit, 7);
    args_finish(&p);
    args_read(&p, "", known, &problems);
    assert_null(args_get(&p, "limit"));
    args_finish(&p);
    problems_finish(&problems);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *query, *says;
    } cases[] = {
        {"serach=x", "\"unknown parameter `serach`\""},
        {"limit=1&limit=2", "\"limit must be given once\""},
        {"cursor=%", "\"the query string must be percent-encoded UTF-8\""},
        {"cursor=%4", "\"the query string must be percent-encoded UTF-8\""},
        {"cursor=%00", "\"the query string must be percent-encoded UTF-8\""},
        {"cursor=%ff", "\"the query string must be percent-encoded UTF-8\""},
        {"a&b", "\"unknown parameter `a`\",\"unknown parameter `b`\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct args p;
        struct problems problems = {0};
        args_read(&p, cases[i].query, known, &problems);
        assert_string_equal(problems.list.data, cases[i].says);
        args_finish(&p);
        problems_finish(&problems);
    }
}

static void test_integers(void **state)
{
    (void)state;
    static const char *const wrong[] = {"limit=",   "limit=0",    "limit=101",
                                        "limit=-1", "limit=+1",   "limit=1.0",
                                        "limit=x",  "limit=%201", "limit=99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct args p;
        struct problems problems = {0};
        int64_t limit = 50;
        args_read(&p, wrong[i], known, &problems);
        assert_false(args_integer(&p, "limit", 1, 100, &limit, &problems));
        assert_int_equal(limit, 50);
        assert_string_equal(problems.list.data, "\"limit must be a whole number from 1 to 100\"");
        args_finish(&p);
        problems_finish(&problems);
    }
}

static void test_problems_cut(void **state)
{
    (void)state;
    struct problems problems = {0};
    char text[1000];
    memset(text, 'a', sizeof text);
    for (size_t i = 1; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "é", 2);
    text[sizeof text - 1] = '\0';
    problems_add(&problems, "%s", text);
    /* Cut between characters, never inside one. */
    assert_int_equal((unsigned char)problems.list.data[problems.list.size - 2], 0xA9);
    for (unsigned i = 0; i < 2 * PROBLEMS_MAX; i++)
        problems_add(&problems, "one");
    assert_int_equal(problems.count, 2 * PROBLEMS_MAX + 1);
    size_t commas = 0;
    for (size_t i = 0; i < problems.list.size; i++)
        commas += problems.list.data[i] == ',';
    assert_int_equal(commas, PROBLEMS_MAX - 1);
    problems_finish(&problems);
}

#define SECOND 1000000000LL

static void test_rate(void **state)
{
    (void)state;
    struct rate *rate = rate_create(50, 100);
    int64_t wait_ms = 0, now = 5 * SECOND;
    for (int i = 0; i < 100; i++)
        assert_true(rate_take(rate, "alice", 5, now, &wait_ms));
    assert_false(rate_take(rate, "alice", 5, now, &wait_ms));
    assert_in_range(wait_ms, 20, 21);
    assert_true(rate_take(rate, "bob", 3, now, &wait_ms));
    assert_true(rate_take(rate, "alice", 5, now + SECOND / 50, &wait_ms));
    assert_false(rate_take(rate, "alice", 5, now + SECOND / 50, &wait_ms));
    /* In a second 50 more, and no more than a burst however long it was quiet. */
    int passed = 0;
    for (int i = 0; i < 1000; i++)
        passed += rate_take(rate, "alice", 5, now + 100 * SECOND, &wait_ms);
    assert_int_equal(passed, 100);
    rate_destroy(&rate);
    assert_null(rate);
}

static void test_rate_of_many(void **state)
{
    (void)state;
    struct rate *rate = rate_create(1, 1);
    int64_t wait_ms;
    char user[16];
    int passed = 0;
    /* Far more users than buckets: each gets its first call, whoever is forgotten for it. */
    for (int i = 0; i < 3 * RATE_SETS_MAX * RATE_WAYS; i++) {
        int size = snprintf(user, sizeof user, "u%d", i);
        passed += rate_take(rate, user, (size_t)size, SECOND, &wait_ms);
    }
    assert_int_equal(passed, 3 * RATE_SETS_MAX * RATE_WAYS);
    rate_destroy(&rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decoding),     cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_integers),     cmocka_unit_test(test_rate),
        cmocka_unit_test(test_problems_cut), cmocka_unit_test(test_rate_of_many),
    };
    return cmocka_run_group_tests_name("http_args", tests, NULL, NULL);
}
