#include "ctl/ctl.h"

#include "core/brokerconf.h"
#include "core/clock.h"
#include "core/db.h"
#include "core/file.h"
#include "core/token.h"
#include "ctl/broker_findings.h"
#include "ctl/findings.h"
#include "ctl/probe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define PROBE_TIMEOUT_MS   2000
#define BROKER_CONF        "/etc/mosquitto/mosquitto.conf"
#define CLOCK_SKEW_WARN_MS 2000
#define YEAR_2025_MS       INT64_C(1735689600000)

/* ---- parlor.conf ---- */

/* Both readers' complaints; the second one's only when it is another. */
static void check_config(struct ctl *ctl, struct findings *f)
{
    static const struct {
        enum config_reader reader;
        const char *name;
    } readers[] = {{CONFIG_CTL, "parlorctl"}, {CONFIG_PLUGIN, "the plugin"}, {CONFIG_SERVICE, "parlord"}};
    if (ctl->config_path == NULL)
        findings_add(f, FINDING_NOTE, "config",
                     "no parlor.conf found (--config FILE): environment and defaults alone were read");
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        struct error e = {0};
        struct config *config = NULL;
        if (config_load(ctl->config_path, readers[i].reader, &config, &e) != 0) {
            if (!findings_have(f, FINDING_WRONG, e.text))
                findings_add(f, FINDING_WRONG, "config", "%s (for %s)", e.text, readers[i].name);
        } else if (readers[i].reader == CONFIG_CTL) {
            ctl->config = config;
            config = NULL;
        }
        config_destroy(&config);
    }
    if (findings_count(f, FINDING_WRONG) == 0)
        findings_add(f, FINDING_OK, "config", "%s is complete",
                     ctl->config_path != NULL ? ctl->config_path : "the environment");
}

/* Secrets that every user of the machine can read are none. */
static void check_mode(const char *path, const char *what, struct findings *f)
{
    struct stat facts;
    if (stat(path, &facts) == 0 && (facts.st_mode & S_IROTH) != 0)
        findings_add(f, FINDING_WARN, "keys",
                     "%s has %s and can be read by every user of this machine (chmod o-r)", path, what);
}

static void check_secret_files(const char *config_path, struct findings *f)
{
    static const char *const secrets[] = {"jwt_secret", "service_secret", "operator_secret", "database_url"};
    struct brokerconf *lines; /* the same syntax */
    if (config_path == NULL || brokerconf_load(config_path, &lines, NULL) != 0)
        return;
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        if (brokerconf_find(lines, secrets[i], NULL) != NULL) {
            check_mode(config_path, secrets[i], f);
            break;
        }
    }
    for (size_t i = 0; i < brokerconf_count(lines); i++) {
        const struct brokerconf_line *line = brokerconf_at(lines, i);
        const char *suffix = strstr(line->key, "_file");
        if (suffix != NULL && line->value[0] == '/' && strcmp(line->key, "jwt_public_key_file") != 0)
            check_mode(line->value, line->key, f);
    }
    brokerconf_destroy(&lines);
}

static void check_keys(const struct ctl *ctl, struct findings *f)
{
    struct token_keys *keys = NULL;
    struct error e = {0};
    if (token_keys_create(ctl->config, &keys, &e) != 0) {
        if (!findings_have(f, FINDING_WRONG, e.text))
            findings_add(f, FINDING_WRONG, "keys", "%s", e.text);
    } else {
        findings_add(f, FINDING_OK, "keys", "the keys for %s can be used", ctl->config->jwt_algorithms);
    }
    token_keys_destroy(&keys);
    if (ctl->config->jwt_secret_short)
        findings_add(f, FINDING_WARN, "keys",
                     "jwt_secret_short is on: whoever has one token can guess a short secret");
    if (ctl->config->operator_secret == NULL)
        findings_add(f, FINDING_NOTE, "keys",
                     "operator_secret is not set: parlorctl token cannot give roles that the issuer is not "
                     "trusted with");
    if (config_list_has(ctl->config->trusted_roles, "operator"))
        findings_add(f, FINDING_WARN, "keys",
                     "trusted_roles has operator: whom the issuer calls so hears every room");
    check_secret_files(ctl->config_path, f);
}

/* ---- What a restored backup is known by ---- */

static void check_past(const struct config *config, struct findings *f)
{
    const char *path = config->past_file, *slash = path != NULL ? strrchr(path, '/') : NULL;
    if (path == NULL) {
        findings_add(f, FINDING_NOTE, "past",
                     "past_file is not set: a backup that is restored while the broker is stopped goes "
                     "unnoticed");
        return;
    }
    char *folder = slash == NULL   ? mem_strdup(".")
                   : slash == path ? mem_strdup("/")
                                   : mem_dup(path, (size_t)(slash - path));
    if (access(folder, W_OK | X_OK) == 0)
        findings_add(f, FINDING_OK, "past", "past_file's folder %s can be written", folder);
    else
        findings_add(
            f, FINDING_WARN, "past",
            "past_file's folder %s can't be written (%s): the broker's user needs it, and without it "
            "a restored backup goes unnoticed",
            folder, strerror(errno));
    free(folder);
}

/* ---- The database and the clock ---- */

