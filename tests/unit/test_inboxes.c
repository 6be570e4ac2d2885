/* Whose inboxes are listened to: by several filters, several clients, and until a session ends. */
#include "plugin/inboxes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct inboxes *x;

static int set_up(void **state)
{
    (void)state;
    x = inboxes_create();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    inboxes_destroy(&x);
    return 0;
}

static void filters_of_one_client_are_counted_apart(void **state)
{
    (void)state;
    inboxes_add(x, "bob:1", "bob", 3, 1);
    inboxes_add(x, "bob:1", "bob", 3, 1);
    inboxes_add(x, "bob:1", "bob", 3, 2);
    assert_int_equal(inboxes_count(x), 1);
    inboxes_remove(x, "bob:1", "bob", 3, 1);
    assert_true(inboxes_has(x, "bob"));
    inboxes_remove(x, "bob:1", "bob", 3, 1);
    assert_true(inboxes_has(x, "bob"));
    assert_true(inboxes_holds(x, "bob:1", "bob", 3));
    assert_false(inboxes_holds(x, "bob:2", "bob", 3));
    assert_false(inboxes_holds(x, "bob:1", "bobby", 5));
    inboxes_remove(x, "bob:1", "bob", 3, 2);
    assert_false(inboxes_has(x, "bob"));
    assert_false(inboxes_holds(x, "bob:1", "bob", 3));
    assert_int_equal(inboxes_count(x), 0);
}

static void clients_are_counted_apart(void **state)
{
    (void)state;
    inboxes_add(x, "bob:1", "bob", 3, 1);
    inboxes_add(x, "bob:2", "bob", 3, 1);
    inboxes_add(x, "ops", "bob", 3, 1);
    inboxes_add(x, "ops", "bobby", 5, 1);
    inboxes_forget(x, "bob:1");
    inboxes_forget(x, "bob:2");
    assert_true(inboxes_has(x, "bob"));
    inboxes_forget(x, "ops");
    assert_int_equal(inboxes_count(x), 0);
    inboxes_forget(x, "ops");
    inboxes_remove(x, "ops", "bob", 3, 1);
    assert_int_equal(inboxes_count(x), 0);
}

static void note(void *context, const char *user, size_t user_size)
{
    char *all = context;
    size_t used = strlen(all);
    snprintf(all + used, 64 - used, "%.*s ", (int)user_size, user);
}

static void each_user_once(void **state)
{
    (void)state;
    char all[64] = "";
    inboxes_add(x, "a", "ann", 3, 1);
    inboxes_add(x, "b", "bob", 3, 1);
    inboxes_add(x, "c", "cid", 3, 1);
    inboxes_add(x, "b2", "bob", 3, 1);
    inboxes_each(x, note, all);
    assert_string_equal(all, "cid bob ann ");
    inboxes_forget(x, "b");
    inboxes_forget(x, "b2");
    inboxes_forget(x, "c");
    all[0] = '\0';
    inboxes_each(x, note, all);
    assert_string_equal(all, "ann ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(filters_of_one_client_are_counted_apart),
                                       TEST(clients_are_counted_apart), TEST(each_user_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
