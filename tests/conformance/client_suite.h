/* The namespaces and events that socket.io-client's own test suite asks of its server.
 *
 * Flow:   parlor_conformance -> sockets -> here.
 * Thread: the loop.
 * Owns:   what it keeps of each socket, until that disconnects. */
#ifndef PARLOR_TESTS_CLIENT_SUITE_H
#define PARLOR_TESTS_CLIENT_SUITE_H

#include "bridge/sockets.h"

/* Adds them. Their on_connect takes the handshake's query where others find the Authorization header, which
 * that suite does not use. */
void client_suite_add(struct sockets *sockets, struct clock_port *clock);

#endif
