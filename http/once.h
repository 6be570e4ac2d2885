/* The header Idempotency-Key, and what a request under it asks for: the same key with something else is a
 * conflict.
 *
 * Flow:   handler -> here -> the statement that makes it once. Thread: the service's loop. Owns: nothing. */
#ifndef PARLOR_HTTP_ONCE_H
#define PARLOR_HTTP_ONCE_H

#include "http/exchange.h"

#define ONCE_HASH_SIZE 24 /* of a hash as text */

/* NULL when there is none; one that breaks the rule is added to x->problems. */
const char *once_key(struct exchange *x);

/* FNV-1a over the texts with their zeros, the same on every machine, as a number that PostgreSQL reads. */
void once_hash(const char *const *texts, size_t count, char out[ONCE_HASH_SIZE]);

#endif
