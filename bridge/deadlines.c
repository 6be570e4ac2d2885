#include "bridge/deadlines.h"

#include <stdlib.h>

#define NS_PER_MS   1000000
#define LATE_NS_MAX (10 * NS_PER_MS)

struct deadlines {
    struct clock_port *clock;
    deadline_fn fn;
    void *context;
    struct deadline **heap; /* from slot 1; the earliest is first */
    uint32_t count, capacity;
    struct timer *timer;
    int64_t timer_ns; /* what it is set for */
    bool running;     /* in on_timer: it sets the timer when it is done */
};

struct deadlines *deadlines_create(struct clock_port *clock, deadline_fn fn, void *context)
{
    struct deadlines *d = mem_zalloc(1, sizeof *d);

    d->clock = clock;
    d->fn = fn;
    d->context = context;
    return d;
}

void deadlines_destroy(struct deadlines **deadlines)
{
    struct deadlines *d = *deadlines;

    if (d == NULL)
        return;
    d->clock->cancel(d->clock, &d->timer);
    free(d->heap);
    free(d);
    *deadlines = NULL;
}

static void place(struct deadlines *d, struct deadline *x, uint32_t slot)
{
    d->heap[slot] = x;
    x->slot = slot;
}

static void sift(struct deadlines *d, struct deadline *x, uint32_t slot)
{
    while (slot > 1 && d->heap[slot / 2]->at_ns > x->at_ns) {
        place(d, d->heap[slot / 2], slot);
        slot /= 2;
    }
    for (;;) {
        uint32_t child = slot * 2;

        if (child > d->count)
            break;
        if (child < d->count && d->heap[child + 1]->at_ns < d->heap[child]->at_ns)
            child++;
        if (d->heap[child]->at_ns >= x->at_ns)
            break;
        place(d, d->heap[child], slot);
        slot = child;
    }
    place(d, x, slot);
}

static void on_timer(void *context);

/* A timer set too early does no harm: it finds nothing due and is set anew. So it is moved only forward, not
 * each time that the first deadline is put off. */
static void arm(struct deadlines *d)
{
    int64_t at, delay_ns;

    if (d->running || d->count == 0)
        return;
    at = d->heap[1]->at_ns;
    if (d->timer != NULL && d->timer_ns <= at)
        return;
    d->clock->cancel(d->clock, &d->timer);
    delay_ns = at - d->clock->mono_ns(d->clock);
    d->timer_ns = at;
    d->timer =
        d->clock->start(d->clock, delay_ns <= 0 ? 0 : (delay_ns + NS_PER_MS - 1) / NS_PER_MS, on_timer, d);
}

static void on_timer(void *context)
{
    struct deadlines *d = context;
    int64_t now = d->clock->mono_ns(d->clock);

    d->timer = NULL;
    d->running = true;
    while (d->count > 0 && d->heap[1]->at_ns <= now) {
        struct deadline *first = d->heap[1];

        deadlines_clear(d, first);
        d->fn(d->context, first);
    }
    d->running = false;
    arm(d);
}

static void set_from(struct deadlines *d, struct deadline *x, int64_t from_ns, int64_t delay_ms)
{
    if (x->slot == 0) {
        if (d->count + 1 >= d->capacity) {
            d->capacity = d->capacity == 0 ? 64 : d->capacity * 2;
            d->heap = mem_realloc(d->heap, d->capacity * sizeof(struct deadline *));
        }
        x->slot = ++d->count;
    }
    x->at_ns = from_ns + delay_ms * NS_PER_MS;
    sift(d, x, x->slot);
    arm(d);
}

void deadlines_set(struct deadlines *d, struct deadline *x, int64_t delay_ms)
{
    set_from(d, x, d->clock->mono_ns(d->clock), delay_ms);
}

void deadlines_repeat(struct deadlines *d, struct deadline *x, int64_t delay_ms)
{
    int64_t now = d->clock->mono_ns(d->clock);

    set_from(d, x, now - x->at_ns <= LATE_NS_MAX ? x->at_ns : now, delay_ms);
}

bool deadlines_passed(const struct deadlines *d, const struct deadline *x)
{
    return x->slot != 0 && x->at_ns <= d->clock->mono_ns(d->clock);
}

void deadlines_clear(struct deadlines *d, struct deadline *x)
{
    uint32_t slot = x->slot;
    struct deadline *last;

    if (slot == 0)
        return;
    x->slot = 0;
    last = d->heap[d->count--];
    if (last != x)
        sift(d, last, slot);
}
