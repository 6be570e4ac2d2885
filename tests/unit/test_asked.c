/* Requests under way: each is taken once, those of a link that ended or that waited too long come out. */
#include "plugin/asked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct asked asked;
static char given_up[256]; /* user/id and a blank, of each */

static void on_given_up(void *context, const char *user, const char *request_id)
{
    assert_ptr_equal(context, given_up);
    size_t size = strlen(given_up);
    snprintf(given_up + size, sizeof given_up - size, "%s/%s ", user, request_id);
}

static void assert_gives_up(uint32_t link, int64_t now_ns, const char *expected)
{
    given_up[0] = '\0';
    asked_give_up(&asked, link, now_ns, on_given_up, given_up);
    assert_string_equal(given_up, expected);
}

static int tear_down(void **state)
{
    (void)state;
    asked_finish(&asked);
    memset(&asked, 0, sizeof asked);
    return 0;
}

static void each_is_taken_once(void **state)
{
    (void)state;
    assert_true(asked_note(&asked, 1, "ann", "r", 1));
    assert_true(asked_note(&asked, 1, "ann", "r", 2));
    assert_true(asked_note(&asked, 1, "ben", "r", 3));
    assert_false(asked_take(&asked, "ann", "s"));
    assert_true(asked_take(&asked, "ann", "r"));
    assert_true(asked_take(&asked, "ann", "r"));
    assert_false(asked_take(&asked, "ann", "r"));
    assert_true(asked_take(&asked, "ben", "r"));
    assert_int_equal(asked.count, 0);
    assert_null(asked.oldest);
    assert_null(asked.newest);
}

static void those_of_an_ended_link_come_out_in_order(void **state)
{
    (void)state;
    asked_note(&asked, 7, "ann", "a", 1);
    asked_note(&asked, 8, "ann", "b", 1);
    asked_note(&asked, 7, "ben", "c", 1);
    assert_gives_up(7, 1, "ann/a ben/c ");
    assert_gives_up(7, 1, "");
    assert_true(asked_take(&asked, "ann", "b"));
}

static void what_waited_too_long_comes_out(void **state)
{
    (void)state;
    asked_note(&asked, 1, "ann", "a", 5);
    asked_note(&asked, 2, "ann", "b", 6);
    assert_gives_up(0, 5 + ASKED_WAIT_NS - 1, "");
    assert_gives_up(0, 5 + ASKED_WAIT_NS, "ann/a ");
    assert_gives_up(0, 5 + ASKED_WAIT_NS, "");
    assert_false(asked_take(&asked, "ann", "a"));
}

static void so_many_and_no_more(void **state)
{
    (void)state;
    char text[ASKED_TEXT_SIZE + 1];
    memset(text, 'x', ASKED_TEXT_SIZE);
    text[ASKED_TEXT_SIZE] = '\0';
    assert_false(asked_note(&asked, 1, "ann", text, 1));
    assert_false(asked_note(&asked, 1, text, "r", 1));
    for (unsigned i = 0; i < ASKED_MAX; i++) {
        snprintf(text, sizeof text, "r%u", i);
        assert_true(asked_note(&asked, 1, "ann", text, 1));
    }
    assert_false(asked_note(&asked, 1, "ann", "more", 1));
    assert_true(asked_take(&asked, "ann", "r77"));
    assert_true(asked_note(&asked, 1, "ann", "more", 1));
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(each_is_taken_once),
                                       TEST(those_of_an_ended_link_come_out_in_order),
                                       TEST(what_waited_too_long_comes_out), TEST(so_many_and_no_more)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
