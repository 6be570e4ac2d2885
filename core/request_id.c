#include "core/request_id.h"

#include "core/ids.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void request_ids_init(struct request_ids *ids)
{
    *ids = (struct request_ids){0};
    random_bytes(&ids->next.base, sizeof ids->next.base);
    ids->next.base |= 1; /* never zero, which stands for no number */
}

struct request_number request_ids_take(struct request_ids *ids)
{
    struct request_number number = ids->next;
    ids->next.count++;
    return number;
}

void request_number_format(struct request_number number, char out[REQUEST_NUMBER_SIZE])
{
    snprintf(out, REQUEST_NUMBER_SIZE, "%08" PRIx32 "-%" PRIx64, number.base, number.count);
}

static bool is_word(const char *text)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t size = strlen(text);
    return size > 0 && size <= REQUEST_ID_MAX && strspn(text, allowed) == size;
}

void request_id_make(struct request_ids *ids, const char *wanted, char out[REQUEST_ID_MAX + 1])
{
    if (wanted != NULL && is_word(wanted))
        memcpy(out, wanted, strlen(wanted) + 1);
    else
        request_number_format(request_ids_take(ids), out);
}
