#include "service/onlines.h"

#include "core/buf.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 64 /* a power of two */

struct entry {
    struct entry *next;
    uint32_t round; /* of a set that is counted: how many hold it */
    size_t size;
    char user[];
};

struct onlines {
    struct entry **buckets;
    size_t bucket_count, count;
};

struct onlines *onlines_create(void)
{
    struct onlines *o = mem_zalloc(1, sizeof *o);
    o->bucket_count = BUCKETS_MIN;
    o->buckets = mem_zalloc(o->bucket_count, sizeof o->buckets[0]);
    return o;
}

void onlines_destroy(struct onlines **onlines)
{
    struct onlines *o = *onlines;
    if (!o)
        return;
    *onlines = NULL;
    for (size_t i = 0; i < o->bucket_count; i++) {
        struct entry *next;
        for (struct entry *entry = o->buckets[i]; entry; entry = next) {
            next = entry->next;
            free(entry);
        }
    }
    free(o->buckets);
    free(o);
}

static struct entry **find(const struct onlines *o, const char *user, size_t size)
{
    struct entry **at = &o->buckets[bytes_hash(user, size) & (o->bucket_count - 1)];
    while (*at && ((*at)->size != size || memcmp((*at)->user, user, size) != 0))
        at = &(*at)->next;
    return at;
}

static void grow(struct onlines *o)
{
    struct entry **old = o->buckets;
    size_t old_count = o->bucket_count;
    o->bucket_count *= 2;
    o->buckets = mem_zalloc(o->bucket_count, sizeof o->buckets[0]);
    for (size_t i = 0; i < old_count; i++) {
        struct entry *next;
        for (struct entry *entry = old[i]; entry; entry = next) {
            next = entry->next;
            struct entry **at = &o->buckets[bytes_hash(entry->user, entry->size) & (o->bucket_count - 1)];
            entry->next = *at;
            *at = entry;
        }
    }
    free(old);
}

bool onlines_add(struct onlines *o, const char *user, size_t size, uint32_t round)
{
    struct entry **at = find(o, user, size);
    if (*at) {
        (*at)->round = round;
        return false;
    }
    if (o->count >= o->bucket_count) {
        grow(o);
        at = find(o, user, size);
    }
    struct entry *entry = mem_zalloc(1, sizeof *entry + size + 1);
    entry->round = round;
    entry->size = size;
    memcpy(entry->user, user, size);
    *at = entry;
    o->count++;
    return true;
}

static void take(struct onlines *o, struct entry **at)
{
    struct entry *entry = *at;
    *at = entry->next;
    o->count--;
    free(entry);
}

bool onlines_remove(struct onlines *o, const char *user, size_t size)
{
    struct entry **at = find(o, user, size);
    if (!*at)
        return false;
    take(o, at);
    return true;
}

bool onlines_hold(struct onlines *o, const char *user, size_t size)
{
    struct entry **at = find(o, user, size);
    if (!*at)
        return onlines_add(o, user, size, 1);
    (*at)->round++;
    return false;
}

bool onlines_drop(struct onlines *o, const char *user, size_t size)
{
    struct entry **at = find(o, user, size);
    if (!*at || --(*at)->round > 0)
        return false;
    take(o, at);
    return true;
}

size_t onlines_count(const struct onlines *o)
{
    return o->count;
}

void onlines_each(const struct onlines *o, onlines_fn fn, void *context)
{
    for (size_t i = 0; i < o->bucket_count; i++)
        for (const struct entry *entry = o->buckets[i]; entry; entry = entry->next)
            fn(context, entry->user);
}

bool onlines_take_stale(struct onlines *o, uint32_t round, char out[USER_ID_MAX + 1])
{
    for (size_t i = 0; i < o->bucket_count; i++) {
        for (struct entry **at = &o->buckets[i]; *at; at = &(*at)->next) {
            if ((*at)->round == round)
                continue;
            memcpy(out, (*at)->user, (*at)->size + 1);
            take(o, at);
            return true;
        }
    }
    return false;
}
