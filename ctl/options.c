#include "ctl/options.h"

#include "core/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct option_row {
    enum option option;
    const char *name;
    bool has_value;
};

static const struct option_row rows[] = {
    {OPTION_CONFIG, "--config", true},    {OPTION_JSON, "--json", false},
    {OPTION_HELP, "--help", false},       {OPTION_HELP, "-h", false},
    {OPTION_ROLE, "--role", true},        {OPTION_TTL, "--ttl", true},
    {OPTION_DRY_RUN, "--dry-run", false}, {OPTION_BROKER_CONF, "--broker-conf", true},
};

static const struct option_row *find_row(const char *text, size_t size)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strlen(rows[i].name) == size && memcmp(rows[i].name, text, size) == 0)
            return &rows[i];
    }
    return NULL;
}

/* Seconds, or a number with s, m, h or d behind it. */
static int parse_ttl(const char *text, int64_t *out, struct error *e)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    int64_t unit = strcmp(end, "") == 0 || strcmp(end, "s") == 0 ? 1
                   : strcmp(end, "m") == 0                       ? 60
                   : strcmp(end, "h") == 0                       ? 3600
                   : strcmp(end, "d") == 0                       ? 86400
                                                                 : 0;
    if (errno != 0 || text[0] < '0' || text[0] > '9' || unit == 0 || number < 1 || number > TTL_MAX_S / unit)
        return error_set(e, ERROR_INVALID, "usage",
                         "--ttl is '%s' but must be seconds, or a number with m, h or d, up to 3650d", text);
    *out = number * unit;
    return 0;
}

static int set_value(struct options *out, enum option option, const char *value, struct error *e)
{
    switch (option) {
    case OPTION_CONFIG:
        out->config = value;
        return 0;
    case OPTION_ROLE:
        out->role = value;
        return 0;
    case OPTION_BROKER_CONF:
        out->broker_conf = value;
        return 0;
    case OPTION_TTL:
        return parse_ttl(value, &out->ttl_s, e);
    case OPTION_JSON:
    case OPTION_HELP:
    case OPTION_DRY_RUN:
        break;
    }
    return 0;
}

/* Reads the option at argv[*at], and its value from there or from the next. */
static int parse_option(int argc, char *const *argv, int *at, struct options *out, struct error *e)
{
    const char *text = argv[*at], *equals = strchr(text, '=');
    size_t size = equals != NULL ? (size_t)(equals - text) : strlen(text);
    const struct option_row *row = find_row(text, size);
    if (row == NULL)
        return error_set(e, ERROR_INVALID, "usage", "unknown option %s (--help lists all)", text);
    if ((out->given & (unsigned)row->option) != 0 && row->has_value)
        return error_set(e, ERROR_INVALID, "usage", "%s is given twice", row->name);
    out->given |= (unsigned)row->option;
    if (!row->has_value)
        return equals == NULL ? 0 : error_set(e, ERROR_INVALID, "usage", "%s takes no value", row->name);
    const char *value = equals != NULL ? equals + 1 : *at + 1 < argc ? argv[++*at] : NULL;
    if (value == NULL || value[0] == '\0')
        return error_set(e, ERROR_INVALID, "usage", "%s needs a value", row->name);
    return set_value(out, row->option, value, e);
}

static int add_word(struct options *out, const char *word, struct error *e)
{
    if (out->command == NULL)
        out->command = word;
    else if (out->count < OPTIONS_WORDS_MAX)
        out->words[out->count++] = word;
    else
        return error_set(e, ERROR_INVALID, "usage", "one word too many: %s", word);
    return 0;
}

/* Arguments are printed again, in JSON too, which is UTF-8. */
static int check_text(int argc, char *const *argv, struct error *e)
{
    for (int at = 1; at < argc; at++) {
        if (!utf8_check(argv[at], strlen(argv[at])))
            return error_set(e, ERROR_INVALID, "usage", "argument %d is no valid UTF-8", at);
    }
    return 0;
}

static int parse(int argc, char *const *argv, struct options *out, struct error *e)
{
    bool words_only = false;
    for (int at = 1; at < argc; at++) {
        const char *text = argv[at];
        int result = 0;
        if (!words_only && strcmp(text, "--") == 0) {
            words_only = true;
            out->sure_from = out->command != NULL ? out->count : OPTIONS_WORDS_MAX;
        } else if (!words_only && text[0] == '-' && text[1] != '\0') {
            result = parse_option(argc, argv, &at, out, e);
        } else {
            result = add_word(out, text, e);
        }
        if (result != 0)
            return -1;
    }
    return 0;
}

int options_parse(int argc, char *const *argv, struct options *out, struct error *e)
{
    *out = (struct options){.sure_from = OPTIONS_WORDS_MAX};
    if (check_text(argc, argv, e) == 0 && parse(argc, argv, out, e) == 0)
        return 0;
    for (int at = 1; at < argc; at++) {
        if (strcmp(argv[at], "--json") == 0)
            out->given |= OPTION_JSON;
    }
    return -1;
}

const char *options_misplaced(const struct options *options, unsigned allowed)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((options->given & ~allowed & (unsigned)rows[i].option) != 0)
            return rows[i].name;
    }
    return NULL;
}
