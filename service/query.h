/* A query of the pool: what is asked, and how its answer is told.
 *
 * Flow:   db_port.query -> query_make -> a list of the pool -> query_answer -> done. Thread: the loop's.
 * Owns:   its parameters and result; query_answer frees it. */
#ifndef PARLOR_SERVICE_QUERY_H
#define PARLOR_SERVICE_QUERY_H

#include "core/db.h"
#include "core/ports.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct query {
    struct query *next;
    const char *sql;
    db_done_fn done;
    void *context;
    int64_t deadline_ns;
    PGresult *result;
    int statement; /* in the pool's table; -1: unprepared */
    int steps;     /* results to come before the sync's */
    bool preparing;
    struct error error; /* of one that failed without a result */
    int count;
    const char *values[]; /* and their bytes behind */
};

struct query_list {
    struct query *first, **end;
    size_t count;
};

void query_list_init(struct query_list *list);
void query_list_add(struct query_list *list, struct query *q); /* at the end */
struct query *query_list_take(struct query_list *list);        /* the first; NULL when it is empty */

/* Copies the parameters. */
struct query *query_make(const char *sql, int count, const char *const *values);

bool query_result_good(const PGresult *result);

/* Tells whoever asked: its error if one is set, else its result (`pg`: the connection that gave it); then
 * frees the query. */
void query_answer(struct query *q, PGconn *pg);

#endif
