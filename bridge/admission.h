/* How many new sessions an address may open: a token bucket each, in a table of fixed size.
 *
 * Addresses that fall on the same place share a bucket, so that a flood from many of them costs no memory.
 *
 * Flow:   engine -> admission_pass.
 * Thread: the service's loop.
 * Owns:   its table. */
#ifndef PARLOR_BRIDGE_ADMISSION_H
#define PARLOR_BRIDGE_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#define ADMISSION_BURST_S 5 /* a bucket holds so many seconds' worth */

struct admission;

struct admission *admission_create(int64_t per_second);
void admission_destroy(struct admission **admission);

/* True when one more is allowed now (monotonic now_ns). */
bool admission_pass(struct admission *admission, const char *address, int64_t now_ns);

#endif
