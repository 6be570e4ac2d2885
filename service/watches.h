/* The rooms whose messages the service hears, by id.
 *
 * Flow:   broker -> here. Thread: the loop's. Owns: its entries. */
#ifndef PARLOR_SERVICE_WATCHES_H
#define PARLOR_SERVICE_WATCHES_H

#include "core/ids.h"

#include <stdbool.h>
#include <stddef.h>

struct watch {
    struct watch *next;
    struct uuid room;
    bool wanted;       /* false: unwatched, kept until its last WATCHED is in */
    unsigned awaiting; /* WATCHED records to come */
};

/* A zeroed struct watches is ready for use. */
struct watches {
    struct watch **buckets;
    size_t count, size;
};

void watches_finish(struct watches *w);
struct watch *watches_find(const struct watches *w, const struct uuid *room); /* NULL when it is not there */
struct watch *watches_add(struct watches *w, const struct uuid *room);        /* found or made */
void watches_remove(struct watches *w, struct watch *watch);

/* Calls fn for each; it may remove the one that it is given, and add none. */
void watches_each(struct watches *w, void (*fn)(void *context, struct watch *watch), void *context);

#endif
