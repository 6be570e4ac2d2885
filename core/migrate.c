#include "core/migrate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECKSUM_SIZE   17            /* 16 hexadecimal digits and a zero byte */
#define LOCK_KEY        "72700111997" /* any number that is ours alone */
#define STEP_TIMEOUT_MS (10 * 60 * 1000)
#define LOCK_TIMEOUT_MS (60 * 1000)

static const struct migration built_in[] = {
#include "migrations.inc"
};
#define BUILT_IN_COUNT (sizeof(built_in) / sizeof(built_in[0]))

int migrate_newest(void)
{
    return built_in[BUILT_IN_COUNT - 1].version;
}

/* FNV-1a: against edited files, not against forgers. */
static void checksum(const char *text, char out[CHECKSUM_SIZE])
{
    uint64_t hash = 14695981039346656037U;
    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * 1099511628211U;
    }
    snprintf(out, CHECKSUM_SIZE, "%016" PRIx64, hash);
}

static int command(PGconn *conn, const char *sql, struct error *e)
{
    PGresult *result = db_exec(conn, sql, 0, NULL, LOCK_TIMEOUT_MS, e);
    PQclear(result);
    return result == NULL ? -1 : 0;
}

static const struct migration *find(const struct migration *list, size_t count, int version)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].version == version) {
            return &list[i];
        }
    }
    return NULL;
}

/* Of an applied row: its migration is ours, word for word, and none before it is missing. */
static int compare_row(const struct migration *list, size_t count, size_t place, int version,
                       const char *name, const char *applied_sum, struct error *e)
{
    const struct migration *ours = find(list, count, version);
    char sum[CHECKSUM_SIZE] = "";
    if (ours == NULL) {
        return error_set(e, ERROR_INVALID, "schema_too_new",
                         "the database has migration %04d_%s, which this build does not know: update Parlor",
                         version, name);
    }
    if (list[place].version < version) {
        return error_set(e, ERROR_INVALID, "migration_missing",
                         "schema_migrations has %04d_%s, but not %04d_%s, which comes before it: put its row "
                         "back if it was applied, or restore a backup; what the schema is can't be told",
                         version, ours->name, list[place].version, list[place].name);
    }
    checksum(ours->sql, sum);
    if (strcmp(sum, applied_sum) != 0) {
        return error_set(e, ERROR_INVALID, "migration_changed",
                         "migration %04d_%s was applied with another text (%s, now %s): an applied migration "
                         "is never edited, add a new one",
                         version, ours->name, applied_sum, sum);
    }
    return 0;
}

/* Returns the newest applied number, 0 for none, or -1. */
static int compare_applied(PGconn *conn, const struct migration *list, size_t count, struct error *e)
{
    PGresult *exists = db_exec(conn, "select 1 where to_regclass('schema_migrations') is not null", 0, NULL,
                               LOCK_TIMEOUT_MS, e);
    if (exists == NULL) {
        return -1;
    }
    bool none = PQntuples(exists) == 0;
    PQclear(exists);
    if (none) {
        return 0;
    }
    PGresult *rows = db_exec(conn, "select version, name, checksum from schema_migrations order by version",
                             0, NULL, LOCK_TIMEOUT_MS, e);
    if (rows == NULL) {
        return -1;
    }
    int newest = 0;
    for (int i = 0; i < PQntuples(rows) && newest >= 0; i++) {
        newest = (int)strtol(PQgetvalue(rows, i, 0), NULL, 10);
        if (compare_row(list, count, (size_t)i, newest, PQgetvalue(rows, i, 1), PQgetvalue(rows, i, 2), e) !=
            0) {
            newest = -1;
        }
    }
    PQclear(rows);
    return newest;
}

/* The file's text holds several statements, which only the simple protocol takes; with BEGIN and COMMIT in
 * the same text the server stops at the first failure. */
