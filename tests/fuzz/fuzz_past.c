/* past_file: any bytes are refused, leaving nothing, or are what would be written again. */
#include "tests/fuzz/fuzz.h"

#include "plugin/past.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct watermarks *seen, *again;
    char identity[PAST_IDENTITY_SIZE], other[PAST_IDENTITY_SIZE];
    struct error e = {0};
    if (seen == NULL) {
        seen = watermarks_create(PAST_ROOMS_MAX);
        again = watermarks_create(PAST_ROOMS_MAX);
    }
    watermarks_clear(seen);
    watermarks_clear(again);
    if (past_parse((const char *)data, size, identity, seen, &e) != 0) {
        MUST(e.code == ERROR_INVALID && identity[0] == '\0' && watermarks_count(seen) == 0);
        return 0;
    }
    struct buf text = {0};
    past_print(&text, identity, seen);
    MUST(past_parse(text.data, text.size, other, again, &e) == 0);
    MUST(strcmp(identity, other) == 0 && watermarks_count(seen) == watermarks_count(again));
    buf_finish(&text);
    return 0;
}
