#include "core/brokerconf.h"

#include "core/buf.h"
#include "core/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IMPLIED_PORT 1883

struct brokerconf {
    struct brokerconf_line *lines;
    size_t count, capacity;
    char **texts; /* every string that lines point to */
    const char *marked;
    size_t texts_count, texts_capacity;
};

static char *keep(struct brokerconf *conf, char *text)
{
    if (conf->texts_count == conf->texts_capacity) {
        conf->texts_capacity = conf->texts_capacity != 0 ? conf->texts_capacity * 2 : 16;
        conf->texts = mem_realloc(conf->texts, conf->texts_capacity * sizeof *conf->texts);
    }
    conf->texts[conf->texts_count++] = text;
    return text;
}

static void add_line(struct brokerconf *conf, const struct brokerconf_line *line)
{
    if (conf->count == conf->capacity) {
        conf->capacity = conf->capacity != 0 ? conf->capacity * 2 : 32;
        conf->lines = mem_realloc(conf->lines, conf->capacity * sizeof *conf->lines);
    }
    conf->lines[conf->count++] = *line;
}

/* ---- include_dir ---- */

static int load_file(struct brokerconf *conf, const char *path, bool included, struct error *e);

static bool is_conf_name(const char *name)
{
    size_t size = strlen(name);
    return size > 5 && strcmp(name + size - 5, ".conf") == 0;
}

/* Mosquitto's order: regardless of case first, then by case. */
static int compare_names(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    int order = strcasecmp(x, y);
    return order != 0 ? order : strcmp(x, y);
}

static int list_names(const char *folder, char ***names_out, size_t *count_out, struct error *e)
{
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return error_set(e, ERROR_NOT_FOUND, "no_file", "cannot read include_dir %s: %s", folder,
                         strerror(errno));
    char **names = NULL;
    size_t count = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (!is_conf_name(entry->d_name))
            continue;
        names = mem_realloc(names, (count + 1) * sizeof *names);
        names[count++] = mem_strdup(entry->d_name);
    }
    closedir(dir);
    if (count != 0)
        qsort(names, count, sizeof *names, compare_names);
    *names_out = names;
    *count_out = count;
    return 0;
}

static int load_folder(struct brokerconf *conf, const char *folder, struct error *e)
{
    char **names;
    size_t count;
    if (list_names(folder, &names, &count, e) != 0)
        return -1;
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        struct buf path = {0};
        buf_printf(&path, "%s/%s", folder, names[i]);
        if (result == 0)
            result = load_file(conf, path.data, true, e);
        buf_finish(&path);
        free(names[i]);
    }
    free(names);
    return result;
}

/* ---- Lines ---- */

static int load_line(struct brokerconf *conf, char *text, const char *file, unsigned number, bool included,
                     struct error *e)
{
    size_t size = strlen(text);
    while (size != 0 && isspace((unsigned char)text[size - 1]))
        text[--size] = '\0';
    if (*text == '#')
        return 0;
    text += strspn(text, " ");
    if (*text == '\0')
        return 0;
    size_t key_size = strcspn(text, " ");
    char *value = text + key_size;
    if (*value != '\0')
        *value++ = '\0';
    value += strspn(value, " \t");
    add_line(conf, &(struct brokerconf_line){.key = text, .value = value, .file = file, .line = number});
    if (included || strcmp(text, "include_dir") != 0)
        return 0;
    if (load_folder(conf, value, e) != 0)
        return error_prefix(e, "%s:%u", file, number);
    return 0;
}

static int load_file(struct brokerconf *conf, const char *path, bool included, struct error *e)
{
    struct buf content = {0};
    if (file_read(path, BROKERCONF_BYTES_MAX, &content, e) != 0) {
        buf_finish(&content);
        return -1;
    }
    const char *file = keep(conf, mem_strdup(path));
    size_t size;
    char *text = keep(conf, buf_take(&content, &size)), *end = text + size;
    unsigned number = 0;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        if (conf->marked == NULL)
            conf->marked = file;
    }
    for (char *at = text, *next; at != NULL; at = next) {
        number++;
        char *line_end = memchr(at, '\n', (size_t)(end - at));
        next = line_end != NULL ? line_end + 1 : NULL;
        if (line_end == NULL)
            line_end = end;
        *line_end = '\0';
        if (strlen(at) != (size_t)(line_end - at))
            return error_set(e, ERROR_INVALID, "bad_broker_conf", "%s:%u: a zero byte, which is no text",
                             path, number);
        if (load_line(conf, at, file, number, included, e) != 0)
            return -1;
    }
    return 0;
}

