/* The table of connections: who is behind a pointer, take-overs, offline sessions, expiry in order. */
#include "plugin/clients.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char handles[4096]; /* stand for the broker's pointers */

static struct token token_of(const char *user, int64_t expires_at_s)
{
    struct token token = {.role = ROLE_USER, .expires_at_s = expires_at_s};
    snprintf(token.user, sizeof token.user, "%s", user);
    return token;
}

static struct client *add(struct clients *c, size_t handle, const char *id, const char *user)
{
    struct token token = token_of(user, 1000);
    return clients_add(c, &handles[handle], id, &token, false);
}

static void finds_by_pointer_and_by_id(void **state)
{
    (void)state;
    struct clients *c = clients_create(10);
    struct client *a = add(c, 1, "alice:phone", "alice");
    assert_ptr_equal(clients_find(c, &handles[1]), a);
    assert_null(clients_find(c, &handles[2]));
    assert_ptr_equal(clients_holder(c, "alice:phone"), a);
    assert_null(clients_holder(c, "alice:desk"));
    assert_string_equal(a->person->user, "alice");
    add(c, 2, "x", "alice");
    assert_int_equal(clients_connected(c, "alice"), 2);
    assert_int_equal(clients_connected(c, "bob"), 0);
    clients_destroy(&c);
}

static void forgets_a_client_without_a_session(void **state)
{
    (void)state;
    struct clients *c = clients_create(10);
    add(c, 1, "auto-1", "alice");
    clients_disconnected(c, &handles[1]);
    clients_disconnected(c, &handles[1]); /* may come twice */
    clients_disconnected(c, &handles[9]); /* and for strangers */
    assert_null(clients_find(c, &handles[1]));
    assert_int_equal(clients_count(c), 0);
    clients_destroy(&c);
}

static void remembers_a_session_while_it_is_offline(void **state)
{
    (void)state;
    struct clients *c = clients_create(10);
    add(c, 1, "alice:phone", "alice");
    clients_disconnected(c, &handles[1]);
    struct client *a = clients_find(c, &handles[1]);
    assert_non_null(a);
    assert_false(a->connected);
    assert_null(clients_holder(c, "alice:phone"));
    assert_int_equal(clients_connected(c, "alice"), 0);
    enum client_due due;
    assert_null(clients_due(c, 5000, &due)); /* nobody is there to be told */
    add(c, 2, "alice:phone", "alice");
    assert_null(clients_find(c, &handles[1])); /* the new connection has the session */
    assert_int_equal(clients_count(c), 1);
    clients_destroy(&c);
}

static void id_that_only_begins_like_the_user_is_no_session(void **state)
{
    (void)state;
    struct clients *c = clients_create(10);
    add(c, 1, "alice2:x", "alice");
    add(c, 2, "alice", "alice");
    clients_disconnected(c, &handles[1]);
    clients_disconnected(c, &handles[2]);
    assert_int_equal(clients_count(c), 0);
    clients_destroy(&c);
}

static void offline_ones_are_bounded(void **state)
{
    (void)state;
    struct clients *c = clients_create(3);
    for (size_t i = 0; i < 5; i++) {
        char id[32];
        snprintf(id, sizeof id, "alice:%zu", i);
        add(c, i, id, "alice");
        clients_disconnected(c, &handles[i]);
    }
    assert_int_equal(clients_count(c), 3);
    assert_null(clients_find(c, &handles[0]));
    assert_null(clients_find(c, &handles[1]));
    assert_non_null(clients_find(c, &handles[2]));
    clients_destroy(&c);
}

static void replaced_one_says_nothing_more(void **state)
{
    (void)state;
    struct clients *c = clients_create(10);
    struct client *old = add(c, 1, "alice:phone", "alice");
    struct client *new = add(c, 2, "alice:phone", "alice");
    assert_false(old->connected);
    assert_true(old->replaced);
    assert_ptr_equal(clients_holder(c, "alice:phone"), new);
    assert_int_equal(clients_connected(c, "alice"), 1);
    clients_disconnected(c, &handles[1]);
    assert_null(clients_find(c, &handles[1]));
    assert_ptr_equal(clients_find(c, &handles[2]), new);
    clients_destroy(&c);
}

static void foreign_one_holds_its_id(void **state)
{
    (void)state;
    struct clients *c = clients_create(10);
    struct client *sensor = clients_add(c, &handles[1], "sensor", NULL, false);
    assert_null(sensor->person);
    assert_ptr_equal(clients_holder(c, "sensor"), sensor);
    /* A second one that fails its password must not let go of the id of the first. */
    clients_add(c, &handles[2], "sensor", NULL, false);
    clients_disconnected(c, &handles[2]);
    assert_ptr_equal(clients_holder(c, "sensor"), sensor);
    clients_disconnected(c, &handles[1]);
    assert_null(clients_holder(c, "sensor"));
    assert_int_equal(clients_count(c), 0);
    clients_destroy(&c);
}

