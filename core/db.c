#include "core/db.h"

#include "core/clock.h"
#include "core/migrate.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER_VERSION_MIN  130000
#define TCP_USER_TIMEOUT_MS "5000"  /* unacknowledged data for so long: the other end is gone */
#define LACKS_RIGHT         "42501" /* insufficient_privilege */

static int wait_for(PGconn *conn, short events, int64_t deadline_ns)
{
    int64_t left_ns = deadline_ns - clock_mono_ns();
    if (left_ns <= 0) {
        return 0;
    }
    struct pollfd p = {.fd = PQsocket(conn), .events = events};
    int64_t left_ms = left_ns / 1000000 + 1;
    return poll(&p, 1, left_ms > 1000 ? 1000 : (int)left_ms);
}

/* libpq's own words, on one line. */
static void trim_message(const char *message, char *out, size_t size)
{
    size_t n = 0;
    for (; *message != '\0' && n + 1 < size; message++) {
        out[n++] = *message == '\n' || *message == '\t' ? ' ' : *message;
    }
    while (n > 0 && out[n - 1] == ' ') {
        n--;
    }
    out[n] = '\0';
}

/* A malformed URL is refused before libpq would quote it, password and all, in its complaint. */
static bool url_valid(const char *url)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    PQconninfoFree(options);
    return options != NULL;
}

static bool connect_poll(PGconn *conn, int64_t deadline_ns)
{
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (PQstatus(conn) != CONNECTION_BAD && clock_mono_ns() < deadline_ns) {
        if (wait_for(conn, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ns) == 0) {
            continue;
        }
        state = PQconnectPoll(conn);
        if (state == PGRES_POLLING_OK) {
            return true;
        }
        if (state == PGRES_POLLING_FAILED) {
            return false;
        }
    }
    return false;
}

static void ignore_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

PGconn *db_connect(const char *url, const char *application_name, int64_t timeout_ms, struct error *e)
{
    if (url == NULL || !url_valid(url)) {
        error_set(e, ERROR_UNAVAILABLE, "database_unavailable",
                  "database_url is not a connection string that libpq understands");
        return NULL;
    }
    /* What stands before dbname may be overridden by the URL, what stands behind it may not. */
    const char *const keys[] = {"tcp_user_timeout", "keepalives_idle",      "keepalives_interval",
                                "keepalives_count", "target_session_attrs", "dbname",
                                "client_encoding",  "application_name",     NULL};
    const char *const values[] = {TCP_USER_TIMEOUT_MS, "10", "5", "3", "read-write", url, "UTF8",
                                  application_name,    NULL};
    PGconn *conn = PQconnectStartParams(keys, values, 1);
    if (conn != NULL && connect_poll(conn, clock_mono_ns() + timeout_ms * 1000000)) {
        PQsetNoticeReceiver(conn, ignore_notice, NULL);
        return conn;
    }
    char message[200] = "out of memory";
    if (conn != NULL) {
        trim_message(PQstatus(conn) == CONNECTION_BAD ? PQerrorMessage(conn) : "no answer in time", message,
                     sizeof(message));
    }
    error_set(e, ERROR_UNAVAILABLE, "database_unavailable", "no connection to the database: %s", message);
    PQfinish(conn);
    return NULL;
}

int db_schema_version(void)
{
    return migrate_newest();
}

static int check_settings(const PGresult *r, struct error *e)
{
    if (strtol(PQgetvalue(r, 0, 0), NULL, 10) < SERVER_VERSION_MIN) {
        return error_set(e, ERROR_INVALID, "unsafe_database",
                         "PostgreSQL %s is too old: 13 or newer is needed", PQgetvalue(r, 0, 1));
    }
    if (strcmp(PQgetvalue(r, 0, 2), "on") != 0) {
        return error_set(e, ERROR_INVALID, "unsafe_database",
                         "fsync is off: a message acked as stored could be lost; set fsync = on");
    }
    if (strcmp(PQgetvalue(r, 0, 3), "off") == 0) {
        return error_set(e, ERROR_INVALID, "unsafe_database",
                         "synchronous_commit is off: a message acked as stored could be lost; set it to on");
    }
    if (strcmp(PQgetvalue(r, 0, 4), "UTF8") != 0) {
        return error_set(e, ERROR_INVALID, "unsafe_database",
                         "the database's encoding is %s; create it with encoding UTF8", PQgetvalue(r, 0, 4));
    }
    return 0;
}

static int check_schema(PGconn *conn, bool any, int64_t timeout_ms, struct error *e)
{
    long version = 0;
    if (any) {
        PGresult *r =
            db_exec(conn, "select coalesce(max(version), 0) from schema_migrations", 0, NULL, timeout_ms, e);
        if (r == NULL) {
            return -1;
        }
        version = strtol(PQgetvalue(r, 0, 0), NULL, 10);
        PQclear(r);
    }
    if (version < db_schema_version()) {
        return error_set(e, ERROR_INVALID, "schema_too_old",
                         "the database's schema is at version %ld and this build needs %d: run `parlorctl "
                         "migrate`",
                         version, db_schema_version());
    }
    if (version > db_schema_version()) {
        return error_set(
            e, ERROR_INVALID, "schema_too_new",
            "the database's schema is at version %ld and this build knows only %d: update Parlor", version,
            db_schema_version());
    }
    return 0;
}

