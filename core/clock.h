/* Time: the two clocks, and RFC 3339 in UTC with milliseconds (2026-01-31T09:05:00.123Z), the only form we
 * print.
 *
 * Thread: any. */
#ifndef PARLOR_CORE_CLOCK_H
#define PARLOR_CORE_CLOCK_H

#include <stdint.h>

#define CLOCK_TEXT_SIZE 25 /* with its zero byte */

int64_t clock_wall_ms(void); /* since 1970 */
int64_t clock_mono_ns(void); /* never goes back */

/* Milliseconds until that time of clock_mono_ns, the begun one counted; 0 or less: it has passed by one. */
int64_t clock_left_ms(int64_t deadline_ns);

/* Times outside the years 0 to 9999 are printed as the nearest one inside. */
void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_SIZE]);

#endif
