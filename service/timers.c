#include "service/timers.h"

#include "core/buf.h"

#include <stdlib.h>

#define CAPACITY_MIN 64

struct timer {
    int64_t due_ns;
    uint64_t order;
    timer_fn fn;
    void *context;
    size_t at; /* its place in the heap */
};

static bool is_before(const struct timer *a, const struct timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void put(struct timers *t, size_t at, struct timer *timer)
{
    t->heap[at] = timer;
    timer->at = at;
}

static void rise(struct timers *t, struct timer *timer)
{
    size_t at = timer->at;
    while (at > 0 && is_before(timer, t->heap[(at - 1) / 2])) {
        put(t, at, t->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(t, at, timer);
}

static void sink(struct timers *t, struct timer *timer)
{
    size_t at = timer->at;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= t->count)
            break;
        if (child + 1 < t->count && is_before(t->heap[child + 1], t->heap[child]))
            child++;
        if (!is_before(t->heap[child], timer))
            break;
        put(t, at, t->heap[child]);
        at = child;
    }
    put(t, at, timer);
}

static void take_out(struct timers *t, struct timer *timer)
{
    struct timer *last = t->heap[--t->count];
    if (last == timer)
        return;
    put(t, timer->at, last);
    rise(t, last);
    sink(t, last);
}

void timers_finish(struct timers *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->heap[i]);
    free(t->heap);
    *t = (struct timers){0};
}

struct timer *timers_start(struct timers *t, int64_t due_ns, timer_fn fn, void *context)
{
    if (t->count == t->capacity) {
        t->capacity = t->capacity ? 2 * t->capacity : CAPACITY_MIN;
        t->heap = mem_realloc(t->heap, t->capacity * sizeof *t->heap);
    }
    struct timer *timer = mem_alloc(sizeof *timer);
    *timer = (struct timer){due_ns, t->order++, fn, context, t->count};
    t->count++;
    rise(t, timer);
    return timer;
}

void timers_cancel(struct timers *t, struct timer **timer)
{
    if (!*timer)
        return;
    take_out(t, *timer);
    free(*timer);
    *timer = NULL;
}

int64_t timers_due_ns(const struct timers *t)
{
    return t->count > 0 ? t->heap[0]->due_ns : -1;
}

void timers_run(struct timers *t, int64_t now_ns)
{
    uint64_t newer = t->order; /* started by those that run: their turn comes next time */
    while (t->count > 0 && t->heap[0]->due_ns <= now_ns && t->heap[0]->order < newer) {
        struct timer timer = *t->heap[0];
        struct timer *gone = t->heap[0];
        take_out(t, gone);
        free(gone);
        timer.fn(timer.context);
    }
}
