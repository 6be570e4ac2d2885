/* What of typing gets through, and when it ends by itself. */
#include "plugin/typing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S INT64_C(1000000000)

static const struct uuid room = {{1}}, other_room = {{2}};

static bool says(struct typing *t, const char *user, bool on, int64_t now_ns)
{
    return typing_note(t, &room, user, strlen(user), on, true, now_ns);
}

static void once_a_second(void **state)
{
    (void)state;
    struct typing *t = typing_create();
    assert_true(says(t, "ann", true, S));
    assert_false(says(t, "ann", true, S + S / 2));
    assert_true(says(t, "bob", true, S + S / 2));
    assert_true(typing_note(t, &other_room, "ann", 3, true, true, S + S / 2));
    assert_true(says(t, "ann", true, 2 * S));
    assert_true(says(t, "ann", false, 2 * S + 1));
    assert_false(says(t, "ann", false, 2 * S + 2));
    assert_false(says(t, "ann", true, 2 * S + 3));
    assert_false(says(t, "ann", false, 2 * S + 4)); /* what did not begin does not end */
    assert_true(typing_note(t, &room, "ann", 3, true, false, 2 * S + 5));
    typing_destroy(&t);
}

static void ends_by_itself(void **state)
{
    (void)state;
    struct typing *t = typing_create();
    struct uuid where;
    char who[USER_ID_MAX + 1];
    says(t, "ann", true, S);
    says(t, "bob", true, 2 * S);
    says(t, "eve", true, 2 * S);
    says(t, "ann", true, 3 * S);
    says(t, "eve", false, 4 * S);
    assert_false(typing_expired(t, 8 * S - 1, &where, who));
    assert_true(typing_expired(t, 8 * S, &where, who));
    assert_string_equal(who, "bob");
    assert_true(uuid_equal(&where, &room));
    assert_false(typing_expired(t, 8 * S, &where, who)); /* eve has ended */
    assert_true(typing_expired(t, 9 * S, &where, who));
    assert_string_equal(who, "ann");
    assert_false(typing_expired(t, 90 * S, &where, who));
    assert_false(says(t, "ann", false, 91 * S));
    typing_destroy(&t);
}

static void has_a_limit(void **state)
{
    (void)state;
    struct typing *t = typing_create();
    char user[16];
    for (int i = 0; i < TYPING_MAX; i++) {
        snprintf(user, sizeof user, "u%d", i);
        assert_true(says(t, user, true, S));
    }
    assert_false(says(t, "more", true, S));
    assert_true(says(t, "u7", true, 3 * S));
    typing_destroy(&t);
}

static int parse(const char *text)
{
    return typing_parse(text, strlen(text));
}

static void payloads(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"isTyping\":true}"), 1);
    assert_int_equal(parse(" { \"isTyping\" : false , \"x\":1}"), 0);
    assert_int_equal(parse(""), -1);
    assert_int_equal(parse("{}"), -1);
    assert_int_equal(parse("{\"isTyping\":1}"), -1);
    assert_int_equal(parse("{\"isTyping\":trueish}"), -1);
    assert_int_equal(parse("{\"isTyping\":true"), -1);
    assert_int_equal(parse("true"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_a_second),
        cmocka_unit_test(ends_by_itself),
        cmocka_unit_test(has_a_limit),
        cmocka_unit_test(payloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
