/* What an address may have and open before anybody knows who it is: a token bucket for new sessions, and a
 * count of those that are strangers still, in a table of fixed size.
 *
 * Addresses that fall on the same place share it, so that a flood from many of them costs no memory.
 *
 * Flow:   engine -> admission_pass; session -> admission_count.
 * Thread: the service's loop.
 * Owns:   its table. */
#ifndef PARLOR_BRIDGE_ADMISSION_H
#define PARLOR_BRIDGE_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#define ADMISSION_BURST_S 5 /* a bucket holds so many seconds' worth */

struct admission;

enum admission_answer { ADMISSION_PASSED, ADMISSION_TOO_FAST, ADMISSION_TOO_MANY };

/* 0 for either: no such limit. */
struct admission *admission_create(int64_t per_second, int64_t strangers_max);
void admission_destroy(struct admission **admission);

uint16_t admission_place(const char *address);
/* May the place have one more session now (monotonic now_ns)? Only a pass costs of its bucket. */
enum admission_answer admission_pass(struct admission *admission, uint16_t place, int64_t now_ns);
/* One stranger more or less (by 1 or -1) at the place. */
void admission_count(struct admission *admission, uint16_t place, int by);

#endif
