/* How many requests each route has answered, with which status, and how long they took.
 *
 * Flow:   exchange_answer -> traffic_note; a scrape -> traffic_print.
 * Thread: the service's loop.
 * Owns:   its tables. */
#ifndef PARLOR_HTTP_TRAFFIC_H
#define PARLOR_HTTP_TRAFFIC_H

#include "core/buf.h"
#include "http/router.h"

#include <stdint.h>

struct traffic;

/* For these routes, which end with a NULL method and live as long. */
struct traffic *traffic_create(const struct route *routes);
void traffic_destroy(struct traffic **traffic);

/* A request that was answered; route NULL: none matched. `traffic` may be NULL. */
void traffic_note(struct traffic *traffic, const struct route *route, int status, int64_t duration_ns);

void traffic_print(const struct traffic *traffic, struct buf *out);

#endif