static void check_clock(PGconn *conn, struct findings *f)
{
    struct error e = {0};
    int64_t before_ms = clock_wall_ms();
    PGresult *rows = db_exec(conn, "select floor(extract(epoch from clock_timestamp()) * 1000)::bigint", 0,
                             NULL, CTL_DATABASE_TIMEOUT_MS, &e);
    if (rows == NULL)
        return;
    int64_t middle_ms = (before_ms + clock_wall_ms()) / 2;
    int64_t skew_ms = strtoll(PQgetvalue(rows, 0, 0), NULL, 10) - middle_ms;
    PQclear(rows);
    if (skew_ms > CLOCK_SKEW_WARN_MS || skew_ms < -CLOCK_SKEW_WARN_MS)
        findings_add(f, FINDING_WARN, "clock",
                     "the database's clock is %" PRId64 " ms away from this machine's", skew_ms);
    else
        findings_add(f, FINDING_OK, "clock", "agrees with the database's to %" PRId64 " ms", skew_ms);
}

/* Search folds case as the database's character type says: C knows ASCII alone. */
static void check_letters(PGconn *conn, struct findings *f)
{
    struct error e;
    PGresult *r = db_exec(conn,
                          "select lower('\u00c4\u0416') = '\u00e4\u0436', datctype from pg_database where "
                          "datname = current_database()",
                          0, NULL, CTL_DATABASE_TIMEOUT_MS, &e);
    if (r != NULL && PQntuples(r) == 1 && strcmp(PQgetvalue(r, 0, 0), "t") != 0)
        findings_add(
            f, FINDING_WARN, "database",
            "its LC_CTYPE is %s: search tells letters beyond ASCII apart by case; create the database "
            "with `template template0 lc_ctype 'C.UTF-8'`",
            PQgetvalue(r, 0, 1));
    PQclear(r);
}

static void check_database(const struct ctl *ctl, struct findings *f)
{
    struct error e = {0};
    if (clock_wall_ms() < YEAR_2025_MS)
        findings_add(f, FINDING_WRONG, "clock", "this machine's clock is before 2025: no token will hold");
    if (ctl->config->database_url == NULL)
        return; /* said above */
    PGconn *conn = db_connect(ctl->config->database_url, CTL_NAME, CTL_DATABASE_TIMEOUT_MS, &e);
    if (conn == NULL) {
        findings_add(f, FINDING_WRONG, "database", "%s", e.text);
        return;
    }
    if (db_check(conn, DB_CHECK_MS, &e) != 0)
        findings_add(f, FINDING_WRONG, "database", "%s", e.text);
    else
        findings_add(f, FINDING_OK, "database", "reachable, schema %d, safe settings", db_schema_version());
    check_clock(conn, f);
    check_letters(conn, f);
    PQfinish(conn);
}

/* ---- Ports ---- */

static void check_http_port(const struct config *config, struct findings *f)
{
    struct buf body = {0};
    struct error e = {0};
    const char *host = probe_reachable(config->http_address);
    if (probe_tcp(host, config->http_port, PROBE_TIMEOUT_MS, &e) != 0) {
        findings_add(f, FINDING_OK, "ports", "http_port %" PRId64 " is free (parlord is not running)",
                     config->http_port);
    } else {
        int status = probe_http(host, config->http_port, "/healthz", PROBE_TIMEOUT_MS, &body, &e);
        bool ours = status == 200 && body.size != 0 && strstr(body.data, "\"status\"") != NULL;
        if (ours)
            findings_add(f, FINDING_OK, "ports", "http_port %" PRId64 " is answered by parlord",
                         config->http_port);
        else
            findings_add(f, FINDING_WRONG, "ports",
                         "http_port %" PRId64 " is taken by something that is not parlord",
                         config->http_port);
    }
    buf_finish(&body);
}

static void check_ports(const struct config *config, struct findings *f)
{
    struct error e = {0};
    if (config->http_port == config->admin_port)
        findings_add(f, FINDING_WRONG, "ports", "http_port and admin_port are both %" PRId64,
                     config->http_port);
    if (config->http_port == config->broker_port)
        findings_add(f, FINDING_WRONG, "ports", "http_port and broker_port are both %" PRId64,
                     config->http_port);
    check_http_port(config, f);
    if (probe_tcp(config->broker_address, config->broker_port, PROBE_TIMEOUT_MS, &e) != 0)
        findings_add(f, FINDING_NOTE, "ports", "%s (the broker is not running)", e.text);
    else
        findings_add(f, FINDING_OK, "ports", "something listens on broker_port %" PRId64,
                     config->broker_port);
}

/* ---- The broker's configuration ---- */

static void check_broker(const struct ctl *ctl, struct findings *f)
{
    const char *path = ctl->options->broker_conf;
    struct brokerconf *conf;
    struct error e = {0};
    if (path == NULL && access(BROKER_CONF, R_OK) != 0) {
        findings_add(f, FINDING_NOTE, "broker",
                     BROKER_CONF " can't be read: name the broker's own by --broker-conf FILE");
        return;
    }
    if (path == NULL)
        path = BROKER_CONF;
    if (brokerconf_load(path, &conf, &e) != 0) {
        findings_add(f, FINDING_WRONG, "broker", "%s", e.text);
        return;
    }
    findings_add(f, FINDING_OK, "broker", "read %s", path);
    broker_findings(conf, ctl->config, ctl->config_path, f);
    brokerconf_destroy(&conf);
}

int run_check(struct ctl *ctl, struct error *e)
{
    (void)e;
    struct findings f = {0};
    check_config(ctl, &f);
    if (ctl->config != NULL) {
        check_keys(ctl, &f);
        check_past(ctl->config, &f);
        check_database(ctl, &f);
        check_ports(ctl->config, &f);
    }
    check_broker(ctl, &f);
    findings_print(&f, &ctl->out, ctl_json(ctl));
    bool wrong = findings_count(&f, FINDING_WRONG) != 0;
    findings_finish(&f);
    return wrong ? EX_CONFIG : 0;
}
