/* Who somebody is: JSON Web Tokens (RFC 7519), checked against keys that are parsed once.
 *
 * The algorithm is the key's, never the token's: a token whose header names another one is refused before its
 * signature is looked at. Three kinds of key, told apart by what verifies: the issuer's (users), the
 * operator's own
 * (`parlorctl token`: any role but service) and the service's (role service, subject SERVICE_USER).
 * Verified tokens are cached until they expire, so that a reconnect costs a look-up.
 *
 * Flow:   text -> token_verify -> struct token -> access.
 * Thread: one `struct token_keys` belongs to one thread.
 * Owns:   keys and cache, until token_keys_destroy. OpenSSL is included in token.c alone; libjwt is not used.
 */
#ifndef PARLOR_CORE_TOKEN_H
#define PARLOR_CORE_TOKEN_H

#include "core/buf.h"
#include "core/config.h"
#include "core/error.h"
#include "core/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_TEXT_MAX  8192       /* bytes of a token */
#define TOKEN_CACHE_MAX 16384      /* verified tokens remembered */
#define SERVICE_USER    "$parlord" /* the service's subject: no user id can be this, for `$` is not in one */

enum role { ROLE_USER, ROLE_AGENT, ROLE_OPERATOR, ROLE_SERVICE };

struct token {
    char user[USER_ID_MAX + 1];
    enum role role;
    int64_t
        expires_at_s; /* 1970; when it ceases to be accepted: exp with the leeway, or the cap of its life */
};

struct token_keys;

/* Reads the keys that config names; config must live longer. 0, or -1 with INVALID `bad_option`. */
int token_keys_create(const struct config *config, struct token_keys **out, struct error *e);
void token_keys_destroy(struct token_keys **keys);

/* From now on tokens with an HMAC are not remembered, unless jwt_ttl_max_s counts from when one is first
 * seen: checking one costs about 4 us, remembering it some 400 bytes. For the broker, whose clients come once
 * and stay; a service sees the same token with every request. */
void token_keys_spare_memory(struct token_keys *keys);

/* True when the bytes have the form of a JWT (three base64url parts, the first of which begins an object):
 * others are somebody else's password. */
bool token_looks_like(const char *text, size_t size);

/* Checks signature, exp, nbf, iss, aud, sub and role at wall_s (1970). A valid service token is accepted
 * here; that it came from a permitted address is the caller's to check (token_service_address). 0, or -1 with
 * DENIED `invalid_token` or `token_expired` and a text that says which check failed (for logs; clients get
 * only the word). */
int token_verify(struct token_keys *keys, const char *text, size_t size, int64_t wall_s, struct token *out,
                 struct error *e);

/* True when `address` is in the list service_addresses. */
bool token_service_address(const struct config *config, const char *address);

/* Which key signs: the issuer's (HS* only), the operator's, or the service's. */
enum token_signer { TOKEN_BY_ISSUER, TOKEN_BY_OPERATOR, TOKEN_BY_SERVICE };

/* Appends a token for `user` that lives ttl_s from wall_s. Role user prints no role claim; the service's
 * token is for SERVICE_USER whatever `user` is. A kid names the operator's and the service's key, and only
 * such a token is tried with them. 0, or -1 with INVALID when the key for it is not configured or `user` is
 * no user id. */
int token_issue(struct token_keys *keys, enum token_signer signer, const char *user, enum role role,
                int64_t wall_s, int64_t ttl_s, struct buf *out, struct error *e);

const char *role_name(enum role role);
bool role_parse(const char *text, enum role *out); /* service is not one that can be asked for */

#endif
