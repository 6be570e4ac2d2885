#include "service/query.h"

#include "core/buf.h"
#include "core/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pool_answer {
    struct db_answer base;
    const PGresult *result;
};

void query_list_init(struct query_list *list)
{
    list->first = NULL;
    list->end = &list->first;
    list->count = 0;
}

void query_list_add(struct query_list *list, struct query *q)
{
    q->next = NULL;
    *list->end = q;
    list->end = &q->next;
    list->count++;
}

struct query *query_list_take(struct query_list *list)
{
    struct query *q = list->first;
    if (!q)
        return NULL;
    list->first = q->next;
    if (!list->first)
        list->end = &list->first;
    list->count--;
    return q;
}

struct query *query_make(const char *sql, int count, const char *const *values)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += values[i] ? strlen(values[i]) + 1 : 0;
    struct query *q = mem_alloc(sizeof *q + (size_t)count * sizeof *q->values + bytes);
    *q = (struct query){.sql = sql, .count = count};
    char *at = (char *)&q->values[count];
    for (int i = 0; i < count; i++) {
        q->values[i] = values[i] ? at : NULL;
        if (values[i])
            at = stpcpy(at, values[i]) + 1;
    }
    return q;
}

static const char *on_cell(const struct db_answer *answer, int row, int column)
{
    const PGresult *r = ((const struct pool_answer *)answer)->result;
    return PQgetisnull(r, row, column) ? NULL : PQgetvalue(r, row, column);
}

static size_t on_cell_size(const struct db_answer *answer, int row, int column)
{
    return (size_t)PQgetlength(((const struct pool_answer *)answer)->result, row, column);
}

bool query_result_good(const PGresult *r)
{
    ExecStatusType status = PQresultStatus(r);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

void query_answer(struct query *q, PGconn *pg)
{
    struct pool_answer a = {.result = q->result, .base = {.cell = on_cell, .cell_size = on_cell_size}};
    if (q->error.code != ERROR_NONE) {
        a.base.error = q->error;
    } else if (query_result_good(q->result)) {
        a.base.ok = true;
        a.base.rows = PQntuples(q->result);
        a.base.columns = PQnfields(q->result);
    } else {
        const char *state = PQresultErrorField(q->result, PG_DIAG_SQLSTATE);
        snprintf(a.base.sqlstate, sizeof a.base.sqlstate, "%s", state ? state : "");
        db_error(pg, q->result, &a.base.error);
        if (a.base.error.code == ERROR_INTERNAL)
            log_warn("pool", "%s", a.base.error.text);
    }
    q->done(q->context, &a.base);
    PQclear(q->result);
    free(q);
}
