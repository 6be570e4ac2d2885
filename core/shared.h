/* Bytes with a count of holders: a frame is encoded once and written to every socket of a room.
 *
 * Thread: one loop; the count is not atomic.
 * Owns:   the last shared_drop frees. */
#ifndef PARLOR_CORE_SHARED_H
#define PARLOR_CORE_SHARED_H

#include <stddef.h>

struct shared {
    size_t holders;
    size_t size;
    char data[];
};

/* A copy of the bytes with one holder; with bytes NULL, `size` bytes to be filled in. */
struct shared *shared_make(const void *bytes, size_t size);
struct shared *shared_hold(struct shared *s); /* one holder more; returns s */
void shared_drop(struct shared *s);           /* one fewer; NULL is fine */

#endif
