/* Mosquitto reads a line as `keyword value`, divided by spaces alone, and gives up at the first that it does
 * not know: a comment that is indented is one, so is one behind a byte order mark. */
#include "ctl/broker_lines.h"

#include "core/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AREA     "broker"
#define PORT_MAX 65535

/* Of 2.0.11 to 2.1; a word of a newer version than the broker's passes. */
static const char *const keywords[] = {"accept_protocol_versions",
                                       "acl_file",
                                       "address",
                                       "addresses",
                                       "allow_anonymous",
                                       "allow_duplicate_messages",
                                       "allow_zero_length_clientid",
                                       "auth_plugin",
                                       "auth_plugin_deny_special_chars",
                                       "auto_id_prefix",
                                       "autosave_interval",
                                       "autosave_on_changes",
                                       "bind_address",
                                       "bind_interface",
                                       "bridge_alpn",
                                       "bridge_attempt_unsubscribe",
                                       "bridge_bind_address",
                                       "bridge_cafile",
                                       "bridge_capath",
                                       "bridge_certfile",
                                       "bridge_ciphers",
                                       "bridge_identity",
                                       "bridge_insecure",
                                       "bridge_keyfile",
                                       "bridge_max_packet_size",
                                       "bridge_max_topic_alias",
                                       "bridge_outgoing_retain",
                                       "bridge_protocol_version",
                                       "bridge_psk",
                                       "bridge_receive_maximum",
                                       "bridge_reload_type",
                                       "bridge_require_ocsp",
                                       "bridge_session_expiry_interval",
                                       "bridge_tcp_keepalive",
                                       "bridge_tcp_user_timeout",
                                       "bridge_tls_use_os_certs",
                                       "bridge_tls_version",
                                       "cafile",
                                       "capath",
                                       "certfile",
                                       "check_retain_source",
                                       "ciphers",
                                       "cleansession",
                                       "clientid",
                                       "clientid_prefixes",
                                       "connection",
                                       "connection_messages",
                                       "crlfile",
                                       "dhparamfile",
                                       "disable_client_cert_date_checks",
                                       "enable_control_api",
                                       "enable_proxy_protocol",
                                       "global_max_clients",
                                       "global_max_connections",
                                       "global_plugin",
                                       "http_dir",
                                       "idle_timeout",
                                       "include_dir",
                                       "keepalive_interval",
                                       "keyfile",
                                       "listener",
                                       "listener_allow_anonymous",
                                       "listener_auto_id_prefix",
                                       "local_cleansession",
                                       "local_clientid",
                                       "local_password",
                                       "local_username",
                                       "log_dest",
                                       "log_facility",
                                       "log_timestamp",
                                       "log_timestamp_format",
                                       "log_type",
                                       "max_connections",
                                       "max_inflight_bytes",
                                       "max_inflight_messages",
                                       "max_keepalive",
                                       "max_packet_size",
                                       "max_qos",
                                       "max_queued_bytes",
                                       "max_queued_messages",
                                       "max_topic_alias",
                                       "max_topic_alias_broker",
                                       "maximum_qos",
                                       "memory_limit",
                                       "message_size_limit",
                                       "mount_point",
                                       "notification_topic",
                                       "notifications",
                                       "notifications_local_only",
                                       "packet_buffer_size",
                                       "password",
                                       "password_file",
                                       "per_listener_settings",
                                       "persistence",
                                       "persistence_file",
                                       "persistence_location",
                                       "persistent_client_expiration",
                                       "pid_file",
                                       "plugin",
                                       "plugin_load",
                                       "plugin_use",
                                       "port",
                                       "protocol",
                                       "proxy_protocol_v2_require_tls",
                                       "psk_file",
                                       "psk_hint",
                                       "queue_qos0_messages",
                                       "remote_clientid",
                                       "remote_password",
                                       "remote_username",
                                       "require_certificate",
                                       "restart_timeout",
                                       "retain_available",
                                       "retain_expiry_interval",
                                       "retained_persistence",
                                       "retry_interval",
                                       "round_robin",
                                       "set_tcp_nodelay",
                                       "socket_domain",
                                       "start_type",
                                       "sys_interval",
                                       "threshold",
                                       "tls_engine",
                                       "tls_engine_kpass_sha1",
                                       "tls_keyform",
                                       "tls_version",
                                       "topic",
                                       "try_private",
                                       "upgrade_outgoing_qos",
                                       "use_identity_as_username",
                                       "use_subject_as_username",
                                       "use_username_as_clientid",
                                       "user",
                                       "username",
                                       "websockets_headers_size",
                                       "websockets_log_level",
                                       "websockets_origin"};

/* true, false, 1 or 0. */
static const char *const switches[] = {"allow_anonymous",
                                       "allow_duplicate_messages",
                                       "allow_zero_length_clientid",
                                       "auth_plugin_deny_special_chars",
                                       "autosave_on_changes",
                                       "bridge_attempt_unsubscribe",
                                       "bridge_insecure",
                                       "bridge_outgoing_retain",
                                       "bridge_require_ocsp",
                                       "check_retain_source",
                                       "cleansession",
                                       "local_cleansession",
                                       "notifications",
                                       "notifications_local_only",
                                       "per_listener_settings",
                                       "persistence",
                                       "queue_qos0_messages",
                                       "require_certificate",
                                       "retain_available",
                                       "round_robin",
                                       "set_tcp_nodelay",
                                       "try_private",
                                       "upgrade_outgoing_qos",
                                       "use_identity_as_username",
                                       "use_subject_as_username",
                                       "use_username_as_clientid",
                                       "connection_messages",
                                       "log_timestamp",
                                       "retained_persistence"};

