/* A private PostgreSQL for a test: a cluster in a temporary folder, on a unix socket alone, ended at exit.
 *
 * Flow:   pg_start -> pg_database for each test's own database -> PGconn or a part of Parlor under test.
 * Thread: the test's main thread.
 * Owns:   the cluster and its folder. As root it runs as the user postgres, for the server refuses root. */
#ifndef PARLOR_TESTS_PG_H
#define PARLOR_TESTS_PG_H

#include "core/db.h"
#include "core/migrate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PG_BIN_DEFAULT "/usr/lib/postgresql/15/bin"

static char pg_folder[64];
static bool pg_running;

static __attribute__((unused, format(printf, 1, 2))) int pg_command(const char *format, ...)
{
    char inner[1024], whole[1400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(inner, sizeof(inner), format, arguments);
    va_end(arguments);
    const char *bin = getenv("PG_BIN");
    snprintf(whole, sizeof(whole), "%s %s/%s", geteuid() == 0 ? "cd / && runuser -u postgres --" : "exec",
             bin != NULL ? bin : PG_BIN_DEFAULT, inner);
    return system(whole);
}

static __attribute__((unused)) void pg_stop(void)
{
    char remove[128];
    if (pg_running) {
        pg_command("pg_ctl -D %s/data -m immediate -w stop >/dev/null 2>&1", pg_folder);
        pg_running = false;
    }
    snprintf(remove, sizeof(remove), "rm -rf %s", pg_folder);
    if (pg_folder[0] != '\0' && system(remove) != 0) {
        fprintf(stderr, "%s stays\n", pg_folder);
    }
    pg_folder[0] = '\0';
}

/* Starts the cluster once a program; 0, or -1. `options` are the server's, as "-c fsync=off". */
static __attribute__((unused)) int pg_start(const char *options)
{
    char own[128];
    const char *temporary = getenv("TMPDIR");
    snprintf(pg_folder, sizeof(pg_folder), "%s/parlor-pg-XXXXXX", temporary != NULL ? temporary : "/tmp");
    if (mkdtemp(pg_folder) == NULL) {
        return -1;
    }
    atexit(pg_stop);
    snprintf(own, sizeof(own), "chown postgres %s", pg_folder);
    if ((geteuid() == 0 && system(own) != 0) ||
        pg_command(
            "initdb -D %s/data -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null 2>&1",
            pg_folder) != 0) {
        return -1;
    }
    pg_running = pg_command("pg_ctl -D %s/data -l %s/log -w -o \"-c listen_addresses= -c "
                            "unix_socket_directories=%s %s\" start >/dev/null",
                            pg_folder, pg_folder, pg_folder, options) == 0;
    return pg_running ? 0 : -1;
}

static __attribute__((unused)) void pg_url(const char *database, char out[static 160])
{
    snprintf(out, 160, "host=%s user=postgres dbname=%s", pg_folder, database);
}

static __attribute__((unused)) PGconn *pg_connect(const char *database)
{
    char url[160];
    struct error e = {0};
    pg_url(database, url);
    PGconn *conn = db_connect(url, "test", 5000, &e);
    if (conn == NULL) {
        fprintf(stderr, "%s\n", e.text);
        exit(1); /* not abort: the cluster must be ended */
    }
    return conn;
}

/* Runs SQL; ends the program when it fails. Returns the first cell as text in a buffer that the next call
 * overwrites, "" when there is none. */
static __attribute__((unused, format(printf, 2, 3))) const char *pg_sql(PGconn *conn, const char *format, ...)
{
    static char cell[4096];
    char sql[8192];
    struct error e = {0};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sql, sizeof(sql), format, arguments);
    va_end(arguments);
    PGresult *r = db_exec(conn, sql, 0, NULL, 60000, &e);
    if (r == NULL) {
        fprintf(stderr, "%s\n%s\n", sql, e.text);
        exit(1); /* not abort: the cluster must be ended */
    }
    cell[0] = '\0';
    if (PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) > 0) {
        snprintf(cell, sizeof(cell), "%s", PQgetvalue(r, 0, 0));
    }
    PQclear(r);
    return cell;
}

/* A new database, migrated; a connection to it for the test, to PQfinish. */
static __attribute__((unused)) PGconn *pg_database(const char *name)
{
    struct error e = {0};
    struct buf report = {0};
    PGconn *conn = pg_connect("postgres");
    pg_sql(conn, "drop database if exists %s with (force)", name);
    pg_sql(conn, "create database %s", name);
    PQfinish(conn);
    conn = pg_connect(name);
    if (migrate_run(conn, false, &report, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        exit(1); /* not abort: the cluster must be ended */
    }
    buf_finish(&report);
    return conn;
}

#endif
