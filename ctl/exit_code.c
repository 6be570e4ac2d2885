#include "ctl/ctl.h"

#include <string.h>
#include <sysexits.h>

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(word, *words) == 0)
            return true;
    }
    return false;
}

int ctl_exit_code(const struct error *e)
{
    static const char *const about_config[] = {"bad_option",        "no_config",       "bad_broker_conf",
                                               "schema_too_old",    "schema_too_new",  "migration_changed",
                                               "migration_missing", "unsafe_database", NULL};
    if (strcmp(e->word, "usage") == 0)
        return EX_USAGE;
    if (strcmp(e->word, "no_user") == 0)
        return EX_NOUSER;
    if (is_one_of(e->word, about_config))
        return EX_CONFIG;
    switch (e->code) {
    case ERROR_INVALID:
    case ERROR_NOT_FOUND:
    case ERROR_CONFLICT:
    case ERROR_LIMIT:
        return EX_DATAERR;
    case ERROR_DENIED:
        return EX_NOPERM;
    case ERROR_UNAVAILABLE:
    case ERROR_UNCERTAIN:
        return EX_UNAVAILABLE;
    case ERROR_NONE:
    case ERROR_INTERNAL:
        break;
    }
    return EX_SOFTWARE;
}

bool ctl_json(const struct ctl *ctl)
{
    return (ctl->options->given & OPTION_JSON) != 0;
}
