#include "core/config_table.h"

#include "core/ids.h"
#include "core/json.h"
#include "core/log.h"
#include "core/topic.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BOTH (1u << CONFIG_PLUGIN | 1u << CONFIG_SERVICE)

/* ---- Comma lists ---- */

/* The next word of a comma list without the spaces around it; false at the end. Words may be empty. */
static bool list_next(const char **at, const char **word, size_t *size)
{
    const char *start = *at;
    if (start == NULL)
        return false;
    const char *comma = strchr(start, ',');
    const char *end = comma != NULL ? comma : start + strlen(start);
    *at = comma != NULL ? comma + 1 : NULL;
    while (start < end && (*start == ' ' || *start == '\t'))
        start++;
    while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *word = start;
    *size = (size_t)(end - start);
    return true;
}

bool config_list_has(const char *list, const char *word)
{
    const char *at = list, *item;
    size_t size, wanted = strlen(word);
    while (list_next(&at, &item, &size)) {
        if (size == wanted && memcmp(item, word, size) == 0)
            return size != 0;
    }
    return false;
}

/* True when each word of the list is one of the words in `allowed` (comma list, too). */
static bool list_within(const char *list, const char *allowed)
{
    const char *at = list, *item;
    size_t size;
    while (list_next(&at, &item, &size)) {
        char word[32];
        if (size >= sizeof word)
            return false;
        memcpy(word, item, size);
        word[size] = '\0';
        if (!config_list_has(allowed, word))
            return false;
    }
    return true;
}

/* ---- Checks of single values: NULL, or what would be right ---- */

static const char *check_prefix(const char *value)
{
    size_t size = strlen(value);
    if (size > PREFIX_MAX || value[0] == '/' || value[size - 1] == '/' || value[0] == '$')
        return "1 to 64 characters, with no slash at either end and no $ at the front";
    if (strpbrk(value, "+# \t") != NULL || strstr(value, "//") != NULL)
        return "levels divided by single slashes, without + # or spaces";
    return NULL;
}

static const char *check_log_level(const char *value)
{
    enum log_level level;
    return log_level_parse(value, &level) == 0 ? NULL : "error, warn, info or debug";
}

static const char *check_algorithms(const char *value)
{
    static const char all[] = "HS256,HS384,HS512,RS256,RS384,RS512,PS256,ES256,ES384,EdDSA";
    return list_within(value, all)
               ? NULL
               : "a comma list of HS256 HS384 HS512 RS256 RS384 RS512 PS256 ES256 ES384 EdDSA";
}

static const char *check_roles(const char *value)
{
    return strcmp(value, "none") == 0 || list_within(value, "agent,operator")
               ? NULL
               : "a comma list of agent and operator, or none";
}

static const char *check_secret(const char *value)
{
    return strlen(value) >= CONFIG_SECRET_MIN ? NULL : "at least 32 bytes (`openssl rand -hex 32` makes one)";
}

static const char *check_addresses(const char *value)
{
    const char *at = value, *item;
    size_t size;
    while (list_next(&at, &item, &size)) {
        char text[INET6_ADDRSTRLEN];
        unsigned char address[sizeof(struct in6_addr)];
        if (size >= sizeof text)
            return "a comma list of IPv4 and IPv6 addresses";
        memcpy(text, item, size);
        text[size] = '\0';
        if (inet_pton(AF_INET, text, address) != 1 && inet_pton(AF_INET6, text, address) != 1)
            return "a comma list of IPv4 and IPv6 addresses";
    }
    return NULL;
}

static const char *check_address(const char *value)
{
    return strchr(value, ',') == NULL && check_addresses(value) == NULL ? NULL : "an IPv4 or IPv6 address";
}

static const char *check_origins(const char *value)
{
    const char *at = value, *item;
    size_t size;
    if (strcmp(value, "*") == 0)
        return NULL;
    while (list_next(&at, &item, &size)) {
        const char *host = size > 7 && memcmp(item, "http://", 7) == 0    ? item + 7
                           : size > 8 && memcmp(item, "https://", 8) == 0 ? item + 8
                                                                          : NULL;
        if (host == NULL || memchr(host, '/', (size_t)(item + size - host)) != NULL)
            return "* or a comma list of origins such as https://app.example.com (no path)";
    }
    return NULL;
}

