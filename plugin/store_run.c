/* Two steps, so that little is ever uncertain. The statements go out first, with a request to answer them but
 * without the sync that commits: until it is sent, a server that hangs, dies or is cut off has stored nothing
 * and never will, and the senders can be told so. Only a commit under way has an unknown fate. The second
 * step costs a round trip on a unix socket, some 30 us, beside a commit's fdatasync. */
#include "plugin/store_run.h"

#include "core/log.h"

#include <string.h>

void store_answer_clear(struct store_answer *a)
{
    for (size_t i = 0; i < a->count; i++) {
        PQclear(a->results[i]);
    }
    PQclear(a->refusal);
    *a = (struct store_answer){0};
}

int store_lost(struct store *store, struct error *e, const char *what)
{
    store_disconnect(store);
    return error_set(e, ERROR_UNAVAILABLE, "database_unavailable", "%s before anything was stored", what);
}

int store_drop(struct store *store, struct error *e, const char *what)
{
    store_disconnect(store);
    return error_set(e, ERROR_UNCERTAIN, "uncertain", "%s before the commit was answered", what);
}

static void take_result(struct store_answer *a, PGresult *r)
{
    ExecStatusType status = PQresultStatus(r);
    if ((status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) && a->count < STORE_STATEMENTS_MAX)
        a->results[a->count++] = r;
    else if (status == PGRES_FATAL_ERROR && a->refusal == NULL)
        a->refusal = r;
    else
        PQclear(r);
}

/* The next result of the pipeline. False when there is none to come: the deadline passed or the connection
 * broke, `what_out` says which; *out is NULL between two statements. */
static bool next_result(struct store *store, int64_t deadline_ns, PGresult **out, const char **what_out)
{
    bool timed_out;
    *out = db_result(store->conn, deadline_ns, &timed_out);
    if (!timed_out && PQstatus(store->conn) == CONNECTION_OK)
        return true;
    PQclear(*out);
    *out = NULL;
    *what_out = timed_out ? "the deadline passed" : "the connection broke";
    return false;
}

int store_await(struct store *store, size_t statements, int64_t deadline_ns, struct store_answer *a,
                struct error *e)
{
    const char *what;
    *a = (struct store_answer){0};
    for (size_t done = 0; done < statements && a->refusal == NULL;) {
        PGresult *r;
        if (!next_result(store, deadline_ns, &r, &what)) {
            store_answer_clear(a);
            return store_lost(store, e, what);
        }
        if (r == NULL)
            done++;
        else
            take_result(a, r);
    }
    return 0;
}

int store_sync(struct store *store, struct error *e)
{
    if (PQpipelineSync(store->conn) != 1) {
        return store_drop(store, e, "the connection broke");
    }
    return 0;
}

int store_await_sync(struct store *store, int64_t deadline_ns, struct store_answer *a, struct error *e)
{
    const char *what = "the protocol was broken";
    for (size_t separators = 0; separators <= STORE_STATEMENTS_MAX;) {
        PGresult *r;
        if (!next_result(store, deadline_ns, &r, &what))
            break;
        if (r == NULL) {
            separators++;
        } else if (PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
            PQclear(r);
            return a->refusal == NULL ? 0 : -1;
        } else {
            take_result(a, r);
        }
    }
    store_answer_clear(a);
    return store_drop(store, e, what);
}

bool store_send(struct store *store, const char *name, struct params *p)
{
    params_end(p);
    return PQsendQueryPrepared(store->conn, name, p->count, p->values, p->sizes, p->formats, 1) == 1;
}

/* Anything that is neither the data's fault nor a busy room's says that
 * this is not a database to go on with: the next batch connects and checks again. */
int store_refused(struct store *store, const PGresult *refusal, struct error *e)
{
    static const char *const of_data[] = {"21", "22", "23", "54", NULL};
    db_error(store->conn, refusal, e);
    if (db_refused_as(refusal, of_data)) {
        return error_set(e, ERROR_INVALID, "poison", "%s",
                         PQresultErrorField(refusal, PG_DIAG_MESSAGE_PRIMARY));
    }
    if (e->code != ERROR_UNAVAILABLE) {
        log_error("store", "%s", e->text);
        char text[ERROR_TEXT_MAX];
        memcpy(text, e->text, sizeof(text));
        error_set(e, ERROR_UNAVAILABLE, "database_unavailable", "%s", text);
        store_disconnect(store);
    }
    return -1;
}

int store_commit(struct store *store, size_t statements, int64_t deadline_ns, struct store_answer *a,
                 struct error *e)
{
    *a = (struct store_answer){0};
    if (PQsendFlushRequest(store->conn) != 1) {
        return store_lost(store, e, "the connection broke");
    }
    if (store_await(store, statements, deadline_ns, a, e) != 0 || store_sync(store, e) != 0) {
        return -1;
    }
    return store_await_sync(store, deadline_ns, a, e);
}

int store_run_alone(struct store *store, const char *name, struct params *p, int64_t deadline_ns,
                    struct store_answer *answer, struct error *e)
{
    *answer = (struct store_answer){0};
    if (!store_send(store, name, p)) {
        return store_lost(store, e, "the connection broke");
    }
    int ok = store_commit(store, 1, deadline_ns, answer, e);
    return ok != 0 && answer->refusal != NULL ? store_refused(store, answer->refusal, e) : ok;
}
