/* Sets of a few slots; the least recently used one of a set gives way, so that neither a look-up nor an
 * eviction depends on how many there are. */
#include "core/token_cache.h"

#include <stdlib.h>
#include <string.h>

#define WAYS 4
#define SETS (TOKEN_CACHE_MAX / WAYS)

struct entry {
    uint64_t hash;
    int64_t not_before_s;
    struct token token;
    uint64_t used; /* turn of its last use */
    size_t size;
    char text[];
};

struct token_cache {
    uint64_t turn;
    struct entry *slots[SETS][WAYS];
};

struct token_cache *token_cache_create(void)
{
    return mem_zalloc(1, sizeof(struct token_cache));
}

void token_cache_destroy(struct token_cache **cache)
{
    if (cache == NULL || *cache == NULL)
        return;
    for (size_t i = 0; i < SETS; i++)
        for (size_t j = 0; j < WAYS; j++)
            free((*cache)->slots[i][j]);
    free(*cache);
    *cache = NULL;
}

bool token_cache_find(struct token_cache *cache, const char *text, size_t size, uint64_t hash,
                      struct token *out, int64_t *not_before_out)
{
    struct entry **set = cache->slots[hash % SETS];
    for (size_t i = 0; i < WAYS; i++) {
        struct entry *at = set[i];
        if (at == NULL || at->hash != hash || at->size != size || memcmp(at->text, text, size) != 0)
            continue;
        at->used = ++cache->turn;
        *out = at->token;
        *not_before_out = at->not_before_s;
        return true;
    }
    return false;
}

void token_cache_put(struct token_cache *cache, const char *text, size_t size, uint64_t hash,
                     const struct token *token, int64_t not_before_s)
{
    if (size > TOKEN_CACHED_TEXT_MAX)
        return;
    struct entry **set = cache->slots[hash % SETS], **slot = set;
    for (size_t i = 0; i < WAYS && *slot != NULL; i++)
        if (set[i] == NULL || set[i]->used < (*slot)->used)
            slot = &set[i];
    free(*slot);
    struct entry *added = mem_alloc(sizeof(*added) + size);
    *added = (struct entry){
        .hash = hash, .not_before_s = not_before_s, .token = *token, .used = ++cache->turn, .size = size};
    memcpy(added->text, text, size);
    *slot = added;
}