int db_check(PGconn *conn, int64_t timeout_ms, struct error *e)
{
    int64_t deadline_ns = clock_mono_ns() + timeout_ms * 1000000;
    PGresult *r = db_exec(conn,
                          "select current_setting('server_version_num'), current_setting('server_version'), "
                          "current_setting('fsync'), current_setting('synchronous_commit'), "
                          "current_setting('server_encoding'), to_regclass('schema_migrations') is not null",
                          0, NULL, timeout_ms, e);
    if (r == NULL) {
        return -1;
    }
    bool migrated = PQgetvalue(r, 0, 5)[0] == 't';
    int ok = check_settings(r, e);
    PQclear(r);
    return ok != 0 ? -1 : check_schema(conn, migrated, clock_left_ms(deadline_ns), e);
}

int db_identity(PGconn *conn, char out[DB_IDENTITY_SIZE], int64_t timeout_ms, struct error *e)
{
    PGresult *r =
        db_exec(conn,
                "select system_identifier || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) "
                "from pg_control_system()",
                0, NULL, timeout_ms, e);
    if (r == NULL) {
        return -1;
    }
    out[0] = '\0';
    strncat(out, PQgetvalue(r, 0, 0), DB_IDENTITY_SIZE - 1);
    PQclear(r);
    return 0;
}

PGresult *db_result(PGconn *conn, int64_t deadline_ns, bool *timed_out_out)
{
    *timed_out_out = false;
    for (;;) {
        int unsent = PQflush(conn);
        if (unsent < 0 || PQstatus(conn) == CONNECTION_BAD || !PQisBusy(conn)) {
            return PQgetResult(conn);
        }
        if (clock_mono_ns() >= deadline_ns) {
            *timed_out_out = true;
            return NULL;
        }
        short events = unsent > 0 ? POLLIN | POLLOUT : POLLIN;
        if (wait_for(conn, events, deadline_ns) != 0 && PQconsumeInput(conn) == 0) {
            return PQgetResult(conn);
        }
    }
}

PGresult *db_exec(PGconn *conn, const char *sql, int count, const char *const *values, int64_t timeout_ms,
                  struct error *e)
{
    int64_t deadline_ns = clock_mono_ns() + timeout_ms * 1000000;
    int sent = count == 0 ? PQsendQuery(conn, sql)
                          : PQsendQueryParams(conn, sql, count, NULL, values, NULL, NULL, 0);
    if (sent == 0) {
        db_error(conn, NULL, e);
        return NULL;
    }
    PGresult *last = NULL;
    for (;;) {
        bool timed_out;
        PGresult *result = db_result(conn, deadline_ns, &timed_out);
        if (timed_out) {
            PQclear(last);
            error_set(e, ERROR_UNAVAILABLE, "database_unavailable", "the database gave no answer in %lld ms",
                      (long long)timeout_ms);
            return NULL;
        }
        if (result == NULL) {
            break;
        }
        PQclear(last);
        last = result;
        if (PQstatus(conn) == CONNECTION_BAD) {
            break;
        }
    }
    ExecStatusType status = PQresultStatus(last);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        return last;
    }
    db_error(conn, last, e);
    PQclear(last);
    return NULL;
}

bool db_lacks_right(const struct error *e)
{
    static const char end[] = "(" LACKS_RIGHT ")";
    size_t size = strlen(e->text);
    return size >= sizeof(end) - 1 && strcmp(e->text + size - (sizeof(end) - 1), end) == 0;
}

bool db_refused_as(const PGresult *result, const char *const *states)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    for (; state != NULL && *states != NULL; states++) {
        if (strncmp(state, *states, strlen(*states)) == 0) {
            return true;
        }
    }
    return false;
}

int db_error(PGconn *conn, const PGresult *result, struct error *e)
{
    static const char *const busy[] = {"55P03", "40001", "40P01", "57014", NULL};
    /* Read only, as after a failover; no memory or space; its files can't be read or written. */
    static const char *const unable[] = {"25006", "53", "58", NULL};
    const char *state = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *primary = result != NULL ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    char message[200];
    trim_message(primary != NULL ? primary : PQerrorMessage(conn), message, sizeof(message));
    if (db_refused_as(result, busy)) {
        return error_set(e, ERROR_UNAVAILABLE, "busy", "the database is busy: %s (%s)", message, state);
    }
    if (db_refused_as(result, unable)) {
        return error_set(e, ERROR_UNAVAILABLE, "database_unavailable",
                         "the database can't do this now: %s (%s)", message, state);
    }
    if (PQstatus(conn) == CONNECTION_BAD || state == NULL || strncmp(state, "57P", 3) == 0) {
        return error_set(e, ERROR_UNAVAILABLE, "database_unavailable",
                         "the connection to the database broke: %s", message);
    }
    return error_set(e, ERROR_INTERNAL, "internal", "the database refused a statement: %s (%s)", message,
                     state);
}