static int apply(PGconn *conn, const struct migration *m, struct error *e)
{
    char sum[CHECKSUM_SIZE];
    checksum(m->sql, sum);
    struct buf text = {0};
    buf_printf(
        &text,
        "begin;\ncreate table if not exists schema_migrations (version integer primary key, name text not "
        "null, checksum text not null, applied_at timestamptz not null default now());\n%s\n;insert into "
        "schema_migrations (version, name, checksum) values (%d, '%s', '%s');\ncommit;",
        m->sql, m->version, m->name, sum);
    PGresult *result = db_exec(conn, text.data, 0, NULL, STEP_TIMEOUT_MS, e);
    buf_finish(&text);
    if (result != NULL) {
        PQclear(result);
        return 0;
    }
    PQclear(PQexec(conn, "rollback"));
    if (PQstatus(conn) != CONNECTION_OK) {
        return -1;
    }
    e->code = ERROR_INVALID;
    snprintf(e->word, sizeof(e->word), "migration_failed");
    return error_prefix(e, "migration %04d_%s", m->version, m->name);
}

static int run_locked(PGconn *conn, const struct migration *list, size_t count, bool dry_run,
                      struct buf *report, struct error *e)
{
    int newest = compare_applied(conn, list, count, e);
    if (newest < 0) {
        return -1;
    }
    int applied = 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i].version <= newest) {
            continue;
        }
        if (!dry_run && apply(conn, &list[i], e) != 0) {
            return -1;
        }
        buf_printf(report, "%04d_%s %s\n", list[i].version, list[i].name,
                   dry_run ? "would be applied" : "applied");
        applied++;
    }
    return applied;
}

/* The owner's tables are for the owner, or for who is granted its role; without tables, the schema's right to
 * create is missing, which PostgreSQL 15 gives to nobody in public. */
static int advise(PGconn *conn, struct error *e)
{
    PGresult *r =
        db_exec(conn,
                "select quote_ident(current_user), quote_ident(coalesce(current_schema(), 'public')), "
                "(select quote_ident(pg_get_userbyid(relowner)) from pg_class where oid = "
                "to_regclass('schema_migrations') and not pg_has_role(relowner, 'usage'))",
                0, NULL, LOCK_TIMEOUT_MS, NULL);
    if (r == NULL) {
        return -1;
    }
    char refused[ERROR_TEXT_MAX];
    snprintf(refused, sizeof(refused), "%s", e->text);
    const char *role = PQgetvalue(r, 0, 0), *schema = PQgetvalue(r, 0, 1);
    if (PQgetisnull(r, 0, 2)) {
        error_set(e, ERROR_DENIED, "no_right",
                  "%.150s: run `grant create on schema %s to %s` as its owner, or make %s the owner of the "
                  "database",
                  refused, schema, role, role);
    } else {
        const char *owner = PQgetvalue(r, 0, 2);
        error_set(e, ERROR_DENIED, "no_right",
                  "%.150s: Parlor's tables belong to the role %s: migrate as %s, or run `grant %s to %s`",
                  refused, owner, owner, owner, role);
    }
    PQclear(r);
    return -1;
}

int migrate_run_list(PGconn *conn, const struct migration *list, size_t count, bool dry_run,
                     struct buf *report, struct error *e)
{
    struct error own;
    e = e != NULL ? e : &own;
    if (command(conn, "set client_min_messages = warning", e) != 0 ||
        command(conn, "select pg_advisory_lock(" LOCK_KEY ")", e) != 0) {
        return -1;
    }
    int applied = run_locked(conn, list, count, dry_run, report, e);
    if (applied < 0 && db_lacks_right(e)) {
        advise(conn, e);
    }
    if (PQstatus(conn) == CONNECTION_OK) {
        command(conn, "select pg_advisory_unlock(" LOCK_KEY ")", NULL);
    }
    return applied;
}

int migrate_run(PGconn *conn, bool dry_run, struct buf *report, struct error *e)
{
    return migrate_run_list(conn, built_in, BUILT_IN_COUNT, dry_run, report, e);
}
