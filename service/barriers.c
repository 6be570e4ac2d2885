#include "service/barriers.h"

#include "core/buf.h"

#include <stdlib.h>

struct barrier {
    struct barrier *next;
    int64_t version;
    struct timer *timer;
    bool over, reached;
    broker_barrier_fn done;
    void *context;
};

static void on_late(void *context)
{
    struct barrier *barrier = context;
    barrier->timer = NULL;
    barrier->over = true;
}

void barriers_add(struct barriers *b, int64_t version, int64_t timeout_ms, broker_barrier_fn done,
                  void *context)
{
    struct barrier *barrier = mem_alloc(sizeof *barrier);
    *barrier = (struct barrier){.next = b->first, .version = version, .done = done, .context = context};
    barrier->timer = b->clock->start(b->clock, timeout_ms, on_late, barrier);
    b->first = barrier;
}

void barriers_reach(struct barriers *b, int64_t version)
{
    for (struct barrier *barrier = b->first; barrier; barrier = barrier->next)
        if (!barrier->over && barrier->version <= version)
            barrier->over = barrier->reached = true;
}

/* Takes those that are over off the list, first come first. */
static struct barrier *take_over(struct barriers *b)
{
    struct barrier *over = NULL;
    for (struct barrier **at = &b->first; *at;) {
        struct barrier *barrier = *at;
        if (!barrier->over) {
            at = &barrier->next;
            continue;
        }
        *at = barrier->next;
        barrier->next = over;
        over = barrier;
    }
    return over;
}

bool barriers_tell(struct barriers *b)
{
    struct barrier *over = take_over(b);
    bool any = over != NULL;
    while (over) {
        struct barrier *barrier = over;
        over = barrier->next;
        b->clock->cancel(b->clock, &barrier->timer);
        barrier->done(barrier->context, barrier->reached);
        free(barrier);
    }
    return any;
}

void barriers_finish(struct barriers *b)
{
    for (struct barrier *barrier = b->first; barrier; barrier = barrier->next)
        barrier->over = true;
    barriers_tell(b);
}
