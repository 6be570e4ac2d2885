/* Cross-origin requests from browsers, by the allow list `cors_origins`.
 *
 * Flow:   http_request -> cors_begin, before anything can be refused: errors carry the headers too.
 * Thread: the service's loop. Owns: nothing. */
#ifndef PARLOR_HTTP_CORS_H
#define PARLOR_HTTP_CORS_H

#include "http/exchange.h"

/* Adds the headers that let the request's origin read the answer, when the list has it. */
void cors_begin(struct exchange *x);

/* Answers OPTIONS for a known path: 204 with Allow, and for a preflight what the origin may send. */
void cors_options(struct exchange *x);

#endif