/* ---- The table ---- */

#define AT(field) offsetof(struct config, field)

#define TEXT(field, value)   .name = #field, .kind = KEY_TEXT, .offset = AT(field), .standard = (value)
#define SECRET(field)        .name = #field, .kind = KEY_SECRET, .offset = AT(field)
#define PATH(field)          .name = #field, .kind = KEY_FILE, .offset = AT(field)
#define SWITCH(field, value) .name = #field, .kind = KEY_SWITCH, .offset = AT(field), .standard = (value)
#define NUMBER(field, value, low, high)                                                                      \
    .name = #field, .kind = KEY_NUMBER, .offset = AT(field), .standard = #value, .min = (low), .max = (high)

#define DAY_S       86400
#define MIB         1048576
#define SIZE_LIMIT  (INT64_C(1) << 40)
#define RATE_LIMIT  1000000
#define COUNT_LIMIT 10000000

const struct config_key config_keys[] = {
    {SECRET(database_url), .section = "Shared", .needed_by = BOTH,
     .help =
         "PostgreSQL, as a URI (`postgresql://parlor@localhost/parlor`) or as libpq's `key=value` words."},
    {TEXT(prefix, "chat/v1"), .check = check_prefix,
     .help = "Where Parlor's topics begin. Topics outside it are none of its business."},
    {TEXT(log_level, "info"), .check = check_log_level, .help = "`error`, `warn`, `info` or `debug`."},
    {SWITCH(limits, "on"),
     .help = "`off` lifts the rates and the numbers of connections, for measurements; sizes stay limited."},

    {TEXT(jwt_algorithms, "HS256"), .section = "Tokens", .check = check_algorithms,
     .help = "Comma list of the algorithms that users' tokens may be signed with: HS256, HS384, HS512 with "
             "jwt_secret; RS256, RS384, RS512, PS256, ES256, ES384, EdDSA with jwt_public_key_file."},
    {SECRET(jwt_secret), .help = "The issuer's secret for HS algorithms, at least 32 bytes: a shorter one "
                                 "can be guessed offline from "
                                 "any one token."},
    {SWITCH(jwt_secret_short, "off"),
     .help = "`on` takes a jwt_secret of less than 32 bytes, for an issuer that cannot change its own."},
    {PATH(jwt_public_key_file), .help = "The issuer's public key as PEM, for all other algorithms."},
    {TEXT(jwt_issuer, NULL), .help = "What a token's `iss` must be; without it `iss` is not checked."},
    {TEXT(jwt_audience, NULL),
     .help = "What a token's `aud` must be or hold; without it `aud` is not checked."},
    {NUMBER(jwt_leeway_s, 0, 0, 300), .help = "Seconds by which clocks may differ, for `exp` and `nbf`."},
    {NUMBER(jwt_ttl_max_s, 0, 0, 3650LL * DAY_S),
     .help = "Caps a token's life, in seconds from its `iat`, or from when it is first seen; 0: no cap."},
    {TEXT(trusted_roles, "agent"), .check = check_roles,
     .help = "Comma list of the roles that an issuer may give (`agent`, `operator`), or `none`."},
    {SECRET(operator_secret), .check = check_secret,
     .help =
         "Signs the tokens of `parlorctl token`, at least 32 bytes; without it there are no such tokens."},
    {SECRET(service_secret), .needed_by = BOTH, .check = check_secret,
     .help =
         "parlord's own key, at least 32 bytes, the same for plugin and service and known to nobody else."},
    {TEXT(service_addresses, "127.0.0.1,::1"), .check = check_addresses,
     .help = "Comma list of the addresses from which parlord may connect to the broker."},

    {.name = "outside_prefix",
     .kind = KEY_CHOICE,
     .offset = AT(outside_prefix),
     .standard = "defer",
     .choices = "defer allow",
     .section = "Plugin",
     .help = "Topics outside the prefix: `defer` leaves them to acl_file and other plugins (what nobody "
             "allows is denied), `allow` allows them to everybody who is connected, but for those that begin "
             "with `$` (`$SYS`, `$CONTROL`), which it defers too."},
    {TEXT(wake_socket, NULL), .needed_by = 1u << CONFIG_PLUGIN,
     .help =
         "Path of the unix socket listener in mosquitto.conf (`listener 0 PATH`) that the plugin wakes the "
         "broker's loop by."},
    {PATH(past_file),
     .help =
         "File in which the plugin keeps the newest messages that it has seen stored, in a folder that the "
         "broker's user may write to. A database that has lost some of them when the plugin starts, as "
         "after a restored backup, has gone back: all rooms begin a new epoch. Without it that is only "
         "noticed while the plugin runs."},
    {NUMBER(batch_max, 300, 1, 5000), .help = "Messages in one commit at most."},
    {NUMBER(queue_messages_max, 65536, 1, COUNT_LIMIT),
     .help = "Messages that may wait for a commit; when so many do, senders are told `busy`."},
    {NUMBER(queue_bytes_max, 67108864, MIB, SIZE_LIMIT),
     .help = "Bytes that may wait for a commit, likewise."},
    {NUMBER(lock_timeout_ms, 1000, 10, 60000),
     .help = "A room's row that is locked for longer costs its messages `rejected: busy`."},
    {NUMBER(database_timeout_ms, 2000, 100, 60000),
     .help = "A database that does not answer for so long counts as hung; the connection is made anew."},
    {NUMBER(members_stale_s, 30, 2, DAY_S),
     .help = "Membership that could not be refreshed for so long gives no new subscriptions."},
    {NUMBER(presence_grace_ms, 5000, 0, 600000),
     .help = "A user whose last connection has gone is offline after so long, unless one comes back."},
    {NUMBER(presence_room_max, 500, 0, 100000),
     .help = "Rooms with more participants have neither typing nor presence."},

    {TEXT(http_address, "127.0.0.1"), .section = "Service", .check = check_address,
     .help =
         "Where REST and Socket.IO listen. `0.0.0.0` or `::` for all; a proxy should end HTTPS before it."},
    {NUMBER(http_port, 3000, 1, 65535), .help = "Port of REST and Socket.IO."},
    {TEXT(admin_address, "127.0.0.1"), .check = check_address, .help = "Where /metrics listens."},
    {NUMBER(admin_port, 3001, 1, 65535), .help = "Port of /metrics."},
    {TEXT(broker_address, "127.0.0.1"),
     .help = "Where parlord reaches the broker: a host's name or address."},
    {NUMBER(broker_port, 1883, 1, 65535), .help = "The broker's MQTT port for parlord."},
    {TEXT(cors_origins, NULL), .check = check_origins,
     .help = "Comma list of the origins that browsers may call from, or `*`; without it, none but its own."},
    {TEXT(swagger_ui_path, "/usr/share/parlor/swagger-ui"),
     .help =
         "The folder of the npm package swagger-ui-dist, for the page /api/docs. Read when parlord starts."},
    {NUMBER(pool_size, 4, 1, 64), .help = "Connections of the service to the database."},
    {NUMBER(http_connections_max, 20000, 16, COUNT_LIMIT),
     .help = "Connections to the HTTP port, sockets included."},
    {NUMBER(unsent_bytes_max, 1048576, 65536, SIZE_LIMIT),
     .help = "A socket whose reader is so many bytes behind is closed."},
    {NUMBER(answer_timeout_ms, 5000, 500, 60000),
     .help =
         "A send without an answer for so long is answered with 503: it may or may not be stored. While the "
         "broker can't be reached, sends wait for four fifths of that and are then refused."},

    {NUMBER(content_bytes_max, 16384, 256, 131072), .section = "Limits",
     .help = "Bytes of a message's content."},
    {NUMBER(payload_bytes_max, 65536, 1024, 196608), .help = "Bytes of anything that a client sends as one."},
    {NUMBER(participants_max, 1000, 2, 100000), .help = "Participants of a room."},
    {NUMBER(rooms_max, 5000, 1, 100000), .help = "Rooms of a user."},
    {NUMBER(connections_user_max, 20, 1, 100000), .help = "Connections of a user, on each door."},
    {NUMBER(sends_per_s, 50, 1, RATE_LIMIT), .help = "Messages a second that a user may send for long."},
    {NUMBER(sends_burst, 300, 1, RATE_LIMIT), .help = "Messages that a user may send at once."},
    {NUMBER(rest_per_s, 50, 1, RATE_LIMIT), .help = "REST requests a second of a user."},
    {NUMBER(connects_per_s, 20, 1, RATE_LIMIT), .help = "Connects a second from an address."},
    {NUMBER(strangers_address_max, 100, 1, COUNT_LIMIT),
     .help = "Socket.IO sessions of an address that have not come into a namespace yet (which takes a "
             "token); further handshakes are answered 429."},
    {NUMBER(socket_packets_per_s, 500, 10, RATE_LIMIT),
     .help = "Packets a second of a Socket.IO session, of any kind, with five seconds' worth at once; over "
             "it, the session is closed."},
    {NUMBER(socket_connect_timeout_ms, 45000, 1000, 600000),
     .help = "A Socket.IO session in no namespace for so long is closed."},
    {NUMBER(socket_ping_interval_ms, 25000, 1000, 600000),
     .help = "How often a Socket.IO session is pinged."},
    {NUMBER(socket_ping_timeout_ms, 20000, 1000, 600000),
     .help = "A session that does not answer its ping for so long, or does not poll, is closed."},
    {NUMBER(request_timeout_ms, 60000, 1000, 600000),
     .help = "An HTTP request that is not whole after so long is cut off with its connection."},
};

