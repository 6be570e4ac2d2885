/* Those who wait until a version of the membership is applied everywhere.
 *
 * Flow:   broker_port.barrier -> here -> done. Thread: the loop's.
 * Owns:   those that wait, until they were told. */
#ifndef PARLOR_SERVICE_BARRIERS_H
#define PARLOR_SERVICE_BARRIERS_H

#include "core/ports.h"

#include <stdbool.h>
#include <stdint.h>

struct barrier;

/* Ready for use when all but the clock is zero. */
struct barriers {
    struct clock_port *clock;
    struct barrier *first;
};

void barriers_add(struct barriers *b, int64_t version, int64_t timeout_ms, broker_barrier_fn done,
                  void *context);

/* `version` is applied: those that wait for it or less are over. */
void barriers_reach(struct barriers *b, int64_t version);

/* Tells those that are over, reached or late; true when there were any. */
bool barriers_tell(struct barriers *b);

/* Tells all that are left that they were not reached. */
void barriers_finish(struct barriers *b);

#endif
