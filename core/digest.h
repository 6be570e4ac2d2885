/* Digests that protocols ask for.
 *
 * Thread: any; pure.
 * Owns:   nothing. OpenSSL is included here and in token.c alone. */
#ifndef PARLOR_CORE_DIGEST_H
#define PARLOR_CORE_DIGEST_H

#include <stdbool.h>

#define WEBSOCKET_ACCEPT_SIZE 29 /* with its zero byte */

/* What a server answers in Sec-WebSocket-Accept to the client's Sec-WebSocket-Key (RFC 6455, 4.2.2): base64
 * of SHA-1 over the key and a fixed GUID. False when `key` is not the base64 of 16 bytes. */
bool websocket_accept_key(const char *key, char out[WEBSOCKET_ACCEPT_SIZE]);

#endif
