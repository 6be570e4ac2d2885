/* The log's line for each request that was answered, by REST or the `api` topic.
 *
 * Flow:   exchange, listener and service/api, as they answer -> here -> core/log.
 * Thread: any.
 * Owns:   nothing. */
#ifndef PARLOR_HTTP_ACCESS_LOG_H
#define PARLOR_HTTP_ACCESS_LOG_H

#include "core/log.h"
#include "core/ports.h"

/* `route`: the pattern that it matched; NULL: none. `user`: "" when not known. Nothing of the query, the body
 * or the headers is written but the request's id. */
void access_log_line(enum log_level level, const struct request *request, const char *route, int status,
                     int64_t spent_ns, const char *user);

#endif