const size_t config_keys_count = sizeof config_keys / sizeof config_keys[0];
_Static_assert(sizeof config_keys / sizeof config_keys[0] <= CONFIG_KEYS_MAX,
               "CONFIG_KEYS_MAX holds the table");

/* ---- Names ---- */

static const char file_suffix[] = "_file";
#define FILE_SUFFIX_SIZE (sizeof file_suffix - 1)

const struct config_key *config_key_find(const char *name, size_t size, bool *file_out)
{
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        size_t own = strlen(key->name);
        if (size < own || memcmp(name, key->name, own) != 0)
            continue;
        bool is_file =
            size == own + FILE_SUFFIX_SIZE && memcmp(name + own, file_suffix, FILE_SUFFIX_SIZE) == 0;
        if (size != own && !(is_file && key->kind == KEY_SECRET && file_out != NULL))
            continue;
        if (file_out != NULL)
            *file_out = is_file;
        return key;
    }
    return NULL;
}

struct nearest config_key_nearest(const char *name, size_t size)
{
    struct nearest nearest = nearest_begin(name, size);
    for (size_t i = 0; i < config_keys_count; i++)
        nearest_take(&nearest, config_keys[i].name);
    return nearest;
}

/* ---- Values ---- */

char **config_key_text(struct config *config, const struct config_key *key)
{
    assert(key->kind == KEY_TEXT || key->kind == KEY_SECRET || key->kind == KEY_FILE);
    return (char **)(void *)((char *)config + key->offset);
}

