/* The query string: known names only, each once, percent-decoded UTF-8.
 *
 * The rule for what is not known: an unknown parameter is refused by name (a misspelt cursor would silently
 * answer the wrong page), while unknown fields of a body are ignored (clients may send more than we read).
 *
 * Flow:   request.query -> params_read -> params_get_* -> handler.
 * Thread: any; pure.
 * Owns:   its copy of the text, until params_finish. */
#ifndef PARLOR_HTTP_PARAMS_H
#define PARLOR_HTTP_PARAMS_H

#include "http/problems.h"

#include <stdbool.h>
#include <stdint.h>

#define PARAMS_MAX       16
#define PARAMS_BYTES_MAX 4096 /* of a whole query string */

struct params {
    char *text; /* decoded in place; the items point into it */
    struct param {
        const char *name, *value;
    } items[PARAMS_MAX];
    size_t count;
};

/* Reads the raw query; `known` ends with NULL. What breaks the rule is added to problems. Whatever it found,
 * params_finish frees. */
void params_read(struct params *p, const char *raw, const char *const *known, struct problems *problems);
void params_finish(struct params *p);

/* NULL when absent. */
const char *params_get(const struct params *p, const char *name);

/* True when the parameter is there and a whole number within min..max, then in *out; a wrong one is added to
 * problems, and *out stays as it was. */
bool params_integer(const struct params *p, const char *name, int64_t min, int64_t max, int64_t *out,
                    struct problems *problems);

#endif
