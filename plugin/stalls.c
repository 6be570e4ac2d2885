#include "plugin/stalls.h"

void stalls_note(struct stalls *s, int64_t spent_ns)
{
    unsigned bucket = 0;
    for (int64_t rest = spent_ns; rest > 0 && bucket < STALLS_BUCKETS - 1; rest >>= 1)
        bucket++;
    s->counts[bucket]++;
    s->total++;
    if (spent_ns > s->longest_ns)
        s->longest_ns = spent_ns;
}

int64_t stalls_percentile_ns(const struct stalls *s, double share)
{
    uint64_t below = 0;
    for (unsigned bucket = 0; bucket < STALLS_BUCKETS; bucket++) {
        below += s->counts[bucket];
        if (below > 0 && (double)below >= share * (double)s->total) {
            int64_t end_ns = INT64_C(1) << bucket;
            return end_ns < s->longest_ns ? end_ns : s->longest_ns;
        }
    }
    return s->longest_ns;
}