/* Without them Mosquitto does not start. */
static const char *const files[] = {"acl_file", "password_file", "psk_file"};

/* Without them it does, where the listener has no use for them. */
static const char *const tls_files[] = {"cafile", "certfile", "crlfile", "dhparamfile", "keyfile"};

/* Mosquitto passes over these without a value. */
static const char *const bare[] = {"log_type", "max_connections", "persistent_client_expiration", "protocol",
                                   "retry_interval"};

#define COUNT(list)     (sizeof(list) / sizeof((list)[0]))
#define HAS(list, word) is_one_of(list, COUNT(list), word)

static bool is_one_of(const char *const *list, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i], word) == 0)
            return true;
    }
    return false;
}

bool broker_line_is_plugin(const struct brokerconf_line *line)
{
    static const char *const plugins[] = {"plugin", "auth_plugin", "global_plugin", "plugin_load"};
    return HAS(plugins, line->key);
}

const char *broker_line_option(const struct brokerconf_line *line)
{
    static const char *const before[] = {"plugin_opt_", "auth_opt_"};
    for (size_t i = 0; i < COUNT(before); i++) {
        size_t size = strlen(before[i]);
        if (strncmp(line->key, before[i], size) == 0)
            return line->key + size;
    }
    return NULL;
}

bool broker_file_missing(const char *path)
{
    return path[0] == '/' && access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

/* ---- Lines ---- */

static void unknown_word(const struct brokerconf_line *line, struct findings *f)
{
    const char *word = line->key;
    struct nearest nearest = nearest_begin(word, strlen(word));
    if (word[0] == '#') {
        findings_add(f, FINDING_WRONG, AREA,
                     AT_FORMAT
                     "spaces stand before the #: Mosquitto knows comments in the first column alone",
                     AT_LINE(line));
        return;
    }
    if (strchr(word, '\t') != NULL) {
        findings_add(f, FINDING_WRONG, AREA, AT_FORMAT "a tab stands where Mosquitto takes spaces alone",
                     AT_LINE(line));
        return;
    }
    for (size_t i = 0; i < COUNT(keywords); i++)
        nearest_take(&nearest, keywords[i]);
    findings_add(f, FINDING_WRONG, AREA,
                 AT_FORMAT "%.60s is no keyword of mosquitto.conf, and Mosquitto refuses it; %s %s%s",
                 AT_LINE(line), word, nearest_close(&nearest) ? "did you mean" : "the nearest is",
                 nearest.name, nearest_close(&nearest) ? "?" : "");
}

/* Mosquitto reads a port as atoi does; 0 is a socket, which needs a path. */
static void check_port(const struct brokerconf_line *line, struct findings *f)
{
    char *rest;
    long port = strtol(line->value, &rest, 10);
    bool listener = strcmp(line->key, "listener") == 0;
    const char *path = rest + strspn(rest, " ");
    bool is_socket = listener && rest != line->value && port == 0 && *path != '\0' && *path != '#';
    if ((port < 1 || port > PORT_MAX) && !is_socket)
        findings_add(f, FINDING_WRONG, AREA, AT_FORMAT "%s is '%s' but must be a port from 1 to 65535%s",
                     AT_LINE(line), line->key, line->value,
                     listener ? ", or 0 and the path of a unix socket" : "");
}

static void check_switch(const struct brokerconf_line *line, struct findings *f)
{
    static const char *const right[] = {"true", "false", "1", "0"};
    size_t size = strcspn(line->value, " ");
    for (size_t i = 0; i < COUNT(right); i++) {
        if (strlen(right[i]) == size && memcmp(line->value, right[i], size) == 0)
            return;
    }
    findings_add(f, FINDING_WRONG, AREA, AT_FORMAT "%s is '%s' but must be true or false", AT_LINE(line),
                 line->key, line->value);
}

static void check_line(const struct brokerconf_line *line, struct findings *f)
{
    if (!HAS(keywords, line->key))
        unknown_word(line, f);
    else if (line->value[0] == '\0' && !HAS(bare, line->key))
        findings_add(f, FINDING_WRONG, AREA, AT_FORMAT "%s has no value", AT_LINE(line), line->key);
    else if (HAS(switches, line->key))
        check_switch(line, f);
    else if ((HAS(files, line->key) || HAS(tls_files, line->key)) && broker_file_missing(line->value))
        findings_add(f, HAS(files, line->key) ? FINDING_WRONG : FINDING_WARN, AREA,
                     AT_FORMAT "%s: there is no file %s", AT_LINE(line), line->key, line->value);
    else if (strcmp(line->key, "listener") == 0 || strcmp(line->key, "port") == 0)
        check_port(line, f);
}

void broker_lines(const struct brokerconf *conf, struct findings *f)
{
    const char *marked = brokerconf_marked(conf);
    const struct brokerconf_line *plugin = NULL;
    if (marked != NULL)
        findings_add(
            f, FINDING_WRONG, AREA,
            "%s:1: a byte order mark (the bytes EF BB BF) stands before the line, and Mosquitto takes "
            "it for a part of the first word: save the file without it",
            marked);
    for (size_t i = 0; i < brokerconf_count(conf); i++) {
        const struct brokerconf_line *line = brokerconf_at(conf, i);
        if (broker_line_is_plugin(line))
            plugin = line;
        if (broker_line_option(line) == NULL)
            check_line(line, f);
        else if (plugin == NULL || plugin->file != line->file)
            findings_add(f, FINDING_WRONG, AREA,
                         AT_FORMAT "%s stands below no `plugin` line of its file, and Mosquitto refuses it",
                         AT_LINE(line), line->key);
    }
}
