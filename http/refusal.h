/* A refusal from outside the router: one error in the contract's shape, with the headers of every answer.
 *
 * Flow:   listener (what is wrong as HTTP), service/main (not now) -> refusal_make -> the answer.
 * Thread: the service's loop.
 * Owns:   its body, until refusal_finish; the headers point into the request. */
#ifndef PARLOR_HTTP_REFUSAL_H
#define PARLOR_HTTP_REFUSAL_H

#include "core/ports.h"
#include "http/cors.h"

#define REFUSAL_HEADERS_MAX (CORS_TEXTS_MAX + 5) /* X-Request-Id, Retry-After and the closing NULL */

struct refusal {
    struct reply reply; /* to be answered while the refusal and its request live */
    struct buf body;
    const char *headers[REFUSAL_HEADERS_MAX];
};

/* `reason`: the status's own words. Texts are plain, as they stand in JSON. `cors_origins` may be NULL. The
 * request must have its id and `header`. Writes the request's line to the log. */
void refusal_make(struct refusal *refusal, const struct request *request, const char *cors_origins,
                  int status, const char *reason, const char *word, const char *text);
void refusal_finish(struct refusal *refusal);

#endif
