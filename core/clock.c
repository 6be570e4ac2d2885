#include "core/clock.h"

#include <string.h>
#include <time.h>

/* What the form can say: the years 0000 to 9999. */
#define WALL_MS_MIN (-62167219200000)
#define WALL_MS_MAX 253402300799999

int64_t clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_mono_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_left_ms(int64_t deadline_ns)
{
    return (deadline_ns - clock_mono_ns()) / 1000000 + 1;
}

static void put_digits(char *at, int64_t value, int count)
{
    for (int i = count - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Days since 1970 to a date of the Gregorian calendar, counted in years that begin in March, so that the leap
 * day is a year's last (146,097 days make 400 years). Much cheaper than gmtime_r, for each message has one.
 */
static void put_date(char *out, int64_t days)
{
    int64_t shifted = days + 719468; /* since 0000-03-01 */
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
    put_digits(out, year, 4);
    put_digits(out + 5, month, 2);
    put_digits(out + 8, day, 2);
}

void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_SIZE])
{
    if (wall_ms < WALL_MS_MIN)
        wall_ms = WALL_MS_MIN;
    if (wall_ms > WALL_MS_MAX)
        wall_ms = WALL_MS_MAX;
    const int64_t day_ms = 86400000;
    int64_t days = (wall_ms >= 0 ? wall_ms : wall_ms - (day_ms - 1)) / day_ms;
    int64_t in_day = wall_ms - days * day_ms;
    memcpy(out, "0000-00-00T00:00:00.000Z", CLOCK_TEXT_SIZE);
    put_date(out, days);
    put_digits(out + 11, in_day / 3600000, 2);
    put_digits(out + 14, in_day / 60000 % 60, 2);
    put_digits(out + 17, in_day / 1000 % 60, 2);
    put_digits(out + 20, in_day % 1000, 3);
}
