/* The namespace /calls: sockets connect with their token, as in /chat.
 *
 * Flow:   sockets -> calls -> ack.
 * Thread: the service's loop.
 * Owns:   a small state for each socket. */
#ifndef PARLOR_BRIDGE_CALL_SOCKETS_H
#define PARLOR_BRIDGE_CALL_SOCKETS_H

#include "bridge/sockets.h"

struct call_sockets;

struct call_sockets *call_sockets_create(const struct ports *ports, struct sockets *sockets);
/* Its sockets must be gone: sockets_destroy comes first. */
void call_sockets_destroy(struct call_sockets **calls);

struct call_sockets_stats {
    size_t sockets;
    uint64_t refused; /* CONNECT_ERRORs */
};
const struct call_sockets_stats *call_sockets_stats(const struct call_sockets *calls);

#endif
