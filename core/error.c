#include "core/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A text that was cut to fit may have lost the end of its last character: clients get it as JSON, so that end
 * goes too. */
static void trim_cut_character(char *text, size_t size)
{
    size_t back = 0;
    while (back < size && back < 3 && ((unsigned char)text[size - 1 - back] & 0xc0) == 0x80)
        back++;
    if (back == size)
        return;
    unsigned char lead = (unsigned char)text[size - 1 - back];
    size_t need = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    if (need > back)
        text[size - 1 - back] = '\0';
}

int error_set(struct error *e, enum error_code code, const char *word, const char *format, ...)
{
    if (e == NULL)
        return -1;
    /* Built aside first: an argument may well be e's own text. */
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    trim_cut_character(text, strlen(text));
    char stable[ERROR_WORD_MAX];
    snprintf(stable, sizeof stable, "%s", word);
    e->code = code;
    memcpy(e->word, stable, sizeof stable);
    memcpy(e->text, text, sizeof text);
    return -1;
}

int error_prefix(struct error *e, const char *format, ...)
{
    if (e == NULL)
        return -1;
    char before[ERROR_TEXT_MAX], text[2 * ERROR_TEXT_MAX + 2];
    va_list args;
    va_start(args, format);
    vsnprintf(before, sizeof before, format, args);
    va_end(args);
    snprintf(text, sizeof text, "%s: %s", before, e->text);
    text[ERROR_TEXT_MAX - 1] = '\0';
    trim_cut_character(text, strlen(text));
    memcpy(e->text, text, sizeof e->text);
    return -1;
}

static bool is_about_size(const char *word)
{
    static const char suffix[] = "_too_large";
    size_t size = strlen(word);
    return size >= sizeof suffix - 1 && strcmp(word + size - (sizeof suffix - 1), suffix) == 0;
}

int error_http_status(const struct error *e)
{
    switch (e->code) {
    case ERROR_INVALID:
        return 400;
    case ERROR_DENIED:
        return strcmp(e->word, "invalid_token") == 0 || strcmp(e->word, "token_expired") == 0 ? 401 : 403;
    case ERROR_NOT_FOUND:
        return 404;
    case ERROR_CONFLICT:
        return 409;
    case ERROR_LIMIT:
        return is_about_size(e->word) ? 413 : 429;
    case ERROR_UNAVAILABLE:
    case ERROR_UNCERTAIN:
        return 503;
    case ERROR_NONE:
    case ERROR_INTERNAL:
        break;
    }
    return 500;
}
