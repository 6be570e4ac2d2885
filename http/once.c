#include "http/once.h"

#include "core/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *once_key(struct exchange *x)
{
    const char *key = x->request->header(x->request, "Idempotency-Key");
    if (key != NULL && !client_message_id_valid(key, strlen(key)))
        problems_add(&x->problems, "Idempotency-Key must be 1 to %d bytes of UTF-8", CLIENT_MESSAGE_ID_MAX);
    return key;
}

void once_hash(const char *const *texts, size_t count, char out[ONCE_HASH_SIZE])
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at <= strlen(texts[i]); at++)
            hash = (hash ^ (unsigned char)texts[i][at]) * 0x100000001b3U;
    snprintf(out, ONCE_HASH_SIZE, "%" PRId64, (int64_t)hash);
}
