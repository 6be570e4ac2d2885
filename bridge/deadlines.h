/* Many deadlines over one timer of the clock: a heap, so that an idle connection costs 16 bytes for its next
 * moment and no timer of its own.
 *
 * Flow:   session, socket -> deadlines_set -> clock_port -> the owner's function.
 * Thread: the service's loop.
 * Owns:   the heap and its timer; a struct deadline is embedded in its owner, who clears it before it goes.
 */
#ifndef PARLOR_BRIDGE_DEADLINES_H
#define PARLOR_BRIDGE_DEADLINES_H

#include "core/ports.h"

#include <stdbool.h>
#include <stdint.h>

struct deadline {
    int64_t at_ns; /* monotonic */
    uint32_t slot; /* in the heap, from 1; 0: not set */
};

/* The deadline has passed and is no longer set. It may be set again, or any be cleared. */
typedef void (*deadline_fn)(void *context, struct deadline *deadline);

struct deadlines;

struct deadlines *deadlines_create(struct clock_port *clock, deadline_fn fn, void *context);
void deadlines_destroy(struct deadlines **deadlines);

/* Sets or moves it to delay_ms from now. */
void deadlines_set(struct deadlines *deadlines, struct deadline *deadline, int64_t delay_ms);
/* Sets it again from the moment that it was set for, so that a timer which is a little late (10 ms at most)
 * does not add up; called from its function. */
void deadlines_repeat(struct deadlines *deadlines, struct deadline *deadline, int64_t delay_ms);
/* True when it is set and has passed, though its timer may not have run yet. */
bool deadlines_passed(const struct deadlines *deadlines, const struct deadline *deadline);
void deadlines_clear(struct deadlines *deadlines, struct deadline *deadline); /* also when it isn't set */

#endif
