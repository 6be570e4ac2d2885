#include "http/args.h"

#include "core/ids.h"
#include "core/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Decodes in place (a plus is a space); false for a broken escape or what is no UTF-8. */
static bool decode(char *text)
{
    const char *from = text;
    char *to = text;
    for (; *from != '\0'; from++) {
        if (*from == '+') {
            *to++ = ' ';
        } else if (*from == '%') {
            int high = hex_digit(from[1]);
            int low = high < 0 ? -1 : hex_digit(from[2]);
            if (low < 0 || (high == 0 && low == 0))
                return false;
            *to++ = (char)(high << 4 | low);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return utf8_check(text, (size_t)(to - text));
}

static bool is_known(const char *const *known, const char *name)
{
    for (; *known != NULL; known++)
        if (strcmp(*known, name) == 0)
            return true;
    return false;
}

static void read_pair(struct args *p, char *pair, const char *const *known, struct problems *problems)
{
    char *value = strchr(pair, '=');
    if (value != NULL)
        *value++ = '\0';
    else
        value = pair + strlen(pair);
    if (!decode(pair) || (*value != '\0' && !decode(value))) {
        problems_add(problems, "the query string must be percent-encoded UTF-8");
    } else if (!is_known(known, pair)) {
        problems_add(problems, "unknown parameter `%s`", pair);
    } else if (args_get(p, pair) != NULL) {
        problems_add(problems, "%s must be given once", pair);
    } else if (p->count < ARGS_MAX) {
        p->items[p->count++] = (struct param){.name = pair, .value = value};
    }
}

void args_read(struct args *p, const char *raw, const char *const *known, struct problems *problems)
{
    *p = (struct args){0};
    size_t size = strlen(raw);
    if (size == 0)
        return;
    if (size > ARGS_BYTES_MAX) {
        problems_add(problems, "the query string must have at most %d bytes", ARGS_BYTES_MAX);
        return;
    }
    p->text = mem_dup(raw, size);
    char *rest = p->text;
    while (rest != NULL) {
        char *pair = strsep(&rest, "&");
        if (*pair != '\0')
            read_pair(p, pair, known, problems);
    }
}

void args_finish(struct args *p)
{
    if (p == NULL)
        return;
    free(p->text);
    *p = (struct args){0};
}

const char *args_get(const struct args *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->items[i].name, name) == 0)
            return p->items[i].value;
    return NULL;
}

bool args_integer(const struct args *p, const char *name, int64_t min, int64_t max, int64_t *out,
                  struct problems *problems)
{
    const char *text = args_get(p, name);
    if (text == NULL)
        return false;
    /* Digits alone: strtoll would also take spaces and a plus sign. */
    bool digits = *text != '\0' && strspn(text, "0123456789") == strlen(text);
    errno = 0;
    long long value = digits ? strtoll(text, NULL, 10) : -1;
    if (!digits || errno != 0 || value < min || value > max) {
        if (max == INT64_MAX)
            problems_add(problems, "%s must be a whole number from %lld", name, (long long)min);
        else
            problems_add(problems, "%s must be a whole number from %lld to %lld", name, (long long)min,
                         (long long)max);
        return false;
    }
    *out = value;
    return true;
}
