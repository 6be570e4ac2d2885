#include "plugin/rates.h"

#include "core/buf.h"

#include <stdlib.h>

#define WAYS          4
#define NS_PER_SECOND 1000000000.0

struct bucket {
    uint64_t key;
    int64_t used_ns; /* 0: never */
    double left;
};

struct rates {
    size_t sets;
    struct bucket buckets[];
};

struct rates *rates_create(size_t buckets)
{
    size_t sets = 1;
    while (sets * WAYS < buckets)
        sets *= 2;
    struct rates *r = mem_zalloc(1, sizeof *r + sets * WAYS * sizeof r->buckets[0]);
    r->sets = sets;
    return r;
}

void rates_destroy(struct rates **r)
{
    if (r == NULL || *r == NULL)
        return;
    free(*r);
    *r = NULL;
}

/* The key's bucket, or the least recently used one of its set. */
static struct bucket *bucket_of(struct rates *r, uint64_t key)
{
    struct bucket *set = &r->buckets[(key & (r->sets - 1)) * WAYS], *oldest = set;
    for (struct bucket *b = set; b < set + WAYS; b++) {
        if (b->used_ns != 0 && b->key == key)
            return b;
        if (b->used_ns < oldest->used_ns)
            oldest = b;
    }
    oldest->key = key;
    oldest->used_ns = 0;
    return oldest;
}

bool rates_take(struct rates *r, uint64_t key, int64_t per_s, int64_t burst, int64_t now_ns)
{
    struct bucket *b = bucket_of(r, key);
    if (b->used_ns == 0)
        b->left = (double)burst;
    else
        b->left += (double)(now_ns - b->used_ns) * (double)per_s / NS_PER_SECOND;
    if (b->left > (double)burst)
        b->left = (double)burst;
    b->used_ns = now_ns;
    if (b->left < 1)
        return false;
    b->left -= 1;
    return true;
}