static void pointer_that_comes_again_is_somebody_new(void **state)
{
    (void)state;
    struct clients *c = clients_create(10);
    add(c, 1, "alice:phone", "alice");
    clients_disconnected(c, &handles[1]);
    struct client *bob = add(c, 1, "bob:phone", "bob");
    assert_ptr_equal(clients_find(c, &handles[1]), bob);
    assert_int_equal(clients_count(c), 1);
    clients_destroy(&c);
}

static void warns_then_expires_in_order(void **state)
{
    (void)state;
    struct clients *c = clients_create(10);
    enum client_due due;
    for (size_t i = 0; i < 100; i++) {
        char id[32];
        struct token token = token_of("alice", 1000 + (int64_t)(i * 37 % 50));
        snprintf(id, sizeof id, "c%zu", i);
        clients_add(c, &handles[i], id, &token, false);
    }
    assert_null(clients_due(c, 1000 - EXPIRY_WARNING_S - 1, &due));
    int64_t last_s = 0;
    for (size_t i = 0; i < 100; i++) {
        struct client *client = clients_due(c, 1049 - EXPIRY_WARNING_S, &due);
        assert_non_null(client);
        assert_int_equal(due, CLIENT_EXPIRING);
        assert_true(client->expires_at_s >= last_s);
        last_s = client->expires_at_s;
    }
    assert_null(clients_due(c, 999, &due));
    struct client *first = clients_due(c, 1000, &due);
    assert_int_equal(due, CLIENT_EXPIRED);
    assert_int_equal(first->expires_at_s, 1000);
    clients_destroy(&c);
}

static void renewed_one_is_warned_again(void **state)
{
    (void)state;
    struct clients *c = clients_create(10);
    enum client_due due;
    struct client *a = add(c, 1, "alice:phone", "alice"); /* until 1000 */
    assert_ptr_equal(clients_due(c, 950, &due), a);
    clients_renew(c, a, 2000);
    assert_null(clients_due(c, 1500, &due));
    assert_ptr_equal(clients_due(c, 1950, &due), a);
    assert_int_equal(due, CLIENT_EXPIRING);
    assert_ptr_equal(clients_due(c, 2000, &due), a);
    assert_int_equal(due, CLIENT_EXPIRED);
    assert_null(clients_due(c, 3000, &due));
    clients_destroy(&c);
}

static void counts_websockets(void **state)
{
    (void)state;
    struct clients *c = clients_create(10);
    struct token token = token_of("alice", 1000);
    clients_add(c, &handles[1], "a", &token, true);
    clients_add(c, &handles[2], "b", NULL, true); /* gets nothing of ours */
    assert_int_equal(clients_websockets(c), 1);
    clients_disconnected(c, &handles[1]);
    assert_int_equal(clients_websockets(c), 0);
    clients_destroy(&c);
}

static void unheard_ones_are_taken_once(void **state)
{
    (void)state;
    struct clients *c = clients_create(10);
    size_t count;
    assert_null(clients_take_unheard(c, &count));
    add(c, 1, "a", "alice")->unheard = true;
    add(c, 2, "b", "bob");
    add(c, 3, "carol:1", "carol")->unheard = true;
    clients_disconnected(c, &handles[3]);
    char **ids = clients_take_unheard(c, &count);
    assert_int_equal(count, 1);
    assert_string_equal(ids[0], "a");
    free(ids[0]);
    free(ids);
    assert_null(clients_take_unheard(c, &count));
    assert_int_equal(count, 0);
    clients_destroy(&c);
}

static void holds_thousands(void **state)
{
    (void)state;
    struct clients *c = clients_create(10);
    for (size_t i = 0; i < sizeof handles; i++) {
        char id[32], user[32];
        snprintf(id, sizeof id, "c%zu", i);
        snprintf(user, sizeof user, "u%zu", i % 100);
        add(c, i, id, user);
    }
    for (size_t i = 0; i < sizeof handles; i += 2)
        clients_disconnected(c, &handles[i]);
    for (size_t i = 0; i < sizeof handles; i++)
        assert_true((clients_find(c, &handles[i]) != NULL) == (i % 2 == 1));
    assert_int_equal(clients_connected(c, "u1"), (sizeof handles - 1) / 100 + 1);
    assert_int_equal(clients_connected(c, "u2"), 0);
    clients_destroy(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_by_pointer_and_by_id),
        cmocka_unit_test(forgets_a_client_without_a_session),
        cmocka_unit_test(unheard_ones_are_taken_once),
        cmocka_unit_test(remembers_a_session_while_it_is_offline),
        cmocka_unit_test(id_that_only_begins_like_the_user_is_no_session),
        cmocka_unit_test(offline_ones_are_bounded),
        cmocka_unit_test(replaced_one_says_nothing_more),
        cmocka_unit_test(foreign_one_holds_its_id),
        cmocka_unit_test(pointer_that_comes_again_is_somebody_new),
        cmocka_unit_test(warns_then_expires_in_order),
        cmocka_unit_test(renewed_one_is_warned_again),
        cmocka_unit_test(counts_websockets),
        cmocka_unit_test(holds_thousands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
