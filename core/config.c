/* Order of what counts: the table's defaults, then the file's lines, then the environment. What each key came
 * from is remembered until the end, so that every complaint can name its place. */
#include "core/config.h"

#include "core/config_table.h"
#include "core/file.h"

#include <assert.h>
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_BYTES_MAX (1024 * 1024)
#define SECRET_BYTES_MAX 65536
#define ENV_NAME_MAX     80

struct loader {
    struct config *config;
    const char *path;                  /* NULL: no file */
    unsigned line_of[CONFIG_KEYS_MAX]; /* of the file, 0: not there */
    bool by_variable[CONFIG_KEYS_MAX]; /* the environment's is the one that counts */
    const char *blamed;                /* the key that a check between keys complains of, when there is one */
    struct error *e;
};

static size_t key_index(const struct config_key *key)
{
    return (size_t)(key - config_keys);
}

/* ---- Secrets and files ---- */

/* `name`, seen from the folder that `path` is in. The caller frees. */
static char *resolve(const char *path, const char *name)
{
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    if (name[0] == '/' || slash == NULL)
        return mem_strdup(name);
    struct buf whole = {0};
    buf_put(&whole, path, (size_t)(slash + 1 - path));
    buf_put_text(&whole, name);
    return buf_take(&whole, NULL);
}

static void trim_line_end(struct buf *text)
{
    if (text->size != 0 && text->data[text->size - 1] == '\n')
        text->size--;
    if (text->size != 0 && text->data[text->size - 1] == '\r')
        text->size--;
    if (text->data != NULL)
        text->data[text->size] = '\0';
}

static int set_from_file(struct loader *l, const struct config_key *key, const char *name)
{
    struct buf secret = {0};
    int result = file_read(name, SECRET_BYTES_MAX, &secret, l->e);
    if (result == 0) {
        trim_line_end(&secret);
        if (secret.size == 0)
            result = error_set(l->e, ERROR_INVALID, "bad_option", "%s is empty", name);
        else if (strlen(secret.data) != secret.size)
            result =
                error_set(l->e, ERROR_INVALID, "bad_option", "%s has zero bytes; a secret is text", name);
        else
            result = config_key_set(l->config, key, secret.data, l->e);
    } else if (l->e != NULL) {
        l->e->code = ERROR_INVALID;
        snprintf(l->e->word, sizeof l->e->word, "bad_option");
    }
    if (secret.data != NULL)
        explicit_bzero(secret.data, secret.capacity);
    buf_finish(&secret);
    return result;
}

/* Sets the key from a text that stands in the file `base` (NULL: in the environment). */
static int set_value(struct loader *l, const struct config_key *key, bool from_file, const char *value,
                     const char *base)
{
    if (value[0] == '\0' || (!from_file && key->kind != KEY_FILE))
        return config_key_set(l->config, key, value, l->e);
    char *name = resolve(base, value);
    int result = from_file ? set_from_file(l, key, name) : config_key_set(l->config, key, name, l->e);
    free(name);
    return result;
}

/* ---- The file ---- */

static int unknown_key(struct loader *l, const char *name, size_t size)
{
    struct nearest nearest = config_key_nearest(name, size);
    int shown = (int)(size < 60 ? size : 60);
    if (nearest_close(&nearest))
        return error_set(l->e, ERROR_INVALID, "bad_option", "unknown key %.*s; did you mean %s?", shown, name,
                         nearest.name);
    return error_set(l->e, ERROR_INVALID, "bad_option",
                     "unknown key %.*s; the nearest is %s, and docs/configuration.md lists all", shown, name,
                     nearest.name);
}

static int load_line(struct loader *l, char *line, unsigned number)
{
    size_t size = strlen(line);
    while (size != 0 && isspace((unsigned char)line[size - 1]))
        line[--size] = '\0';
    line += strspn(line, " \t");
    if (*line == '\0' || *line == '#')
        return 0;
    size_t name_size = strcspn(line, " \t");
    bool from_file;
    const struct config_key *key = config_key_find(line, name_size, &from_file);
    if (key == NULL)
        return unknown_key(l, line, name_size);
    unsigned *seen = &l->line_of[key_index(key)];
    if (*seen != 0)
        return error_set(l->e, ERROR_INVALID, "bad_option", "%s is given twice, first in line %u", key->name,
                         *seen);
    *seen = number;
    const char *value = line + name_size;
    value += strspn(value, " \t");
    return set_value(l, key, from_file, value, l->path);
}

