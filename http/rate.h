/* How fast each user may call: a bucket of tokens a user, in a table of fixed size.
 *
 * Thread: the service's loop.
 * Owns:   its table, until rate_destroy. */
#ifndef PARLOR_HTTP_RATE_H
#define PARLOR_HTTP_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATE_SETS_MAX                                                                                        \
    8192 /* buckets are kept in sets of RATE_WAYS; a full set forgets its fullest bucket                     \
          */
#define RATE_WAYS 4

struct rate;

/* per_s calls a second each, and as many more at once as makes `burst`. */
struct rate *rate_create(int64_t per_s, int64_t burst);
void rate_destroy(struct rate **rate);

/* Takes one call of the user at now_ns (monotonic). False when there is none left; *wait_ms_out is then how
 * long until there is one. */
bool rate_take(struct rate *rate, const char *user, size_t user_size, int64_t now_ns, int64_t *wait_ms_out);

#endif
