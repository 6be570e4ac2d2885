/* Who asks: the bearer token of RFC 6750.
 *
 * Flow:   http_request -> auth_check -> x->who. Thread: the service's loop. Owns: nothing. */
#ifndef PARLOR_HTTP_AUTH_H
#define PARLOR_HTTP_AUTH_H

#include "http/exchange.h"

/* Fills x->who; answers 401 and returns false when there is no valid token. */
bool auth_check(struct exchange *x);

#endif
