/* What is wrong with a request, one sentence a field, gathered so that all is said at once.
 *
 * Flow:   args and handlers add -> exchange_refuse_problems answers 400 with the array.
 * Thread: the service's loop; pure.
 * Owns:   its text, until problems_finish. */
#ifndef PARLOR_HTTP_PROBLEMS_H
#define PARLOR_HTTP_PROBLEMS_H

#include "core/buf.h"

#define PROBLEMS_MAX 20 /* what goes beyond is not listed */

struct problems {
    struct buf list; /* JSON strings, a comma between */
    unsigned count;
};

/* Adds one sentence; a zeroed struct problems is ready for use. */
void problems_add(struct problems *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void problems_finish(struct problems *p);

/* Bytes of a text that was cut to fit, without the piece of a character that the cut may have left. */
size_t problems_whole(const char *text);

#endif
