#include "plugin/refusals.h"

#include "core/brokerconf.h"
#include "core/buf.h"
#include "core/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIGRATING     "https://mosquitto.org/documentation/migrating-to-2-0/"
#define LISTENERS_MAX 64

/* The broker's command line, words separated by zero bytes. */
static void read_command_line(struct buf *out)
{
    char chunk[4096];
    size_t got;
    FILE *file = fopen("/proc/self/cmdline", "re");
    if (file == NULL)
        return;
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        buf_put(out, chunk, got);
    fclose(file);
}

/* The value of -c or --config-file; NULL when the broker runs without a file. */
static const char *conf_path(const struct buf *line)
{
    const char *path = NULL, *end = line->data + line->size;
    for (const char *word = line->data; word != NULL && word < end; word += strlen(word) + 1) {
        const char *next = word + strlen(word) + 1;
        if ((strcmp(word, "-c") == 0 || strcmp(word, "--config-file") == 0) && next < end)
            path = next;
    }
    return path;
}

static bool has_listener(const struct brokerconf *conf, const char *path)
{
    struct brokerconf_listener listeners[LISTENERS_MAX];
    size_t count = brokerconf_listeners(conf, listeners, LISTENERS_MAX), size = strlen(path);
    if (count > LISTENERS_MAX)
        return true; /* too many to look at */
    for (size_t i = 0; i < count; i++)
        if (listeners[i].port == 0 && listeners[i].address != NULL && listeners[i].address_size == size &&
            memcmp(listeners[i].address, path, size) == 0)
            return true;
    return false;
}

static int check(const struct brokerconf *conf, const struct config *config, struct error *e)
{
    if (brokerconf_switch(conf, "per_listener_settings", false)) {
        const struct brokerconf_line *line = brokerconf_find(conf, "per_listener_settings", NULL);
        return error_set(e, ERROR_INVALID, "broker_conf",
                         "%s:%u: Parlor can't run with `per_listener_settings true` (Mosquitto gives its "
                         "plugins no ticks then): set it to false and make its settings global, see %s",
                         line->file, line->line, MIGRATING);
    }
    if (!has_listener(conf, config->wake_socket))
        log_warn("plugin",
                 "no listener serves wake_socket: put the line `listener 0 %s` into mosquitto.conf, else "
                 "messages wait up to 100 ms",
                 config->wake_socket);
    return 0;
}

int refusals_check(const struct config *config, struct error *e)
{
    struct buf line = {0};
    struct brokerconf *conf = NULL;
    int ok = 0;
    read_command_line(&line);
    const char *path = line.size == 0 ? NULL : conf_path(&line);
    if (path != NULL) {
        ok = brokerconf_load(path, &conf, e);
        if (ok == 0)
            ok = check(conf, config, e);
    }
    brokerconf_destroy(&conf);
    buf_finish(&line);
    return ok;
}
