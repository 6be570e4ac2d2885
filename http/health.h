/* GET /healthz and /readyz: does the process live, and can it do its work.
 *
 * Thread: the service's loop. Owns: nothing. */
#ifndef PARLOR_HTTP_HEALTH_H
#define PARLOR_HTTP_HEALTH_H

#include "http/exchange.h"

void health_live(struct exchange *x);
void health_ready(struct exchange *x);

#endif
