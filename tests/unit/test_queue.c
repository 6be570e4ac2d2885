/* The queue between threads: order, both bounds, what release and close do, waiting. */
#include "plugin/queue.h"

#include "core/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define NS_PER_MS INT64_C(1000000)

static struct queue_node node(size_t bytes)
{
    return (struct queue_node){.bytes = bytes};
}

static void gives_back_in_order(void **state)
{
    (void)state;
    struct queue *q = queue_create(0, 0);
    struct queue_node a = node(1), b = node(1), c = node(1);
    b.next = &c;
    assert_true(queue_empty(q));
    assert_true(queue_push(q, &a));
    queue_push_all(q, &b);
    assert_false(queue_empty(q));
    struct queue_node *first = queue_take(q);
    assert_ptr_equal(first, &a);
    assert_ptr_equal(first->next, &b);
    assert_ptr_equal(first->next->next, &c);
    assert_null(c.next);
    assert_null(queue_take(q));
    queue_destroy(&q);
    assert_null(q);
}

static void counts_what_is_taken_until_released(void **state)
{
    (void)state;
    struct queue *q = queue_create(2, 0);
    struct queue_node a = node(1), b = node(1), c = node(1);
    assert_true(queue_push(q, &a));
    assert_true(queue_push(q, &b));
    assert_false(queue_push(q, &c));
    assert_ptr_equal(queue_take(q), &a);
    assert_false(queue_push(q, &c));
    queue_release(q, 1, 1);
    assert_true(queue_push(q, &c));
    assert_int_equal(queue_count(q), 2);
    queue_take(q);
    queue_destroy(&q);
}

static void is_bounded_by_bytes(void **state)
{
    (void)state;
    struct queue *q = queue_create(0, 100);
    struct queue_node a = node(60), b = node(41), c = node(40), huge = node(101);
    assert_false(queue_push(q, &huge));
    assert_true(queue_push(q, &a));
    assert_false(queue_push(q, &b));
    assert_true(queue_push(q, &c));
    queue_take(q);
    queue_release(q, 2, 100);
    assert_true(queue_push(q, &b));
    queue_take(q);
    queue_destroy(&q);
}

static void takes_nothing_once_closed(void **state)
{
    (void)state;
    struct queue *q = queue_create(0, 0);
    struct queue_node a = node(1), b = node(1);
    assert_true(queue_push(q, &a));
    queue_close(q);
    assert_true(queue_closed(q));
    assert_false(queue_push(q, &b));
    assert_ptr_equal(queue_take(q), &a);
    queue_wait(q, INT64_MAX); /* comes back at once */
    queue_destroy(&q);
}

static void wait_ends_in_time(void **state)
{
    (void)state;
    struct queue *q = queue_create(0, 0);
    int64_t from_ns = clock_mono_ns();
    queue_wait(q, from_ns + 20 * NS_PER_MS);
    assert_true(clock_mono_ns() - from_ns >= 20 * NS_PER_MS);
    queue_destroy(&q);
}

#define NODES 20000

static struct queue_node many[NODES];

static void *push_many(void *context)
{
    for (size_t i = 0; i < NODES; i++) {
        queue_push(context, &many[i]);
        queue_wake(context);
    }
    return NULL;
}

static void another_thread_gets_all_in_order(void **state)
{
    (void)state;
    struct queue *q = queue_create(0, 0);
    pthread_t pusher;
    size_t got = 0;
    assert_int_equal(pthread_create(&pusher, NULL, push_many, q), 0);
    while (got < NODES) {
        queue_wait(q, clock_mono_ns() + 10000 * NS_PER_MS);
        struct queue_node *next = queue_take(q);
        assert_non_null(next);
        for (; next != NULL; next = next->next)
            assert_ptr_equal(next, &many[got++]);
    }
    pthread_join(pusher, NULL);
    queue_destroy(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_in_order), cmocka_unit_test(counts_what_is_taken_until_released),
        cmocka_unit_test(is_bounded_by_bytes), cmocka_unit_test(takes_nothing_once_closed),
        cmocka_unit_test(wait_ends_in_time),   cmocka_unit_test(another_thread_gets_all_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
