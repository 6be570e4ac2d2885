/* Which handler a method and a path find, and what is told when none is. */
#include "http/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void handle(struct exchange *x)
{
    (void)x;
}

static const struct route routes[] = {
    {"GET", "/rooms", handle, 0, NULL},
    {"POST", "/rooms", handle, 0, NULL},
    {"GET", "/rooms/:id", handle, 0, NULL},
    {"PATCH", "/rooms/:id/participants/:user", handle, 0, NULL},
    {"GET", "/healthz", handle, ROUTE_ADMIN, NULL},
    {"GET", "/metrics", handle, ROUTE_ADMIN | ROUTE_HIDDEN, NULL},
    {NULL, NULL, NULL, 0, NULL},
};

static struct route_match match(const char *method, const char *path, bool admin)
{
    struct route_match m;
    router_match(routes, method, path, admin, &m);
    return m;
}

static bool part_is(const struct route_part *part, const char *text)
{
    return part->size == strlen(text) && memcmp(part->text, text, part->size) == 0;
}

static void test_found(void **state)
{
    (void)state;
    assert_ptr_equal(match("GET", "/rooms", false).route, &routes[0]);
    assert_ptr_equal(match("POST", "/rooms", false).route, &routes[1]);
    assert_ptr_equal(match("HEAD", "/rooms", false).route, &routes[0]);
    assert_ptr_equal(match("GET", "/rooms/", false).route, &routes[0]);
    struct route_match m = match("GET", "/rooms/abc", false);
    assert_ptr_equal(m.route, &routes[2]);
    assert_true(part_is(&m.parts[0], "abc"));
    m = match("PATCH", "/rooms/a/participants/b@c", false);
    assert_ptr_equal(m.route, &routes[3]);
    assert_true(part_is(&m.parts[0], "a"));
    assert_true(part_is(&m.parts[1], "b@c"));
}

static void test_unknown_paths(void **state)
{
    (void)state;
    static const char *const paths[] = {"/",          "",           "/room",      "/roomss",
                                        "/rooms/a/b", "//rooms",    "/rooms//",   "/rooms/a/participants",
                                        "/Rooms",     "rooms",      "/rooms/a//", "/rooms/a/participants//",
                                        "/healthz/x", "/rooms/a/?", "/healthzz"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct route_match m = match("GET", paths[i], false);
        assert_null(m.route);
        assert_false(m.path_known);
    }
}

static void test_other_methods(void **state)
{
    (void)state;
    struct route_match m = match("DELETE", "/rooms", false);
    assert_null(m.route);
    assert_true(m.path_known);
    assert_string_equal(m.allow, "GET, HEAD, POST, OPTIONS");
    m = match("OPTIONS", "/rooms/a", false);
    assert_string_equal(m.allow, "GET, HEAD, OPTIONS");
    assert_false(match("get", "/rooms", false).route != NULL);
    assert_null(match("HEAD", "/rooms/a/participants/b", false).route);
}

static void test_admin_listener(void **state)
{
    (void)state;
    assert_non_null(match("GET", "/healthz", true).route);
    assert_non_null(match("GET", "/healthz", false).route);
    assert_false(match("GET", "/rooms", true).path_known);
    assert_non_null(match("GET", "/metrics", true).route);
    assert_false(match("GET", "/metrics", false).path_known);
    assert_false(match("OPTIONS", "/metrics", false).path_known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_unknown_paths),
        cmocka_unit_test(test_other_methods),
        cmocka_unit_test(test_admin_listener),
    };
    return cmocka_run_group_tests_name("router", tests, NULL, NULL);
}
