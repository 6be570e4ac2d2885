/* Many timers in little memory: a heap ordered by when they are due, driven by whoever owns the loop.
 *
 * Flow:   timers_start -> (loop waits until timers_due_ns) -> timers_run -> fn.
 * Thread: one loop's.
 * Owns:   each timer until it ran or was cancelled; timers_finish drops the rest unrun. */
#ifndef PARLOR_SERVICE_TIMERS_H
#define PARLOR_SERVICE_TIMERS_H

#include "core/ports.h"

#include <stddef.h>
#include <stdint.h>

/* A zeroed struct timers is ready for use. */
struct timers {
    struct timer **heap;
    size_t count, capacity;
    uint64_t order; /* equal times run in the order of their start */
};

void timers_finish(struct timers *t);
struct timer *timers_start(struct timers *t, int64_t due_ns, timer_fn fn, void *context);
void timers_cancel(struct timers *t, struct timer **timer); /* NULL is fine; sets it to NULL */

/* When the next one is due; -1 when there is none. */
int64_t timers_due_ns(const struct timers *t);

/* Runs what is due at now_ns and was there when it was called. */
void timers_run(struct timers *t, int64_t now_ns);

#endif
