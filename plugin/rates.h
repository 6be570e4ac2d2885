/* Token buckets for very many keys in a fixed amount of memory.
 *
 * A bucket that was not used for a while is a full one, so the least recently used bucket of a set can be
 * forgotten: the table never grows, and what it forgets under pressure only makes it more lenient.
 *
 * Flow:   auth and ingress ask before they take anything in.
 * Thread: one table belongs to one thread.
 * Owns:   its buckets. */
#ifndef PARLOR_PLUGIN_RATES_H
#define PARLOR_PLUGIN_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rates;

/* `buckets` is rounded up to a power of two. */
struct rates *rates_create(size_t buckets);
void rates_destroy(struct rates **r);

/* Takes one from the bucket of `key` (a 64-bit hash), which refills at per_s and holds at most burst. False
 * when it is empty. */
bool rates_take(struct rates *r, uint64_t key, int64_t per_s, int64_t burst, int64_t now_ns);

#endif
