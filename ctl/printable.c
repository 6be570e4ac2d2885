#include "ctl/printable.h"

#include "core/json.h"

#include <string.h>

/* How many bytes the character at `text` has; 0 when they are none that one may print. */
static size_t character_size(const char *text)
{
    unsigned char first = (unsigned char)text[0], second = (unsigned char)text[1];
    size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    bool control = first < 0x20 || first == 0x7f || (first == 0xc2 && second < 0xa0);
    return !control && strnlen(text, size) == size && utf8_check(text, size) ? size : 0;
}

void printable_put(struct buf *out, const char *text)
{
    while (*text != '\0') {
        size_t size = character_size(text);
        if (size != 0)
            buf_put(out, text, size);
        else
            buf_printf(out, "\\x%02x", (unsigned)(unsigned char)*text);
        text += size != 0 ? size : 1;
    }
}

void printable_put_json(struct buf *out, const char *text)
{
    struct buf clean = {0};
    printable_put(&clean, text);
    json_put_string(out, clean.data, clean.size);
    buf_finish(&clean);
}
