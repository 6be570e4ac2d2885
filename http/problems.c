#include "http/problems.h"

#include "core/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SENTENCE_MAX 300

size_t problems_whole(const char *text)
{
    size_t size = strlen(text);
    size_t start = size;
    while (start > 0 && size - start < 4) {
        start--;
        unsigned char lead = (unsigned char)text[start];
        if (lead < 0x80)
            return size;
        if (lead >= 0xC0) {
            size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
            return size - start < length ? start : size;
        }
    }
    return size;
}

void problems_add(struct problems *p, const char *format, ...)
{
    if (p->count++ >= PROBLEMS_MAX)
        return;
    char sentence[SENTENCE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    if (p->list.size > 0)
        buf_put_byte(&p->list, ',');
    json_put_string(&p->list, sentence, problems_whole(sentence));
}

void problems_finish(struct problems *p)
{
    if (p == NULL)
        return;
    buf_finish(&p->list);
    p->count = 0;
}
