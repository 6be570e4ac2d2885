#include "ctl/broker_findings.h"

#include "core/config_table.h"
#include "core/wire.h"
#include "ctl/broker_lines.h"

#include <stdlib.h>
#include <string.h>

#define AREA            "broker"
#define LISTENERS_MAX   64
#define MIGRATING       "https://mosquitto.org/documentation/migrating-to-2-0/"
#define PACKET_OVERHEAD 1024 /* topic and headers of the largest packet of parlord's link */

/* ---- The plugin ---- */

/* The first line that loads a plugin, ours or another. */
static const struct brokerconf_line *find_loading(const struct brokerconf *conf, bool ours)
{
    for (size_t i = 0; i < brokerconf_count(conf); i++) {
        const struct brokerconf_line *at = brokerconf_at(conf, i);
        if (broker_line_is_plugin(at) && (strstr(at->value, "mosquitto_parlor") != NULL) == ours)
            return at;
    }
    return NULL;
}

static void foreign_option(const struct brokerconf_line *line, const char *option, struct findings *f)
{
    bool is_key = config_key_find(option, strlen(option), &(bool){false}) != NULL;
    findings_add(f, FINDING_WRONG, AREA,
                 AT_FORMAT
                 "%s is no option of Parlor's, and the plugin refuses to start: the one there is is "
                 "`plugin_opt_config FILE`%s",
                 AT_LINE(line), line->key, is_key ? ", and this is a key of that file" : "");
}

/* Options stand below the plugin's line, in its own file, up to the next plugin's. Returns the line that
 * counts as plugin_opt_config, the last one with a value; NULL when there is none. */
static const struct brokerconf_line *read_options(const struct brokerconf *conf,
                                                  const struct brokerconf_line *plugin, struct findings *f)
{
    const struct brokerconf_line *config = NULL, *end = brokerconf_at(conf, brokerconf_count(conf) - 1);
    for (const struct brokerconf_line *at = plugin + 1; at <= end; at++) {
        const char *option = broker_line_option(at);
        if (at->file != plugin->file || (option != NULL && at->value[0] == '\0'))
            continue;
        if (broker_line_is_plugin(at))
            break;
        if (option != NULL && strcmp(option, "config") == 0)
            config = at;
        else if (option != NULL)
            foreign_option(at, option, f);
    }
    return config;
}

static bool find_plugin(const struct brokerconf *conf, const char *config_path, struct findings *f)
{
    const struct brokerconf_line *line = find_loading(conf, true);
    if (line == NULL) {
        findings_add(f, FINDING_NOTE, AREA,
                     "this broker does not load Parlor yet: what follows is what will change");
        return false;
    }
    const char *path = strchr(line->value, '/'); /* behind the name that plugin_load has */
    if (path != NULL && broker_file_missing(path))
        findings_add(f, FINDING_WRONG, AREA, AT_FORMAT "there is no file %s", AT_LINE(line), path);
    const struct brokerconf_line *option = read_options(conf, line, f);
    if (option == NULL)
        findings_add(
            f, FINDING_WRONG, AREA,
            AT_FORMAT
            "no `plugin_opt_config FILE` follows, and the plugin refuses to start without it; FILE is "
            "parlor.conf",
            AT_LINE(line));
    else if (broker_file_missing(option->value))
        findings_add(f, FINDING_WRONG, AREA, AT_FORMAT "there is no file %s", AT_LINE(option), option->value);
    else if (config_path != NULL && strcmp(option->value, config_path) != 0)
        findings_add(f, FINDING_NOTE, AREA, AT_FORMAT "the plugin reads %s; this check read %s",
                     AT_LINE(option), option->value, config_path);
    return true;
}

static void check_per_listener(const struct brokerconf *conf, struct findings *f)
{
    const struct brokerconf_line *line = brokerconf_find(conf, "per_listener_settings", NULL);
    if (brokerconf_switch(conf, "per_listener_settings", false))
        findings_add(
            f, FINDING_WRONG, AREA,
            AT_FORMAT
            "per_listener_settings true: the plugin refuses to start, for Mosquitto then gives plugins no "
            "ticks; set it to false and make its settings global, see " MIGRATING,
            AT_LINE(line));
}

/* ---- Listeners ---- */

struct listeners {
    struct brokerconf_listener list[LISTENERS_MAX];
    size_t count;
};

