/* Where the service listens, and who calls.
 *
 * Flow:   listener -> here -> sockets. Thread: any.
 * Owns:   nothing; a socket that address_listen returns is its caller's. */
#ifndef PARLOR_HTTP_ADDRESS_H
#define PARLOR_HTTP_ADDRESS_H

#include "core/error.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_SIZE INET6_ADDRSTRLEN

/* A socket that listens, without blocking, at a numeric address (or "localhost") and a port (0: any). -1 with
 * UNAVAILABLE `address_in_use` or INVALID `bad_option`; the text says what to do. */
int address_listen(const char *address, int port, struct error *e);

/* The port that a socket is bound to. */
int address_port(int fd);

/* An IPv4 or IPv6 address as text, one mapped into IPv6 as IPv4; "" for another family. */
void address_text(const struct sockaddr *a, char out[ADDRESS_TEXT_SIZE]);

#endif
