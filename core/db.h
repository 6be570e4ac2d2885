/* PostgreSQL through libpq: the one place that includes it; connecting, checking and errors, for threads and
 * tools.
 *
 * Flow:   writer, memberlog, parlorctl -> here -> libpq; service/pool adds the asynchronous side.
 * Thread: a PGconn belongs to one thread.
 * Owns:   connections are the caller's (PQfinish). */
#ifndef PARLOR_CORE_DB_H
#define PARLOR_CORE_DB_H

#include "core/error.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* Connects within timeout_ms, sets application_name, UTF8, tcp_user_timeout and keepalives. NULL with
 * UNAVAILABLE `database_unavailable` on failure (never with a password in its text). */
PGconn *db_connect(const char *url, const char *application_name, int64_t timeout_ms, struct error *e);

#define DB_CHECK_MS 5000 /* patience with a check where nothing else bounds it */

/* Schema exactly ours (too old: run `parlorctl migrate`; too new: update Parlor), fsync and
 * synchronous_commit on, encoding UTF8, server 13 or newer. 0, or -1 with INVALID `schema_too_old`,
 * `schema_too_new`, `unsafe_database`, or UNAVAILABLE, also when it takes longer than timeout_ms. */
int db_check(PGconn *conn, int64_t timeout_ms, struct error *e);

#define DB_IDENTITY_SIZE 64

/* What tells one database from another, and a database from its own past: the cluster's system identifier, a
 * slash, and its timeline. 0, or -1 as db_exec. */
int db_identity(PGconn *conn, char out[DB_IDENTITY_SIZE], int64_t timeout_ms, struct error *e);

/* The newest migration's number of this build. */
int db_schema_version(void);

/* Sends nothing; waits until one result of what was sent is there or the deadline (clock_mono_ns) passes.
 * NULL with *timed_out_out set on timeout: the connection still owes the answer and is good for nothing else,
 * so PQfinish it. The result is the caller's, for PQclear. */
PGresult *db_result(PGconn *conn, int64_t deadline_ns, bool *timed_out_out);

/* Runs one statement with text parameters and waits at most timeout_ms (past which the connection is of no
 * more use). NULL with e filled unless it gave rows or a command's completion. */
PGresult *db_exec(PGconn *conn, const char *sql, int count, const char *const *values, int64_t timeout_ms,
                  struct error *e);

/* True when the result is an error whose SQLSTATE begins with one of the words, which a NULL ends. NULL:
 * none. */
bool db_refused_as(const PGresult *result, const char *const *states);

/* True when e, as db_exec or db_error left it, says that the role may not (insufficient_privilege). */
bool db_lacks_right(const struct error *e);

/* Fills e from a failed result or connection; SQLSTATEs: 55P03, 40001, 40P01, 57014 -> UNAVAILABLE `busy`;
 * 25006 (read only), 53... (no resources), 58... (its system), or the connection lost -> UNAVAILABLE
 * `database_unavailable`; else INTERNAL. Returns -1. */
int db_error(PGconn *conn, const PGresult *result, struct error *e);

#endif
