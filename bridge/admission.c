#include "bridge/admission.h"

#include "core/buf.h"
#include "core/ids.h"

#include <stdlib.h>
#include <string.h>

#define PLACES   4096
#define NS_PER_S 1000000000

/* A bucket is kept as the moment at which it will be full again. */
struct admission {
    int64_t cost_ns; /* of one */
    int64_t full_ns[PLACES];
};

struct admission *admission_create(int64_t per_second)
{
    struct admission *a = mem_zalloc(1, sizeof *a);

    a->cost_ns = NS_PER_S / per_second;
    return a;
}

void admission_destroy(struct admission **admission)
{
    free(*admission);
    *admission = NULL;
}

bool admission_pass(struct admission *a, const char *address, int64_t now_ns)
{
    int64_t *full = &a->full_ns[bytes_hash(address, strlen(address)) % PLACES];
    int64_t at = *full > now_ns ? *full : now_ns;

    if (at + a->cost_ns - now_ns > (int64_t)ADMISSION_BURST_S * NS_PER_S)
        return false;
    *full = at + a->cost_ns;
    return true;
}
