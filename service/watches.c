#include "service/watches.h"

#include "core/buf.h"

#include <stdlib.h>

#define SIZE_MIN 64 /* a power of two */

static struct watch **place(const struct watches *w, const struct uuid *room)
{
    return &w->buckets[uuid_hash(room) & (w->size - 1)];
}

static void grow(struct watches *w)
{
    struct watches old = *w;
    w->size = old.size ? 2 * old.size : SIZE_MIN;
    w->buckets = mem_zalloc(w->size, sizeof(struct watch *));
    for (size_t i = 0; i < old.size; i++) {
        struct watch *next;
        for (struct watch *watch = old.buckets[i]; watch; watch = next) {
            next = watch->next;
            struct watch **at = place(w, &watch->room);
            watch->next = *at;
            *at = watch;
        }
    }
    free(old.buckets);
}

struct watch *watches_find(const struct watches *w, const struct uuid *room)
{
    struct watch *watch = w->size > 0 ? *place(w, room) : NULL;
    while (watch && !uuid_equal(&watch->room, room))
        watch = watch->next;
    return watch;
}

struct watch *watches_add(struct watches *w, const struct uuid *room)
{
    struct watch *watch = watches_find(w, room);
    if (watch)
        return watch;
    if (w->count >= w->size)
        grow(w);
    struct watch **at = place(w, room);
    watch = mem_alloc(sizeof *watch);
    *watch = (struct watch){.next = *at, .room = *room};
    *at = watch;
    w->count++;
    return watch;
}

void watches_remove(struct watches *w, struct watch *watch)
{
    struct watch **at = place(w, &watch->room);
    while (*at != watch)
        at = &(*at)->next;
    *at = watch->next;
    w->count--;
    free(watch);
}

void watches_each(struct watches *w, void (*fn)(void *context, struct watch *watch), void *context)
{
    for (size_t i = 0; i < w->size; i++) {
        struct watch *next;
        for (struct watch *watch = w->buckets[i]; watch; watch = next) {
            next = watch->next;
            fn(context, watch);
        }
    }
}

void watches_finish(struct watches *w)
{
    for (size_t i = 0; i < w->size; i++)
        while (w->buckets[i])
            watches_remove(w, w->buckets[i]);
    free(w->buckets);
    *w = (struct watches){0};
}
