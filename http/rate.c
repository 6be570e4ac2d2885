#include "http/rate.h"

#include "core/buf.h"
#include "core/ids.h"

#include <stdlib.h>

struct bucket {
    uint64_t user;   /* hash of the id; 0: unused */
    int64_t full_ns; /* when the bucket is full again: all that need be known of it */
};

struct rate {
    int64_t call_ns;  /* one call's share of a second */
    int64_t depth_ns; /* of a whole burst */
    struct bucket sets[RATE_SETS_MAX][RATE_WAYS];
};

struct rate *rate_create(int64_t per_s, int64_t burst)
{
    struct rate *rate = mem_zalloc(1, sizeof *rate);
    rate->call_ns = 1000000000 / (per_s > 0 ? per_s : 1);
    rate->depth_ns = rate->call_ns * (burst > 0 ? burst : 1);
    return rate;
}

void rate_destroy(struct rate **rate)
{
    if (rate == NULL || *rate == NULL)
        return;
    free(*rate);
    *rate = NULL;
}

/* The user's bucket; where it has none, the one of its set that is full the soonest is made its own: a full
 * bucket says nothing, so that forgetting it loses nothing. */
static struct bucket *bucket_of(struct rate *rate, uint64_t user)
{
    struct bucket *set = rate->sets[user % RATE_SETS_MAX];
    struct bucket *oldest = &set[0];
    for (size_t i = 0; i < RATE_WAYS; i++) {
        if (set[i].user == user)
            return &set[i];
        if (set[i].full_ns < oldest->full_ns)
            oldest = &set[i];
    }
    *oldest = (struct bucket){.user = user};
    return oldest;
}

bool rate_take(struct rate *rate, const char *user, size_t user_size, int64_t now_ns, int64_t *wait_ms_out)
{
    struct bucket *bucket = bucket_of(rate, bytes_hash(user, user_size) | 1);
    int64_t full_ns = bucket->full_ns > now_ns ? bucket->full_ns : now_ns;
    int64_t over_ns = full_ns + rate->call_ns - now_ns - rate->depth_ns;
    if (over_ns > 0) {
        *wait_ms_out = over_ns / 1000000 + 1;
        return false;
    }
    bucket->full_ns = full_ns + rate->call_ns;
    return true;
}
