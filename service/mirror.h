/* The service's membership mirror: batches of the log's follower, applied on the loop.
 *
 * Flow:   core/memberlog (its thread) -> list -> uv_async -> struct members -> on_changed, then on_applied.
 * Thread: the loop's; the follower's thread stays inside.
 * Owns:   the follower and batches that wait. The mirror itself is its creator's. */
#ifndef PARLOR_SERVICE_MIRROR_H
#define PARLOR_SERVICE_MIRROR_H

#include "core/config.h"
#include "core/memberlog.h"
#include "core/members.h"
#include "service/loop.h"

struct mirror;

/* All called after the mirror has changed. */
struct mirror_events {
    void *self;
    void (*on_changed)(void *self, const struct uuid *room, enum room_type type, const char *user,
                       size_t user_size, enum member_role role);
    void (*on_reset)(void *self);   /* loaded anew */
    void (*on_applied)(void *self); /* one batch is in, and everybody was told */
};

int mirror_create(struct loop *loop, const struct config *config, struct members *members,
                  const struct mirror_events *events, struct mirror **out, struct error *e);
/* Joins the follower's thread. */
void mirror_destroy(struct mirror **mirror);

#endif
