/* The table of all keys of parlor.conf: what each is, and how a text becomes its value.
 *
 * Flow:   config.c, which reads, asks here; docs/configuration.md is printed from it.
 * Thread: any; constant data.
 * Owns:   nothing; values set belong to the struct config. */
#ifndef PARLOR_CORE_CONFIG_TABLE_H
#define PARLOR_CORE_CONFIG_TABLE_H

#include "core/config.h"
#include "core/error.h"
#include "core/nearest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum key_kind { KEY_TEXT, KEY_SECRET, KEY_FILE, KEY_NUMBER, KEY_SWITCH, KEY_CHOICE };

struct config_key {
    const char *name;
    enum key_kind kind;
    size_t offset;        /* of the field in struct config */
    const char *standard; /* the default as text; NULL: none */
    int64_t min, max;     /* of a number */
    const char *choices;  /* "defer allow": words of a KEY_CHOICE in the order of their enum */
    /* Refuses a text by returning what would be right; NULL when it is fine. */
    const char *(*check)(const char *value);
    unsigned needed_by; /* bits of enum config_reader */
    const char *help;
    const char *section; /* set at the first key of a section */
};

extern const struct config_key config_keys[];
extern const size_t config_keys_count;

#define CONFIG_KEYS_MAX 64 /* as many as the table may have */

/* The key called so, NULL when there is none. With file_out, `name_file` is found for secrets too, and
 * *file_out says which of both it was. */
const struct config_key *config_key_find(const char *name, size_t size, bool *file_out);

/* The key whose name is nearest to a wrong one. */
struct nearest config_key_nearest(const char *name, size_t size);

/* Checks the text and stores it. 0, or -1 with INVALID `bad_option`; no secret is ever in the text. */
int config_key_set(struct config *config, const struct config_key *key, const char *value, struct error *e);

/* The field of a text, secret or file. */
char **config_key_text(struct config *config, const struct config_key *key);

#endif
