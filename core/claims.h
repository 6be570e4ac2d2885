/* What a token's claims say: times, issuer, audience, subject, role (RFC 7519, section 4; contract.md 5).
 *
 * Flow:   token_verify, once the signature holds -> claims_check -> struct token.
 * Thread: any; pure.
 * Owns:   nothing. */
#ifndef PARLOR_CORE_CLAIMS_H
#define PARLOR_CORE_CLAIMS_H

#include "core/json.h"
#include "core/token.h"

/* Checks the claims of a token that `signer` signed, at wall_s, and fills *out. *not_before_out is the second
 * before which it does not hold. 0, or -1 with DENIED `invalid_token` or `token_expired`. */
int claims_check(const struct config *config, enum token_signer signer, const struct json *claims,
                 int64_t wall_s, struct token *out, int64_t *not_before_out, struct error *e);

/* The part of it that time changes, for a token that was checked before. */
int claims_check_now(const struct token *token, int64_t not_before_s, int64_t wall_s, struct error *e);

#endif