static int set_text(struct config *config, const struct config_key *key, const char *value, struct error *e)
{
    const char *right = key->check != NULL ? key->check(value) : NULL;
    if (right != NULL && key->kind == KEY_SECRET)
        return error_set(e, ERROR_INVALID, "bad_option", "%s must be %s; it has %zu bytes", key->name, right,
                         strlen(value));
    if (right != NULL)
        return error_set(e, ERROR_INVALID, "bad_option", "%s is '%s' but must be %s", key->name, value,
                         right);
    char **field = config_key_text(config, key);
    free(*field);
    *field = mem_strdup(value);
    return 0;
}

static int set_number(struct config *config, const struct config_key *key, const char *value, struct error *e)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    bool is_number = (value[0] == '-' || (value[0] >= '0' && value[0] <= '9')) && *end == '\0' && errno == 0;
    if (!is_number || number < key->min || number > key->max)
        return error_set(e, ERROR_INVALID, "bad_option", "%s is '%s' but must be a number from %lld to %lld",
                         key->name, value, (long long)key->min, (long long)key->max);
    *(int64_t *)(void *)((char *)config + key->offset) = number;
    return 0;
}

static int set_switch(struct config *config, const struct config_key *key, const char *value, struct error *e)
{
    bool on = strcmp(value, "on") == 0 || strcmp(value, "true") == 0;
    if (!on && strcmp(value, "off") != 0 && strcmp(value, "false") != 0)
        return error_set(e, ERROR_INVALID, "bad_option", "%s is '%s' but must be on or off", key->name,
                         value);
    *(bool *)((char *)config + key->offset) = on;
    return 0;
}

