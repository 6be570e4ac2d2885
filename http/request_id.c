#include "http/request_id.h"

#include "core/buf.h"
#include "core/ids.h"
#include "http/target.h"

#include <inttypes.h>
#include <stdio.h>

void request_ids_init(struct request_ids *ids)
{
    *ids = (struct request_ids){0};
    random_bytes(&ids->base, sizeof ids->base);
}

void request_id_make(struct request_ids *ids, const char *wanted, char out[REQUEST_ID_MAX + 1])
{
    if (wanted && target_word(wanted, REQUEST_ID_MAX))
        snprintf(out, REQUEST_ID_MAX + 1, "%s", wanted);
    else
        snprintf(out, REQUEST_ID_MAX + 1, "%08" PRIx32 "-%" PRIx64, ids->base, ids->next++);
}
