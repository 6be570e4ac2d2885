/* parlorctl's command line: a command, its words, and options that may stand anywhere.
 *
 * Flow:   argv -> options_parse -> main -> a command.
 * Thread: one; pure.
 * Owns:   nothing; texts are argv's. */
#ifndef PARLOR_CTL_OPTIONS_H
#define PARLOR_CTL_OPTIONS_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_WORDS_MAX 3

enum option {
    OPTION_CONFIG = 1,
    OPTION_JSON = 2,
    OPTION_HELP = 4,
    OPTION_ROLE = 8,
    OPTION_TTL = 16,
    OPTION_DRY_RUN = 32,
    OPTION_BROKER_CONF = 64
};

#define OPTIONS_COMMON (OPTION_CONFIG | OPTION_JSON | OPTION_HELP)
#define TTL_MAX_S      (INT64_C(3650) * 86400)

struct options {
    unsigned given; /* bits of enum option */
    const char *command;
    const char *words[OPTIONS_WORDS_MAX]; /* behind the command */
    size_t count;
    size_t sure_from; /* words from here on stood behind `--`: they name no form of a command */
    const char *config, *role, *broker_conf; /* NULL when not given */
    int64_t ttl_s;
};

/* Reads `--name value` and `--name=value`; behind `--` all are words. 0, or -1 with INVALID `usage`; `given`
 * has OPTION_JSON then when it stands anywhere. */
int options_parse(int argc, char *const *argv, struct options *out, struct error *e);

/* The first option given that is not in `allowed`, as "--ttl"; NULL when there is none. */
const char *options_misplaced(const struct options *options, unsigned allowed);

#endif
