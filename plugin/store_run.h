/* The inside of a store, and how its prepared statements are run: sent together, committed by one sync.
 *
 * Flow:   store, store_marks -> store_send for each statement -> store_commit, or its steps -> results.
 * Thread: the writer's; only plugin/store*.c may include this.
 * Owns:   nothing: results are the caller's, for store_answer_clear. */
#ifndef PARLOR_PLUGIN_STORE_RUN_H
#define PARLOR_PLUGIN_STORE_RUN_H

#include "core/db.h"
#include "plugin/batch.h"
#include "plugin/store.h"
#include "plugin/watermarks.h"

#define STORE_STATEMENTS_MAX 4    /* of one transaction */
#define SEEN_MAX             4096 /* rooms; past that, it begins anew */

struct store {
    const struct config *config;
    PGconn *conn; /* in pipeline mode, unless NULL */
    struct batch batch;
    struct params marks;
    PGresult *kept; /* holds the texts of replayed messages */
    unsigned careful_left;
    bool careful;    /* the begun batch goes the careful way */
    bool committing; /* the sync was sent and is not answered */
    bool spoiled;    /* something was sent half: the connection ends when the commit is answered */
    struct watermarks *own_reads; /* not yet written */
    struct watermarks *seen;      /* last seqs of rooms stored to, to know a database that lost something */
    char identity[DB_IDENTITY_SIZE]; /* of the database that `seen` is of; "" before the first */
    int64_t flushed_ns;
    bool rederived; /* tried once, at the first connection */
    /* store_past.c */
    bool past_changed; /* since the file was written */
    int64_t kept_ns, complained_ns;
    struct uuid renewed; /* the last room of those that have their new epoch, while not all have */
    size_t renewed_count;
};

struct store_answer {
    PGresult *results[STORE_STATEMENTS_MAX];
    size_t count;
    PGresult *refusal; /* the first error */
};

void store_answer_clear(struct store_answer *a);

/* Sends one prepared statement; false when the connection broke. */
bool store_send(struct store *store, const char *name, struct params *p);

/* Waits for the results of the so many statements that were sent, which the server gives without a sync. 0
 * when all have run, or one was refused: the answer's refusal is set, and the sync undoes them all. -1 with
 * UNAVAILABLE: no sync was sent, so nothing was stored; the connection is dropped. */
int store_await(struct store *store, size_t statements, int64_t deadline_ns, struct store_answer *a,
                struct error *e);

/* Sends the sync, which commits or, after a refusal, undoes. 0, or -1 with UNCERTAIN, connection dropped. */
int store_sync(struct store *store, struct error *e);

/* Waits for the answer to the sync. 0 when committed; -1 with UNCERTAIN, the connection dropped; or -1 with
 * the answer's refusal set when the server undid it all. */
int store_await_sync(struct store *store, int64_t deadline_ns, struct store_answer *a, struct error *e);

/* All three. 0; or -1 with UNAVAILABLE (nothing was stored) or UNCERTAIN (the commit was under way), the
 * connection dropped; or with the answer's refusal set when the server undid it all. */
int store_commit(struct store *store, size_t statements, int64_t deadline_ns, struct store_answer *a,
                 struct error *e);

/* Fills e with what a refusal means to the writer; returns -1. */
int store_refused(struct store *store, const PGresult *refusal, struct error *e);

/* Drops the connection before a sync was sent; returns -1 with UNAVAILABLE. */
int store_lost(struct store *store, struct error *e, const char *what);

/* Drops the connection when a commit was under way; returns -1 with UNCERTAIN. */
int store_drop(struct store *store, struct error *e, const char *what);

/* One statement in a transaction of its own; *answer is the caller's to clear. 0, or -1 with e. */
int store_run_alone(struct store *store, const char *name, struct params *p, int64_t deadline_ns,
                    struct store_answer *answer, struct error *e);

/* Rooms, users (with_users) and seqs as three arrays. */
void store_fill_watermarks(struct params *p, const struct watermarks *w, bool with_users);

#endif
