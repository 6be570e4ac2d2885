/* The body of a request as it comes, in memory, within the bounds of one body and of all bodies together.
 *
 * Flow:   listener -> intake_put -> request.body.
 * Thread: the listener's.
 * Owns:   the bytes, until intake_drop. */
#ifndef PARLOR_HTTP_INTAKE_H
#define PARLOR_HTTP_INTAKE_H

#include "core/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define INTAKE_DISCARD_MAX (4 * 1024 * 1024) /* read past a bound before the connection is cut */

struct intake {
    struct buf body;
    size_t bytes_max, discarded;
    bool refused; /* over a bound without having said so: the rest is read and dropped */
    bool full;    /* ... for want of memory, not for its size */
};

/* `all`: bytes of all bodies in memory, at most all_max before another one begins or grows. */
bool intake_put(struct intake *intake, size_t *all, size_t all_max, const char *data,
                size_t size); /* false: cut it off */
void intake_drop(struct intake *intake, size_t *all);

#endif
