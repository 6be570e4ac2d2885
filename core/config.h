/* parlor.conf: the one configuration of plugin, service and parlorctl, in mosquitto.conf's syntax.
 *
 * A line is `key value`; `#` begins a comment line; a value runs to the end of the line. Every key is
 * overridden by the environment variable PARLOR_KEY (upper case). Secrets may also be given as `key_file
 * FILE` or PARLOR_KEY_FILE, whose content, less one line end, is the secret. An unknown key, a key given
 * twice or a value out of range is refused with file, line, and the nearest right key or the range. One table
 * in config_table.c describes all keys: type, range, default, help; docs/configuration.md prints it.
 * Relative names of files in the file are relative to its folder. An empty variable counts as none.
 *
 * Flow:   file + environment -> config_load -> read-only everywhere.
 * Thread: config_load before threads start; the struct is read-only then.
 * Owns:   all strings, until config_destroy. */
#ifndef PARLOR_CORE_CONFIG_H
#define PARLOR_CORE_CONFIG_H

#include "core/buf.h"
#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

enum outside_prefix { OUTSIDE_DEFER, OUTSIDE_ALLOW };

struct config {
    /* shared */
    char *database_url; /* libpq conninfo or URI; secret */
    char *prefix;       /* topic prefix; default chat/v1; no wildcard, no leading or trailing slash */
    char *log_level;    /* error|warn|info|debug */
    bool limits;        /* off lifts rates and connection counts, not sizes (contract.md 3b) */
    /* tokens */
    char *jwt_algorithms;      /* comma list of HS256 HS384 HS512 RS256 RS384 RS512 PS256 ES256 ES384 EdDSA;
                                  default HS256 */
    char *jwt_secret;          /* secret; for HS*: at least 32 bytes unless jwt_secret_short is on */
    bool jwt_secret_short;     /* on: a jwt_secret under 32 bytes is taken; default off */
    char *jwt_public_key_file; /* PEM; for the other algorithms */
    char *jwt_issuer;          /* NULL: iss is not checked */
    char *jwt_audience;        /* NULL: aud is not checked */
    int64_t jwt_leeway_s;      /* for exp and nbf; default 0 */
    int64_t jwt_ttl_max_s;     /* caps a token's life from its iat, or from when it is seen; 0: none */
    char *trusted_roles;       /* comma list of roles an issuer may give: agent, operator; default agent */
    char *operator_secret;     /* secret; signs parlorctl's tokens; NULL: no such tokens */
    char *service_secret;      /* secret; parlord's own key; required by plugin and parlord */
    char *service_addresses;   /* comma list of client addresses that may use it; default 127.0.0.1,::1 */
    /* plugin */
    enum outside_prefix outside_prefix; /* default defer */
    char *wake_socket; /* unix listener of the broker for the loop's wake-up; required by the plugin */
    char *past_file;   /* what the database should have, kept for the next process; NULL: not kept */
    int64_t batch_max; /* messages in one commit; default 300 */
    int64_t queue_messages_max;  /* 65536 */
    int64_t queue_bytes_max;     /* 64 MiB */
    int64_t lock_timeout_ms;     /* 1000: a room's row locked longer costs its messages `rejected: busy` */
    int64_t database_timeout_ms; /* 2000: no answer to a commit for so long means that the database hangs */
    int64_t members_stale_s;     /* 30: a mirror not refreshed for so long is closed for new grants */
    int64_t presence_grace_ms;   /* 5000: offline when no connection came back for so long */
    int64_t presence_room_max;   /* 500: larger rooms have neither typing nor presence */
    /* service */
    char *http_address;           /* 127.0.0.1 */
    int64_t http_port;            /* 3000 */
    char *admin_address;          /* 127.0.0.1 */
    int64_t admin_port;           /* 3001 */
    char *broker_address;         /* 127.0.0.1 */
    int64_t broker_port;          /* 1883: where parlord reaches the broker */
    char *cors_origins;           /* comma list, or *; default none */
    char *swagger_ui_path;        /* folder of swagger-ui-dist, for /api/docs */
    int64_t pool_size;            /* 4 database connections of the service */
    int64_t http_connections_max; /* 20000 */
    int64_t unsent_bytes_max;     /* 1 MiB a socket */
    int64_t answer_timeout_ms; /* 5000: a send without an answer for so long is UNCERTAIN; one that could not
                                  be sent fails after four fifths of it without a broker */
    /* limits of contract.md 3b that may be set */
    int64_t content_bytes_max;         /* 16 KiB */
    int64_t payload_bytes_max;         /* 64 KiB */
    int64_t participants_max;          /* 1000 a room */
    int64_t rooms_max;                 /* 5000 a user */
    int64_t connections_user_max;      /* 20 on each door */
    int64_t sends_per_s;               /* 50 a user */
    int64_t sends_burst;               /* 300 */
    int64_t rest_per_s;                /* 50 a user */
    int64_t connects_per_s;            /* 20 an address */
    int64_t strangers_address_max;     /* 100 sessions of an address that are in no namespace yet */
    int64_t socket_packets_per_s;      /* 500 a session; five seconds' worth at once */
    int64_t socket_connect_timeout_ms; /* 45000: until a session must be in a namespace */
    int64_t socket_ping_interval_ms;   /* 25000 */
    int64_t socket_ping_timeout_ms;    /* 20000: no pong for so long, no poll for so long */
    int64_t request_timeout_ms;        /* 60000: until a request must be whole */
};

/* Which process reads: a key that it needs and that is missing is an error only for it. */
enum config_reader { CONFIG_PLUGIN, CONFIG_SERVICE, CONFIG_CTL };

/* Bytes that a secret must have at least (RFC 7518, section 3.2); jwt_secret_short excepts jwt_secret. */
#define CONFIG_SECRET_MIN 32

/* Reads `path` (NULL: environment and defaults alone). *out is the caller's, for config_destroy. 0, or -1
 * with INVALID
 * (`bad_option`) or NOT_FOUND (`no_config`). */
int config_load(const char *path, enum config_reader reader, struct config **out, struct error *e);
void config_destroy(struct config **config);

/* Appends the reference of all keys in Markdown (docs/configuration.md is this, and a test holds it). */
void config_print_reference(struct buf *out);

/* True when the comma list has `word`; spaces around commas don't count. */
bool config_list_has(const char *list, const char *word);

#endif
