/* Tokens that were verified: a reconnect costs a look-up instead of a signature.
 *
 * Flow:   token_verify -> token_cache_find; after a full check -> token_cache_put. The times are checked
 * again by the caller at each find. Thread: belongs to its struct token_keys. Owns:   copies of the tokens,
 * at most TOKEN_CACHE_MAX of TOKEN_CACHED_TEXT_MAX bytes. */
#ifndef PARLOR_CORE_TOKEN_CACHE_H
#define PARLOR_CORE_TOKEN_CACHE_H

#include "core/token.h"

#define TOKEN_CACHED_TEXT_MAX 2048 /* bytes of a token; longer ones are verified each time */

struct token_cache;

struct token_cache *token_cache_create(void);
void token_cache_destroy(struct token_cache **cache);

/* `hash` is bytes_hash of the text. True and both outs when the very same bytes were put before. */
bool token_cache_find(struct token_cache *cache, const char *text, size_t size, uint64_t hash,
                      struct token *out, int64_t *not_before_out);
void token_cache_put(struct token_cache *cache, const char *text, size_t size, uint64_t hash,
                     const struct token *token, int64_t not_before_s);

#endif
