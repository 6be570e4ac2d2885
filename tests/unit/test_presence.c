/* Online while any connection lives, offline after the grace. */
#include "core/buf.h"
#include "plugin/presence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MS INT64_C(1000000)

static struct buf told;

static void on_changed(void *context, const char *user, bool online, int64_t since_ms)
{
    (void)context;
    buf_printf(&told, "%s %s %d\n", user, online ? "on" : "off", (int)since_ms);
}

static int set_up(void **state)
{
    *state = presence_create(5000, on_changed, NULL);
    return 0;
}

static int tear_down(void **state)
{
    struct presence *p = *state;
    presence_destroy(&p);
    buf_finish(&told);
    return 0;
}

static void set(struct presence *p, const char *user, unsigned source, bool here, int64_t at_ms)
{
    presence_set(p, user, strlen(user), source, here, at_ms * MS, at_ms);
}

static void assert_told(const char *text)
{
    assert_string_equal(told.data != NULL ? told.data : "", text);
    buf_clear(&told);
    buf_put_text(&told, "");
}

static void any_connection_counts(void **state)
{
    struct presence *p = *state;
    set(p, "ann", PRESENCE_MQTT, true, 1);
    assert_told("ann on 1\n");
    set(p, "ann", 0, true, 2);
    set(p, "ann", PRESENCE_MQTT, false, 3);
    set(p, "ann", 1, false, 3); /* never was there */
    presence_due(p, 60000 * MS);
    assert_told("");
    set(p, "ann", 0, false, 70000);
    presence_due(p, 74999 * MS);
    assert_told("");
    presence_due(p, 75000 * MS);
    assert_told("ann off 70000\n");
    assert_int_equal(presence_count(p), 0);
    presence_due(p, 90000 * MS);
    assert_told("");
}

static void a_reconnect_is_no_change(void **state)
{
    struct presence *p = *state;
    set(p, "ann", PRESENCE_MQTT, true, 1);
    set(p, "bob", PRESENCE_MQTT, true, 1);
    assert_told("ann on 1\nbob on 1\n");
    set(p, "ann", PRESENCE_MQTT, false, 10);
    set(p, "bob", PRESENCE_MQTT, false, 11);
    set(p, "ann", 3, true, 4000);
    presence_due(p, 5011 * MS);
    assert_told("bob off 11\n");
    set(p, "ann", 3, false, 6000);
    presence_due(p, 11000 * MS);
    assert_told("ann off 6000\n");
}

static void a_node_takes_its_users_along(void **state)
{
    struct presence *p = *state;
    set(p, "ann", 2, true, 1);
    set(p, "bob", 2, true, 1);
    set(p, "bob", 4, true, 1);
    buf_clear(&told);
    presence_drop_source(p, 2, 100 * MS, 100);
    presence_each(p, on_changed, NULL);
    assert_non_null(strstr(told.data, "ann on 100\n")); /* in its grace */
    assert_non_null(strstr(told.data, "bob on 1\n"));
    buf_clear(&told);
    presence_due(p, 6000 * MS);
    assert_told("ann off 100\n");
}

static void one_is_shown_once(void **state)
{
    struct presence *p = *state;
    int64_t since_ms = 0;
    assert_false(presence_take_unshown(p, "ann", 3, &since_ms));
    set(p, "ann", 2, true, 7);
    assert_false(presence_is_shown(p, "ann", 3));
    assert_true(presence_take_unshown(p, "ann", 3, &since_ms));
    assert_int_equal(since_ms, 7);
    assert_false(presence_take_unshown(p, "ann", 3, &since_ms));
    assert_true(presence_is_shown(p, "ann", 3));
    set(p, "ann", 2, false, 8);
    set(p, "ann", 2, true, 9); /* within the grace: the same stay */
    assert_true(presence_is_shown(p, "ann", 3));
    set(p, "ann", 2, false, 10);
    presence_due(p, 60000 * MS);
    set(p, "ann", 2, true, 70000);
    assert_true(presence_take_unshown(p, "ann", 3, &since_ms));
    assert_int_equal(since_ms, 70000);
    buf_clear(&told);
}

/* Kept of the newest, once, until they come again. */
static void who_left_unseen_is_kept(void **state)
{
    struct presence *p = *state;
    char name[16];
    int64_t since_ms = 0;
    for (int i = 0; i <= PRESENCE_KEPT_MAX; i++)
        presence_keep(p, name, (size_t)snprintf(name, sizeof name, "u%d", i), i);
    assert_false(presence_take_kept(p, "u0", 2, &since_ms));
    assert_true(presence_take_kept(p, "u1", 2, &since_ms));
    assert_int_equal(since_ms, 1);
    assert_false(presence_take_kept(p, "u1", 2, &since_ms));
    set(p, "u2", 0, true, 5);
    assert_false(presence_take_kept(p, "u2", 2, &since_ms));
    assert_told("u2 on 5\n");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(any_connection_counts), CASE(a_reconnect_is_no_change), CASE(a_node_takes_its_users_along),
        CASE(one_is_shown_once),     CASE(who_left_unseen_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
