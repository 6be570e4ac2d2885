/* Who asks: the bearer token of RFC 6750.
 *
 * Flow:   http_request -> bearer_check -> x->who. Thread: the service's loop. Owns: nothing. */
#ifndef PARLOR_HTTP_BEARER_H
#define PARLOR_HTTP_BEARER_H

#include "http/exchange.h"

/* Fills x->who; answers 401 and returns false when there is no valid token. */
bool bearer_check(struct exchange *x);

#endif
