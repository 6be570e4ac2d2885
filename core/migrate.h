/* The schema's migrations: numbered files of sql/, built in, applied in order, each in a transaction of its
 * own.
 *
 * Table schema_migrations(version, name, checksum, applied_at) says which were applied; one whose text is no
 * longer the one applied is refused, for then nobody knows what the schema is. An advisory lock lets one run
 * at a time.
 *
 * Flow:   sql/NNNN_what.sql -> sql/embed.cmake -> here -> PostgreSQL; db_check asks for the newest number.
 * Thread: any, a connection of its own.
 * Owns:   nothing. */
#ifndef PARLOR_CORE_MIGRATE_H
#define PARLOR_CORE_MIGRATE_H

#include "core/buf.h"
#include "core/db.h"

#include <stdbool.h>

struct migration {
    int version;
    const char *name;
    const char *sql;
};

/* The newest migration's number of this build. */
int migrate_newest(void);

/* Applies what is missing, or with dry_run only says what would be. Appends one line a migration to report:
 * `0001_chat applied`, `0001_chat would be applied`, and nothing for those that are there. Returns how many
 * were (or would be) applied, or -1 with INVALID `migration_changed` (an applied one has another text now),
 * `schema_too_new` (the database knows one that this build doesn't), `migration_missing` (one is not there,
 * though a later one is), `migration_failed` (with the server's reason; those before it stay applied), DENIED
 * `no_right` (the role may not; the text says what to grant), or UNAVAILABLE. */
int migrate_run(PGconn *conn, bool dry_run, struct buf *report, struct error *e);

/* The same with a list of the caller's, in rising order; for tests. */
int migrate_run_list(PGconn *conn, const struct migration *list, size_t count, bool dry_run,
                     struct buf *report, struct error *e);

#endif