static int set_choice(struct config *config, const struct config_key *key, const char *value, struct error *e)
{
    const char *at = key->choices;
    for (unsigned number = 0; *at != '\0'; number++) {
        size_t size = strcspn(at, " ");
        if (strlen(value) == size && memcmp(at, value, size) == 0) {
            memcpy((char *)config + key->offset, &number, sizeof number);
            return 0;
        }
        at += size + (at[size] == ' ');
    }
    return error_set(e, ERROR_INVALID, "bad_option", "%s is '%s' but must be one of: %s", key->name, value,
                     key->choices);
}
_Static_assert(sizeof(enum outside_prefix) == sizeof(unsigned), "a choice is stored as an unsigned");

int config_key_set(struct config *config, const struct config_key *key, const char *value, struct error *e)
{
    if (value[0] == '\0')
        return error_set(e, ERROR_INVALID, "bad_option", "%s has no value", key->name);
    switch (key->kind) {
    case KEY_NUMBER:
        return set_number(config, key, value, e);
    case KEY_SWITCH:
        return set_switch(config, key, value, e);
    case KEY_CHOICE:
        return set_choice(config, key, value, e);
    case KEY_TEXT:
    case KEY_SECRET:
    case KEY_FILE:
        break;
    }
    if (!utf8_check(value, strlen(value)) && key->kind != KEY_SECRET)
        return error_set(e, ERROR_INVALID, "bad_option", "%s is no valid UTF-8", key->name);
    return set_text(config, key, value, e);
}

/* ---- The reference ---- */

static void print_default(struct buf *out, const struct config_key *key)
{
    if (key->standard != NULL)
        buf_printf(out, "`%s`", key->standard);
    else if (key->needed_by == BOTH)
        buf_put_text(out, "required");
    else if (key->needed_by != 0)
        buf_put_text(out, "required by the plugin");
    else
        buf_put_text(out, "none");
}

static void print_key(struct buf *out, const struct config_key *key)
{
    buf_printf(out, "| `%s` | ", key->name);
    print_default(out, key);
    buf_printf(out, " | %s", key->help);
    if (key->kind == KEY_NUMBER)
        buf_printf(out, " From %lld to %lld.", (long long)key->min, (long long)key->max);
    if (key->kind == KEY_SECRET)
        buf_printf(out, " Secret: also as `%s_file`.", key->name);
    buf_put_text(out, " |\n");
}

void config_print_reference(struct buf *out)
{
    buf_put_text(
        out,
        "# Configuration\n\n"
        "`parlor.conf` is read by the plugin (`plugin_opt_config FILE` in mosquitto.conf), by `parlord` and "
        "by\n"
        "`parlorctl`. Its syntax is mosquitto.conf's: one `key value` a line, the value running to the end "
        "of\n"
        "the line; a line that begins with `#` is a comment.\n\n"
        "- The environment variable `PARLOR_KEY` (the key in upper case) overrides the file; an empty one\n"
        "  counts as none.\n"
        "- A secret can be kept in a file of its own: `key_file FILE`, or `PARLOR_KEY_FILE` in the\n"
        "  environment. The file's content is the secret, less one line end.\n"
        "- Relative names of files are relative to the folder of `parlor.conf`; in the environment, to the\n"
        "  current one.\n"
        "- An unknown key, a key given twice or a value out of range is refused, with file and line.\n"
        "- Numbers are whole and decimal; the unit is the end of the key's name (`_s`, `_ms`, "
        "`_bytes_max`).\n"
        "  Switches are `on` or `off`.\n"
        "- Changes count after a restart of the broker and of parlord.\n");
    for (size_t i = 0; i < config_keys_count; i++) {
        if (config_keys[i].section != NULL)
            buf_printf(out, "\n## %s\n\n| key | default | what it sets |\n|---|---|---|\n",
                       config_keys[i].section);
        print_key(out, &config_keys[i]);
    }
}