static bool is_wake(const struct brokerconf_listener *l, const struct config *config)
{
    return l->port == 0 && l->address != NULL && config != NULL && config->wake_socket != NULL &&
           strlen(config->wake_socket) == l->address_size &&
           memcmp(config->wake_socket, l->address, l->address_size) == 0;
}

static void check_wake(const struct listeners *l, const struct config *config, bool loaded,
                       struct findings *f)
{
    for (size_t i = 0; i < l->count; i++) {
        if (is_wake(&l->list[i], config)) {
            findings_add(f, FINDING_OK, AREA, "wake_socket has its listener");
            return;
        }
    }
    if (config != NULL && config->wake_socket != NULL)
        findings_add(f, loaded ? FINDING_WARN : FINDING_NOTE, AREA,
                     "no listener serves wake_socket: put the line `listener 0 %s` into mosquitto.conf, else "
                     "messages wait "
                     "up to 100 ms",
                     config->wake_socket);
}

static void check_default_listener(const struct brokerconf *conf, const struct listeners *l,
                                   const struct config *config, struct findings *f)
{
    size_t others = 0;
    for (size_t i = 0; i < l->count; i++)
        others += !is_wake(&l->list[i], config);
    if (l->list[0].line == NULL) {
        findings_add(f, FINDING_NOTE, AREA,
                     "no listener is named, so this broker listens on localhost:1883; the wake_socket's "
                     "`listener` line "
                     "ends that: add `listener 1883 localhost` to keep it");
        if (brokerconf_find(conf, "allow_anonymous", NULL) == NULL)
            findings_add(
                f, FINDING_NOTE, AREA,
                "without listeners Mosquitto lets anonymous local clients in; with one it does not: add "
                "`allow_anonymous true` if you have such clients");
    } else if (others == 0) {
        findings_add(f, FINDING_WRONG, AREA,
                     "the only listener is wake_socket's: it ended the default one on localhost:1883, and no "
                     "client can "
                     "connect; add such as `listener 1883 localhost`");
    }
}

/* A broker without the plugin may be another one than parlord's: then it is no more than a note. */
static void check_broker_port(const struct listeners *l, const struct config *config, bool loaded,
                              struct findings *f)
{
    const struct brokerconf_listener *found = NULL;
    if (config == NULL)
        return;
    for (size_t i = 0; i < l->count && found == NULL; i++) {
        if (l->list[i].port == (unsigned)config->broker_port)
            found = &l->list[i];
    }
    if (found == NULL)
        findings_add(f, loaded ? FINDING_WRONG : FINDING_NOTE, AREA,
                     "broker_port is %u, where parlord reaches the broker, and no listener has it",
                     (unsigned)config->broker_port);
    else if (found->websockets)
        findings_add(f, loaded ? FINDING_WRONG : FINDING_NOTE, AREA,
                     "broker_port %u is a WebSocket listener; parlord needs one of plain MQTT", found->port);
    else if (found->tls)
        findings_add(f, loaded ? FINDING_WRONG : FINDING_NOTE, AREA,
                     "broker_port %u is a TLS listener; parlord needs one of plain MQTT (on 127.0.0.1, say)",
                     found->port);
    else
        findings_add(f, FINDING_OK, AREA, "broker_port %u has its listener", found->port);
}

static void check_listeners(const struct brokerconf *conf, const struct config *config, bool loaded,
                            struct findings *f)
{
    struct listeners l;
    l.count = brokerconf_listeners(conf, l.list, LISTENERS_MAX);
    if (l.count > LISTENERS_MAX)
        l.count = LISTENERS_MAX;
    check_wake(&l, config, loaded, f);
    check_default_listener(conf, &l, config, f);
    check_broker_port(&l, config, loaded, f);
}

/* ---- Who else may do what ---- */

/* False where Mosquitto does not even start. */
static bool is_in_force(const struct brokerconf_line *line)
{
    return line != NULL && line->value[0] != '\0' && !broker_file_missing(line->value);
}