static int load_lines(struct loader *l, struct buf *text)
{
    unsigned number = 0;
    if (text->size >= 3 && memcmp(text->data, "\xef\xbb\xbf", 3) == 0)
        return error_set(l->e, ERROR_INVALID, "bad_option",
                         "%s:1: a byte order mark (the bytes EF BB BF) stands before the line: save the file "
                         "without it",
                         l->path);
    for (char *at = text->data, *next; at != NULL; at = next) {
        number++;
        size_t left = (size_t)(text->data + text->size - at);
        char *end = memchr(at, '\n', left);
        next = end != NULL ? end + 1 : NULL;
        size_t size = end != NULL ? (size_t)(end - at) : left;
        at[size] = '\0';
        int result = strlen(at) == size
                         ? load_line(l, at, number)
                         : error_set(l->e, ERROR_INVALID, "bad_option", "a zero byte, which is no text");
        if (result != 0)
            return error_prefix(l->e, "%s:%u", l->path, number);
    }
    return 0;
}

static int load_file(struct loader *l)
{
    struct buf text = {0};
    int result = file_read(l->path, CONFIG_BYTES_MAX, &text, l->e);
    if (result != 0 && l->e != NULL) {
        l->e->code = ERROR_NOT_FOUND;
        snprintf(l->e->word, sizeof l->e->word, "no_config");
    }
    if (result == 0)
        result = load_lines(l, &text);
    if (text.data != NULL)
        explicit_bzero(text.data, text.capacity);
    buf_finish(&text);
    return result;
}

/* ---- The environment ---- */

