#include "bridge/admission.h"

#include "core/buf.h"
#include "core/ids.h"

#include <stdlib.h>
#include <string.h>

#define PLACES   4096
#define NS_PER_S 1000000000

/* A bucket is kept as the moment at which it will be full again. */
struct admission {
    int64_t cost_ns; /* of one; 0: no limit */
    int64_t strangers_max;
    int64_t full_ns[PLACES];
    int32_t strangers[PLACES];
};

struct admission *admission_create(int64_t per_second, int64_t strangers_max)
{
    struct admission *a = mem_zalloc(1, sizeof *a);

    a->cost_ns = per_second > 0 ? NS_PER_S / per_second : 0;
    a->strangers_max = strangers_max;
    return a;
}

void admission_destroy(struct admission **admission)
{
    free(*admission);
    *admission = NULL;
}

uint16_t admission_place(const char *address)
{
    return (uint16_t)(bytes_hash(address, strlen(address)) % PLACES);
}

enum admission_answer admission_pass(struct admission *a, uint16_t place, int64_t now_ns)
{
    int64_t *full = &a->full_ns[place];
    int64_t at = *full > now_ns ? *full : now_ns;

    if (a->strangers_max > 0 && a->strangers[place] >= a->strangers_max)
        return ADMISSION_TOO_MANY;
    if (a->cost_ns == 0)
        return ADMISSION_PASSED;
    if (at + a->cost_ns - now_ns > (int64_t)ADMISSION_BURST_S * NS_PER_S)
        return ADMISSION_TOO_FAST;
    *full = at + a->cost_ns;
    return ADMISSION_PASSED;
}

void admission_count(struct admission *a, uint16_t place, int by)
{
    a->strangers[place] += by;
}
