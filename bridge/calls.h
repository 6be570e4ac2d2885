/* The namespace /calls: sockets connect with their token, as in /chat.
 *
 * Flow:   sockets -> calls -> ack.
 * Thread: the service's loop.
 * Owns:   a small state for each socket. */
#ifndef PARLOR_BRIDGE_CALLS_H
#define PARLOR_BRIDGE_CALLS_H

#include "bridge/sockets.h"

struct calls;

struct calls *calls_create(const struct ports *ports, struct sockets *sockets);
/* Its sockets must be gone: sockets_destroy comes first. */
void calls_destroy(struct calls **calls);

#endif
