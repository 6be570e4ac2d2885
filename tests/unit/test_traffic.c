/* Requests counted by route and status. */
#include "http/traffic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MS INT64_C(1000000)

static const struct route routes[] = {
    {.method = "GET", .pattern = "/rooms"}, {.method = "POST", .pattern = "/rooms/:id"}, {.method = NULL}};

static void assert_printed(const struct traffic *t, const char *line, bool there)
{
    struct buf out = {0};
    traffic_print(t, &out);
    if ((strstr(out.data, line) != NULL) != there)
        fail_msg("%s `%s` in\n%s", there ? "no" : "a", line, out.data);
    buf_finish(&out);
}

static void counts_by_route_and_status(void **state)
{
    (void)state;
    struct traffic *t = traffic_create(routes);
    traffic_note(t, &routes[0], 200, 2 * MS);
    traffic_note(t, &routes[0], 200, 3000 * MS);
    traffic_note(t, &routes[0], 404, 1);
    traffic_note(t, NULL, 405, 1);
    assert_printed(t, "parlor_http_requests_total{method=\"GET\",route=\"/rooms\",status=\"200\"} 2\n", true);
    assert_printed(t, "parlor_http_requests_total{method=\"GET\",route=\"/rooms\",status=\"404\"} 1\n", true);
    assert_printed(t, "parlor_http_requests_total{method=\"other\",route=\"none\",status=\"405\"} 1\n", true);
    assert_printed(t, "parlor_http_request_duration_seconds_count{method=\"GET\",route=\"/rooms\"} 3\n",
                   true);
    assert_printed(
        t, "parlor_http_request_duration_seconds_bucket{method=\"GET\",route=\"/rooms\",le=\"1\"} 2\n", true);
    assert_printed(t, "/rooms/:id", false); /* nobody asked for it */
    traffic_destroy(&t);
    assert_null(t);
}

static void what_is_no_status_is_not_counted(void **state)
{
    (void)state;
    struct traffic *t = traffic_create(routes);
    traffic_note(t, &routes[1], 0, 1);
    traffic_note(t, &routes[1], 600, 1);
    traffic_note(NULL, &routes[1], 200, 1);
    assert_printed(t, "/rooms/:id", false);
    traffic_destroy(&t);
    traffic_destroy(&t);
    traffic_destroy(NULL);
}

/* More statuses than are kept: the first ones stay right, and nothing is written past them. */
static void statuses_are_bounded(void **state)
{
    (void)state;
    struct traffic *t = traffic_create(routes);
    for (int status = 200; status < 300; status++)
        traffic_note(t, &routes[1], status, MS);
    traffic_note(t, &routes[1], 200, MS);
    assert_printed(t, "route=\"/rooms/:id\",status=\"200\"} 2\n", true);
    assert_printed(t, "route=\"/rooms/:id\",status=\"299\"}", false);
    assert_printed(t, "duration_seconds_count{method=\"POST\",route=\"/rooms/:id\"} 101\n", true);
    assert_printed(t, "route=\"/rooms\"", false);
    traffic_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_by_route_and_status),
                                       cmocka_unit_test(what_is_no_status_is_not_counted),
                                       cmocka_unit_test(statuses_are_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
