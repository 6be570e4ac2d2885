/* How long the plugin held the broker's loop: a histogram of the time spent in its callbacks.
 *
 * Flow:   plugin.c measures each callback; a line per minute in the log at debug, the worst at info.
 * Thread: the broker's. */
#ifndef PARLOR_PLUGIN_STALLS_H
#define PARLOR_PLUGIN_STALLS_H

#include <stdint.h>

#define STALLS_BUCKETS 40 /* powers of two of a nanosecond: up to 9 minutes */

struct stalls {
    uint64_t counts[STALLS_BUCKETS], total;
    int64_t longest_ns;
};

void stalls_note(struct stalls *s, int64_t spent_ns);

/* An upper bound of the share's time, as 0.999: the bucket's end that this share of the callbacks kept to. */
int64_t stalls_percentile_ns(const struct stalls *s, double share);

#endif