static void check_anonymous(const struct brokerconf *conf, struct findings *f)
{
    const struct brokerconf_line *line = brokerconf_find(conf, "allow_anonymous", NULL);
    if (brokerconf_switch(conf, "allow_anonymous", false))
        findings_add(
            f, FINDING_NOTE, AREA,
            AT_FORMAT
            "allow_anonymous true: anonymous clients go on connecting; under Parlor's prefix they may do "
            "nothing",
            AT_LINE(line));
    line = brokerconf_find(conf, "password_file", NULL);
    if (is_in_force(line))
        findings_add(
            f, FINDING_NOTE, AREA,
            AT_FORMAT
            "password_file stays in force for clients whose password is no token; under Parlor's prefix "
            "they may do nothing",
            AT_LINE(line));
}

/* On 2.0 the plugin is asked before acl_file, and a topic that everybody defers is denied. */
static void check_acl(const struct brokerconf *conf, const struct config *config, struct findings *f)
{
    const struct brokerconf_line *acl = brokerconf_find(conf, "acl_file", NULL);
    bool allow = config != NULL && config->outside_prefix == OUTSIDE_ALLOW;
    bool others = acl != NULL || find_loading(conf, false) != NULL;
    if (allow && others)
        findings_add(f, FINDING_WARN, AREA,
                     "outside_prefix allow opens all topics outside the prefix, but for those that begin "
                     "with $, to everybody who is connected: acl_file and "
                     "other plugins are not asked any more; use defer");
    else if (is_in_force(acl))
        findings_add(f, FINDING_NOTE, AREA,
                     AT_FORMAT "acl_file stays in force outside Parlor's prefix, and not under it",
                     AT_LINE(acl));
    else if (allow)
        findings_add(
            f, FINDING_NOTE, AREA,
            "outside_prefix allow keeps topics outside the prefix open, but not those that begin with "
            "$: $SYS closes for all clients; an acl_file with `topic read $SYS/#` keeps it open, but is "
            "asked for nothing else then");
    else if (!others)
        findings_add(f, FINDING_NOTE, AREA,
                     "no acl_file and no other plugin: with Parlor, what nobody allows is denied, so topics "
                     "outside its prefix "
                     "close for all clients; an acl_file keeps them open, or `outside_prefix allow` "
                     "all but those that begin with $, as $SYS");
}

/* ---- Settings that cost ---- */

static void check_packet_size(const struct brokerconf *conf, const struct config *config, const char *key,
                              struct findings *f)
{
    const struct brokerconf_line *line = brokerconf_find(conf, key, NULL);
    long long need = WIRE_PACKET_MAX + PACKET_OVERHEAD + (config != NULL ? config->payload_bytes_max : 0);
    long long value = line != NULL ? strtoll(line->value, NULL, 10) : 0;
    if (value > 0 && value < need)
        findings_add(f, FINDING_WRONG, AREA,
                     AT_FORMAT "%s is %lld, but parlord's link has packets of up to %lld bytes",
                     AT_LINE(line), key, value, need);
}

static void check_costs(const struct brokerconf *conf, const struct config *config, struct findings *f)
{
    const struct brokerconf_line *line = brokerconf_find(conf, "persistence", NULL);
    if (brokerconf_switch(conf, "persistence", false))
        findings_add(
            f, FINDING_NOTE, AREA,
            AT_FORMAT
            "persistence true: the broker writes queued messages to disk too; for Parlor's it need not, "
            "the database has them",
            AT_LINE(line));
    if (!brokerconf_switch(conf, "set_tcp_nodelay", false))
        findings_add(f, FINDING_NOTE, AREA, "set_tcp_nodelay true would let small messages go at once");
    if (!brokerconf_switch(conf, "retain_available", true))
        findings_add(f, FINDING_WARN, AREA,
                     "retain_available false: presence is retained and won't reach new subscribers");
    if (brokerconf_switch(conf, "upgrade_outgoing_qos", false))
        findings_add(f, FINDING_NOTE, AREA, "upgrade_outgoing_qos true: subscribers at QoS 0 pay for QoS 1");
    check_packet_size(conf, config, "message_size_limit", f);
    check_packet_size(conf, config, "max_packet_size", f);
}

void broker_findings(const struct brokerconf *conf, const struct config *config, const char *config_path,
                     struct findings *f)
{
    broker_lines(conf, f);
    bool loaded = find_plugin(conf, config_path, f);
    check_per_listener(conf, f);
    check_listeners(conf, config, loaded, f);
    check_anonymous(conf, f);
    check_acl(conf, config, f);
    check_costs(conf, config, f);
}
