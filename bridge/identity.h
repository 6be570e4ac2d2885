/* Who connects to a namespace: the token of its auth payload, or of the Authorization header.
 *
 * Flow:   on_connect of chat and calls -> identity_check.
 * Thread: the service's loop.
 * Owns:   nothing. */
#ifndef PARLOR_BRIDGE_IDENTITY_H
#define PARLOR_BRIDGE_IDENTITY_H

#include "bridge/sockets.h"
#include "core/token.h"

/* What a socket without a valid token is refused with. */
#define IDENTITY_REFUSAL "{\"message\":\"Unauthorized\",\"data\":{\"code\":\"invalid_token\"}}"

/* ... and one of a user who has as many as may be. */
#define IDENTITY_TOO_MANY                                                                                    \
    "{\"message\":\"Too many connections\",\"data\":{\"code\":\"too_many_connections\"}}"

/* `auth` is {"token": ...}, with or without `Bearer ` before it; the header may be NULL. True and *out for a
 * valid one. */
bool identity_check(const struct ports *ports, struct slice auth, const char *authorization,
                    struct token *out);
/* Until a token expires (leeway included): 0 when it has, and no more than a day: then look again. */
int64_t identity_left_ms(const struct ports *ports, int64_t expires_at_s);

#endif
