/* What of typing gets through, and when it ends by itself. */
#include "plugin/typing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define S INT64_C(1000000000)

static const struct uuid room = {{1}}, other_room = {{2}};

static int note(struct typing *t, const struct uuid *where, const char *user, bool on, int qos, bool limited,
                int64_t now_ns)
{
    struct typing_said said = {.room = where, .user = user, .size = strlen(user), .on = on, .qos = qos};
    return typing_note(t, &said, limited, now_ns);
}

static bool says(struct typing *t, const char *user, bool on, int64_t now_ns)
{
    return note(t, &room, user, on, 0, true, now_ns) == 0;
}

/* The next who ends, "-" when there is none. */
static const char *ends(struct typing *t, int64_t now_ns)
{
    static struct typing_end end;
    if (!typing_expired(t, now_ns, &end))
        return "-";
    assert_true(uuid_equal(&end.room, &room));
    return end.user;
}

static void once_a_second(void **state)
{
    (void)state;
    struct typing *t = typing_create();
    assert_true(says(t, "ann", true, S));
    assert_false(says(t, "ann", true, S + S / 2));
    assert_true(says(t, "bob", true, S + S / 2));
    assert_int_equal(note(t, &other_room, "ann", true, 0, true, S + S / 2), 0);
    assert_true(says(t, "ann", true, 2 * S));
    assert_true(says(t, "ann", false, 2 * S + 1));
    assert_false(says(t, "ann", false, 2 * S + 2));
    assert_false(says(t, "ann", true, 2 * S + 3));
    assert_false(says(t, "ann", false, 2 * S + 4)); /* what did not begin does not end */
    assert_int_equal(note(t, &room, "ann", true, 0, false, 2 * S + 5), 0);
    typing_destroy(&t);
}

static void ends_by_itself(void **state)
{
    (void)state;
    struct typing *t = typing_create();
    says(t, "ann", true, S);
    says(t, "bob", true, 2 * S);
    says(t, "eve", true, 2 * S);
    says(t, "ann", true, 3 * S);
    says(t, "eve", false, 4 * S);
    assert_string_equal(ends(t, 8 * S - 1), "-");
    assert_string_equal(ends(t, 8 * S), "bob");
    assert_string_equal(ends(t, 8 * S), "-"); /* eve has ended */
    assert_string_equal(ends(t, 9 * S), "ann");
    assert_string_equal(ends(t, 90 * S), "-");
    assert_false(says(t, "ann", false, 91 * S));
    typing_destroy(&t);
}

static void ends_with_leaving(void **state)
{
    (void)state;
    struct typing *t = typing_create();
    typing_leave(t, &room, "ann", 3); /* who does not type */
    says(t, "ann", true, S);
    says(t, "bob", true, S);
    says(t, "eve", true, S);
    says(t, "eve", false, S);
    typing_leave(t, &other_room, "bob", 3);
    assert_string_equal(ends(t, 2 * S), "-");
    typing_leave(t, &room, "eve", 3);
    typing_leave(t, &room, "bob", 3);
    assert_string_equal(ends(t, 2 * S), "bob");
    assert_string_equal(ends(t, 2 * S), "-");
    assert_false(says(t, "bob", false, 2 * S));
    typing_leave(t, &room, "ann", 3);
    assert_true(says(t, "ann", true, 2 * S)); /* is back before it was told */
    assert_string_equal(ends(t, 2 * S), "-");
    assert_string_equal(ends(t, 8 * S), "ann");
    typing_destroy(&t);
}

static void ends_at_the_qos_of_the_beginning(void **state)
{
    (void)state;
    struct typing *t = typing_create();
    struct typing_end end;
    assert_int_equal(note(t, &room, "ann", true, 1, true, S), 1);
    assert_int_equal(note(t, &room, "ann", true, 0, true, 2 * S), 0);
    assert_int_equal(note(t, &room, "ann", false, 0, true, 2 * S), 1);
    assert_int_equal(note(t, &room, "ann", true, 0, true, 3 * S), 0);
    assert_true(typing_expired(t, 9 * S, &end));
    assert_int_equal(end.qos, 0);
    assert_int_equal(note(t, &room, "ann", true, 1, true, 9 * S), 1);
    assert_true(typing_expired(t, 15 * S, &end));
    assert_int_equal(end.qos, 1);
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
    clock_t from = clock();
    typing_destroy(&t);
    assert_true(clock() - from < CLOCKS_PER_SEC); /* one walk, not one for each entry, which takes ten */
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
    /* Members are given it as it is: what is no JSON is nothing. */
    assert_int_equal(parse("{\"isTyping\":true}}"), -1);
    assert_int_equal(parse("{\"isTyping\":false} x"), -1);
    assert_int_equal(parse("{\"isTyping\":true,"), -1);
    assert_int_equal(parse("{\"isTyping\":true,x}"), -1);
    assert_int_equal(parse("{\"isTyping\":true,\"x\":\"\xff\"}"), -1);
    assert_int_equal(parse("{\"isTyping\":true,\"isTyping\":false}"), -1);
    assert_int_equal(parse("{\"isTyping\":true,\"x\":[\"\xc3\xbc\"]}\n"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_a_second),     cmocka_unit_test(ends_by_itself),
        cmocka_unit_test(ends_with_leaving), cmocka_unit_test(ends_at_the_qos_of_the_beginning),
        cmocka_unit_test(has_a_limit),       cmocka_unit_test(payloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