int brokerconf_load(const char *path, struct brokerconf **out, struct error *e)
{
    struct brokerconf *conf = mem_zalloc(1, sizeof *conf);
    int result = load_file(conf, path, false, e);
    if (result != 0)
        brokerconf_destroy(&conf);
    *out = conf;
    return result;
}

void brokerconf_destroy(struct brokerconf **conf)
{
    if (conf == NULL || *conf == NULL)
        return;
    for (size_t i = 0; i < (*conf)->texts_count; i++)
        free((*conf)->texts[i]);
    free((*conf)->texts);
    free((*conf)->lines);
    free(*conf);
    *conf = NULL;
}

size_t brokerconf_count(const struct brokerconf *conf)
{
    return conf->count;
}

const struct brokerconf_line *brokerconf_at(const struct brokerconf *conf, size_t index)
{
    return index < conf->count ? &conf->lines[index] : NULL;
}

const struct brokerconf_line *brokerconf_find(const struct brokerconf *conf, const char *key,
                                              const struct brokerconf_line *after)
{
    size_t start = after != NULL ? (size_t)(after - conf->lines) + 1 : 0;
    for (size_t i = start; i < conf->count; i++) {
        if (strcmp(conf->lines[i].key, key) == 0)
            return &conf->lines[i];
    }
    return NULL;
}

const char *brokerconf_marked(const struct brokerconf *conf)
{
    return conf->marked;
}

bool brokerconf_switch(const struct brokerconf *conf, const char *key, bool standard)
{
    bool value = standard;
    for (const struct brokerconf_line *at = brokerconf_find(conf, key, NULL); at != NULL;
         at = brokerconf_find(conf, key, at))
        value = strcmp(at->value, "true") == 0 || strcmp(at->value, "1") == 0;
    return value;
}

/* ---- Listeners ---- */

/* Reads `PORT [ADDRESS or path] [# comment]`. */
static struct brokerconf_listener parse_listener(const struct brokerconf_line *line)
{
    char *rest;
    unsigned long port = strtoul(line->value, &rest, 10);
    struct brokerconf_listener listener = {.port = port <= 65535 ? (unsigned)port : 0, .line = line};
    rest += strspn(rest, " ");
    if (*rest != '\0' && *rest != '#') {
        listener.address = rest;
        listener.address_size = strcspn(rest, " ");
    }
    return listener;
}

struct listing {
    struct brokerconf_listener *out, spare; /* spare: takes what is beyond max */
    size_t max, count;
};

static struct brokerconf_listener *add_listener(struct listing *l, struct brokerconf_listener listener)
{
    struct brokerconf_listener *place = l->count < l->max ? &l->out[l->count] : &l->spare;
    l->count++;
    *place = listener;
    return place;
}

static void apply_option(struct brokerconf_listener *listener, const struct brokerconf_line *line)
{
    if (strcmp(line->key, "protocol") == 0)
        listener->websockets = strcmp(line->value, "websockets") == 0;
    if (strcmp(line->key, "certfile") == 0 || strcmp(line->key, "keyfile") == 0)
        listener->tls = true;
}

size_t brokerconf_listeners(const struct brokerconf *conf, struct brokerconf_listener *out, size_t max)
{
    struct listing l = {.out = out, .max = max};
    /* Options before the first `listener` are the default listener's, which `port` brings to life. */
    struct brokerconf_listener standard = {.port = 0}, *current = &standard;
    const struct brokerconf_line *port = brokerconf_find(conf, "port", NULL);
    const struct brokerconf_line *bind = brokerconf_find(conf, "bind_address", NULL);
    if (port != NULL || bind != NULL) {
        standard = port != NULL ? parse_listener(port)
                                : (struct brokerconf_listener){.port = IMPLIED_PORT, .line = bind};
        if (bind != NULL) {
            standard.address = bind->value;
            standard.address_size = strlen(bind->value);
        }
        current = add_listener(&l, standard);
    }
    for (size_t i = 0; i < conf->count; i++) {
        const struct brokerconf_line *line = &conf->lines[i];
        if (strcmp(line->key, "listener") == 0)
            current = add_listener(&l, parse_listener(line));
        else
            apply_option(current, line);
    }
    if (l.count == 0) {
        struct brokerconf_listener implied = {
            .port = IMPLIED_PORT, .address = "localhost", .address_size = 9};
        implied.websockets = standard.websockets;
        implied.tls = standard.tls;
        add_listener(&l, implied);
    }
    return l.count;
}