static const char *environment(const char *key, const char *suffix, char name_out[ENV_NAME_MAX])
{
    int size = snprintf(name_out, ENV_NAME_MAX, "PARLOR_%s%s", key, suffix);
    assert(size > 0 && size < ENV_NAME_MAX);
    for (char *at = name_out; *at != '\0'; at++)
        *at = (char)toupper((unsigned char)*at);
    const char *value = getenv(name_out);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static int load_variable(struct loader *l, const struct config_key *key)
{
    char name[ENV_NAME_MAX], file_name[ENV_NAME_MAX];
    const char *value = environment(key->name, "", name);
    const char *file = key->kind == KEY_SECRET ? environment(key->name, "_FILE", file_name) : NULL;
    if (value != NULL && file != NULL)
        return error_set(l->e, ERROR_INVALID, "bad_option", "%s and %s are both set; one of them must go",
                         name, file_name);
    if (value != NULL && set_value(l, key, false, value, NULL) != 0)
        return error_prefix(l->e, "%s in the environment", name);
    if (file != NULL && set_value(l, key, true, file, NULL) != 0)
        return error_prefix(l->e, "%s in the environment", file_name);
    l->by_variable[key_index(key)] = value != NULL || file != NULL;
    return 0;
}

/* ---- What holds between keys ---- */

static bool algorithms_have(const struct config *config, bool secret_kind)
{
    static const char *const with_secret[] = {"HS256", "HS384", "HS512"};
    static const char *const with_key[] = {"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"};
    const char *const *names = secret_kind ? with_secret : with_key;
    size_t count =
        secret_kind ? sizeof with_secret / sizeof *with_secret : sizeof with_key / sizeof *with_key;
    for (size_t i = 0; i < count; i++) {
        if (config_list_has(config->jwt_algorithms, names[i]))
            return true;
    }
    return false;
}

static int check_token_keys(struct loader *l, enum config_reader reader)
{
    const struct config *c = l->config;
    l->blamed = "jwt_algorithms";
    bool hs = algorithms_have(c, true), others = algorithms_have(c, false);
    if (hs && c->jwt_secret != NULL && strlen(c->jwt_secret) < CONFIG_SECRET_MIN && !c->jwt_secret_short) {
        l->blamed = "jwt_secret";
        return error_set(
            l->e, ERROR_INVALID, "bad_option",
            "jwt_secret has %zu bytes but must have at least %d, for a shorter one can be guessed from any "
            "token (`openssl rand -hex 32` makes one); jwt_secret_short on takes it nevertheless",
            strlen(c->jwt_secret), CONFIG_SECRET_MIN);
    }
    if (reader == CONFIG_CTL)
        return 0;
    if (hs && c->jwt_secret == NULL)
        return error_set(
            l->e, ERROR_INVALID, "bad_option",
            "jwt_algorithms has %s, which needs jwt_secret (or jwt_secret_file, or PARLOR_JWT_SECRET)",
            c->jwt_algorithms);
    if (others && c->jwt_public_key_file == NULL)
        return error_set(l->e, ERROR_INVALID, "bad_option",
                         "jwt_algorithms has %s, which needs jwt_public_key_file", c->jwt_algorithms);
    return 0;
}

static bool same_secret(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* A secret shared by two keys would let the holder of one speak as the other. */
static int check_distinct_secrets(struct loader *l)
{
    const struct config *c = l->config;
    const char *a = NULL, *b = NULL;
    if (same_secret(c->jwt_secret, c->service_secret))
        a = "jwt_secret", b = "service_secret";
    else if (same_secret(c->jwt_secret, c->operator_secret))
        a = "jwt_secret", b = "operator_secret";
    else if (same_secret(c->operator_secret, c->service_secret))
        a = "operator_secret", b = "service_secret";
    if (a == NULL)
        return 0;
    l->blamed = b;
    return error_set(l->e, ERROR_INVALID, "bad_option",
                     "%s and %s are the same; each needs a secret of its own", a, b);
}

static int check_needed(const struct loader *l, enum config_reader reader)
{
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        if ((key->needed_by & 1u << reader) == 0 || *config_key_text(l->config, key) != NULL)
            continue;
        char variable[ENV_NAME_MAX];
        environment(key->name, "", variable);
        return error_set(l->e, ERROR_INVALID, "bad_option", "%s is needed and not set (here or as %s)",
                         key->name, variable);
    }
    return 0;
}

/* Puts the blamed key's variable or line before the complaint, else the file. */
static void name_place(const struct loader *l)
{
    const struct config_key *key =
        l->blamed != NULL ? config_key_find(l->blamed, strlen(l->blamed), NULL) : NULL;
    unsigned line = key != NULL ? l->line_of[key_index(key)] : 0;
    if (key != NULL && l->by_variable[key_index(key)]) {
        char name[ENV_NAME_MAX];
        const char *suffix = environment(key->name, "", name) != NULL ? "" : "_FILE";
        environment(key->name, suffix, name);
        error_prefix(l->e, "%s in the environment", name);
    } else if (line != 0) {
        error_prefix(l->e, "%s:%u", l->path, line);
    } else if (l->path != NULL) {
        error_prefix(l->e, "%s", l->path);
    }
}

static int check_whole(struct loader *l, enum config_reader reader)
{
    const struct config *c = l->config;
    int result = check_needed(l, reader);
    if (result == 0)
        result = check_token_keys(l, reader);
    if (result == 0)
        result = check_distinct_secrets(l);
    if (result == 0 && c->content_bytes_max > c->payload_bytes_max) {
        l->blamed = "content_bytes_max";
        result = error_set(l->e, ERROR_INVALID, "bad_option",
                           "content_bytes_max is %lld, more than payload_bytes_max, which is %lld",
                           (long long)c->content_bytes_max, (long long)c->payload_bytes_max);
    }
    if (result != 0)
        name_place(l);
    return result;
}

/* ---- All of it ---- */

static void set_defaults(struct config *config)
{
    for (size_t i = 0; i < config_keys_count; i++) {
        if (config_keys[i].standard == NULL)
            continue;
        int result = config_key_set(config, &config_keys[i], config_keys[i].standard, NULL);
        assert(result == 0);
        (void)result;
    }
}

int config_load(const char *path, enum config_reader reader, struct config **out, struct error *e)
{
    struct config *config = mem_zalloc(1, sizeof *config);
    struct loader l = {.config = config, .path = path, .e = e};
    set_defaults(config);
    int result = path != NULL ? load_file(&l) : 0;
    for (size_t i = 0; i < config_keys_count && result == 0; i++)
        result = load_variable(&l, &config_keys[i]);
    if (result == 0)
        result = check_whole(&l, reader);
    if (result != 0)
        config_destroy(&config);
    *out = config;
    return result;
}

void config_destroy(struct config **config)
{
    if (config == NULL || *config == NULL)
        return;
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (key->kind != KEY_TEXT && key->kind != KEY_SECRET && key->kind != KEY_FILE)
            continue;
        char *text = *config_key_text(*config, key);
        if (text != NULL && key->kind == KEY_SECRET)
            explicit_bzero(text, strlen(text));
        free(text);
    }
    free(*config);
    *config = NULL;
}
