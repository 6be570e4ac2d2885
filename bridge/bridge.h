/* The bridge: Socket.IO clients on one side, rooms of the broker on the other.
 *
 * Flow:   http/listener -> service/main -> bridge_request (polling and upgrades under /socket.io/);
 *         service/link -> broker_events -> rooms -> sockets.
 * Thread: the service's loop.
 * Owns:   all sessions and sockets, until bridge_destroy. */
#ifndef PARLOR_BRIDGE_BRIDGE_H
#define PARLOR_BRIDGE_BRIDGE_H

#include "core/buf.h"
#include "core/members.h"
#include "core/ports.h"

struct bridge;

struct bridge *bridge_create(const struct ports *ports);
/* Tells every client that the server goes (they reconnect) and frees all. */
void bridge_destroy(struct bridge **bridge);

/* True when the path is the bridge's. */
bool bridge_serves(const char *path);
void bridge_request(struct bridge *bridge, struct request *request);

/* What the link calls; valid as long as the bridge. */
const struct broker_events *bridge_broker_events(struct bridge *bridge);

/* A change of the mirror, told after it was applied (role MEMBER_NONE: removed): sockets gain or lose the
 * room at once. */
void bridge_member_changed(struct bridge *bridge, const struct uuid *room, enum room_type type,
                           const char *user, size_t user_size, enum member_role role);
/* The mirror was loaded anew: every socket's rooms are looked up again. */
void bridge_members_reset(struct bridge *bridge);

/* Adds its metrics to a page of them. */
void bridge_metrics(const struct bridge *bridge, struct buf *out);

#endif
