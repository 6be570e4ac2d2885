/* The query string: known names only, each once, percent-decoded UTF-8.
 *
 * The rule for what is not known: an unknown parameter is refused by name (a misspelt cursor would silently
 * answer the wrong page), while unknown fields of a body are ignored (clients may send more than we read).
 *
 * Flow:   request.query -> args_read -> args_get -> handler.
 * Thread: any; pure.
 * Owns:   its copy of the text, until args_finish. */
#ifndef PARLOR_HTTP_ARGS_H
#define PARLOR_HTTP_ARGS_H

#include "http/problems.h"

#include <stdbool.h>
#include <stdint.h>

#define ARGS_MAX       16
#define ARGS_BYTES_MAX 4096 /* of a whole query string */

struct args {
    char *text; /* decoded in place; the items point into it */
    struct param {
        const char *name, *value;
    } items[ARGS_MAX];
    size_t count;
};

/* Reads the raw query; `known` ends with NULL. What breaks the rule is added to problems. Whatever it found,
 * args_finish frees. */
void args_read(struct args *p, const char *raw, const char *const *known, struct problems *problems);
void args_finish(struct args *p);

/* NULL when absent. */
const char *args_get(const struct args *p, const char *name);

/* True when the parameter is there and a whole number within min..max, then in *out; a wrong one is added to
 * problems, and *out stays as it was. */
bool args_integer(const struct args *p, const char *name, int64_t min, int64_t max, int64_t *out,
                  struct problems *problems);

#endif
