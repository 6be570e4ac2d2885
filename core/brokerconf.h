/* The broker's own mosquitto.conf, as it reads it: lines in order, those of `include_dir` where it stands.
 *
 * Flow:   mosquitto.conf -> brokerconf_load -> the plugin (what it cannot live with), parlorctl check.
 * Thread: any; constant once loaded. brokerconf_load waits for the disk.
 * Owns:   all texts, until brokerconf_destroy. */
#ifndef PARLOR_CORE_BROKERCONF_H
#define PARLOR_CORE_BROKERCONF_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

#define BROKERCONF_BYTES_MAX (4 * 1024 * 1024) /* of one file */

struct brokerconf;

struct brokerconf_line {
    const char *key;
    const char *value; /* the rest of the line without the spaces around it; "" when there is none */
    const char *file;
    unsigned line; /* from 1 */
};

/* Reads the file and, in Mosquitto's order, the files *.conf of its include_dirs (an include_dir in an
 * included file is not followed, as Mosquitto doesn't). 0, or -1 with e naming file and line. */
int brokerconf_load(const char *path, struct brokerconf **out, struct error *e);
void brokerconf_destroy(struct brokerconf **conf);

size_t brokerconf_count(const struct brokerconf *conf);
const struct brokerconf_line *brokerconf_at(const struct brokerconf *conf, size_t index);

/* The next line with this key behind `after` (NULL: from the beginning); NULL when there is none. */
const struct brokerconf_line *brokerconf_find(const struct brokerconf *conf, const char *key,
                                              const struct brokerconf_line *after);

/* The first file that begins with a byte order mark, which Mosquitto takes for a part of the first word; here
 * the lines are read as if it were not there. NULL when there is none. */
const char *brokerconf_marked(const struct brokerconf *conf);

/* What a switch is set to by its last line, `standard` when no line sets it. Mosquitto knows true, 1, false,
 * 0. */
bool brokerconf_switch(const struct brokerconf *conf, const char *key, bool standard);

/* One place where the broker listens. */
struct brokerconf_listener {
    unsigned port;       /* 0 for a unix socket */
    const char *address; /* NULL: all addresses; the socket's path when port is 0 */
    size_t address_size; /* it is not zero-terminated */
    bool websockets;     /* `protocol websockets` */
    bool tls;            /* has a certfile or keyfile */
    const struct brokerconf_line
        *line; /* of `listener` or `port`; NULL for the implied one on localhost:1883 */
};

/* Writes up to `max` listeners in order and returns how many there are (which may be more). A conf that names
 * none has the implied one: 1883 on localhost. */
size_t brokerconf_listeners(const struct brokerconf *conf, struct brokerconf_listener *out, size_t max);

#endif
