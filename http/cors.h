/* Cross-origin requests from browsers, by the allow list `cors_origins`.
 *
 * Flow:   http_request -> cors_begin, before anything can be refused: errors carry the headers too. What is
 *         refused before it comes so far (refusal) asks cors_headers.
 * Thread: the service's loop. Owns: nothing. */
#ifndef PARLOR_HTTP_CORS_H
#define PARLOR_HTTP_CORS_H

#include "http/exchange.h"

#define CORS_TEXTS_MAX 8 /* names and values that let an origin read an answer */

/* The headers that let the request's origin read its answer, by the list `origins` (NULL or "": none): name,
 * value, name, value, ... without a NULL behind. Returns how many texts; they live as long as the request and
 * the list. */
size_t cors_headers(const char *origins, const struct request *request, const char *out[CORS_TEXTS_MAX]);

/* Adds them to the answer, by the list of the configuration. */
void cors_begin(struct exchange *x);

/* Answers OPTIONS for a known path: 204 with Allow, and for a preflight what the origin may send. */
void cors_options(struct exchange *x);

#endif
