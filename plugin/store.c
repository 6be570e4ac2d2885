/* How a batch goes: items sorted by room, so that every writer locks rooms in the same order; the two
 * statements of the fast way in one flush, then the sync (store_run.c); outcomes count only when the sync has
 * come back, for until then nothing is committed. The next batch's statements may be sent behind the sync:
 * the server comes to them when the commit is done, whatever the writer does meanwhile. When the fast way was
 * refused by a constraint, the careful way judges each item; it is kept for a few batches more, for resends
 * come in swarms.
 *
 * A sender's own read watermark is remembered here and written once a second (store_flush). */
#include "plugin/store.h"

#include "core/clock.h"
#include "core/db.h"
#include "core/log.h"
#include "plugin/store_attendance.h"
#include "plugin/store_past.h"
#include "plugin/store_run.h"
#include "plugin/store_sql.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CAREFUL_BATCHES   16 /* after a refusal, so many batches go the careful way at once */
#define FLUSH_INTERVAL_NS INT64_C(1000000000)
#define OWN_READS_MAX     16384
#define STATEMENTS        2 /* of a batch */

/* ---- Outcomes. ---- */

static void set_stored(struct store_item *item, int64_t seq)
{
    const struct draft *d = item->draft;
    item->outcome = STORE_STORED;
    item->message = (struct message){.id = item->id,
                                     .room = item->room,
                                     .seq = seq,
                                     .sender = item->user,
                                     .client_message_id = d->client_message_id,
                                     .type = d->type,
                                     .content = d->content,
                                     .content_size = d->content_size,
                                     .mentions = batch_has_mentions(d) ? d->mentions.data : "[]",
                                     .attachments = "[]",
                                     .has_reply = d->has_reply,
                                     .reply_to = d->reply_to,
                                     .created_at_ms = item->created_at_ms};
}

/* What was committed. */
static void remember(struct store *store, const struct store_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].outcome == STORE_STORED) {
            store_past_note(store, &items[i].room, items[i].message.seq);
            watermarks_raise(store->own_reads, &items[i].room, items[i].user, items[i].message.seq);
        }
    }
}

/* The rooms' new last seqs come back in the order they were sent, less those that don't exist, of which there
 * are none here. */
static int take_fast(struct store *store, struct store_item *items, size_t count, const PGresult *rooms,
                     struct error *e)
{
    int row = 0;
    for (size_t start = 0, end; start < count; start = end, row++) {
        end = batch_run_end(&store->batch, items, count, start);
        const struct uuid *room = &items[store->batch.order[start]].room;
        if (row >= PQntuples(rooms) || memcmp(PQgetvalue(rooms, row, 0), room, sizeof(*room)) != 0) {
            return store_lost(store, e, "rooms came back in another order");
        }
        int64_t last_seq = params_read_int(PQgetvalue(rooms, row, 1));
        for (size_t i = start; i < end; i++) {
            set_stored(&items[store->batch.order[i]], last_seq - (int64_t)(end - 1 - i));
        }
    }
    return 0;
}

static int64_t old_time(const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column) ? 0 : params_read_time(PQgetvalue(r, row, column));
}

static const char *old_json(const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column) ? "[]" : PQgetvalue(r, row, column);
}

static void set_old(struct store_item *item, enum store_outcome outcome, const PGresult *r, int row)
{
    struct message *m = &item->message;
    item->outcome = outcome;
    *m = (struct message){.room = item->room,
                          .seq = params_read_int(PQgetvalue(r, row, COLUMN_OLD_SEQ)),
                          .rev = params_read_int(PQgetvalue(r, row, COLUMN_OLD_REV)),
                          .sender = item->user,
                          .client_message_id = item->draft->client_message_id,
                          .type = PQgetvalue(r, row, COLUMN_OLD_TYPE),
                          .mentions = old_json(r, row, COLUMN_OLD_MENTIONS),
                          .attachments = old_json(r, row, COLUMN_OLD_ATTACHMENTS),
                          .has_reply = !PQgetisnull(r, row, COLUMN_OLD_REPLY_TO),
                          .created_at_ms = old_time(r, row, COLUMN_OLD_CREATED_AT),
                          .edited_at_ms = old_time(r, row, COLUMN_OLD_EDITED_AT),
                          .deleted_at_ms = old_time(r, row, COLUMN_OLD_DELETED_AT)};
    memcpy(&m->id, PQgetvalue(r, row, COLUMN_OLD_ID), sizeof(m->id));
    if (m->has_reply) {
        memcpy(&m->reply_to, PQgetvalue(r, row, COLUMN_OLD_REPLY_TO), sizeof(m->reply_to));
    }
    if (!PQgetisnull(r, row, COLUMN_OLD_CONTENT)) {
        m->content = PQgetvalue(r, row, COLUMN_OLD_CONTENT);
        m->content_size = (size_t)PQgetlength(r, row, COLUMN_OLD_CONTENT);
    }
}

static void set_rejected(struct store_item *item, enum store_verdict verdict)
{
    item->outcome = STORE_REJECTED;
    if (verdict == VERDICT_STRANGER) {
        error_set(&item->error, ERROR_NOT_FOUND, "room_not_found", "there is no such room for you");
    } else if (verdict == VERDICT_CONFLICT) {
        error_set(&item->error, ERROR_CONFLICT, "conflict",
                  "another message was stored under this clientMessageId");
    } else if (verdict == VERDICT_NO_REPLY) {
        error_set(&item->error, ERROR_NOT_FOUND, "reply_not_found",
                  "replyToId names no message of this room");
    } else {
        error_set(&item->error, ERROR_NOT_FOUND, "attachment_not_found",
                  "attachmentIds names a file that is not there");
    }
}

static int take_careful(struct store *store, struct store_item *items, size_t count, const PGresult *r,
                        struct error *e)
{
    if ((size_t)PQntuples(r) != count) {
        return store_lost(store, e, "verdicts were missing");
    }
    for (size_t i = 0; i < count; i++) {
        struct store_item *item = &items[store->batch.order[i]];
        enum store_verdict verdict =
            (enum store_verdict)params_read_int(PQgetvalue(r, (int)i, COLUMN_VERDICT));
        if (verdict == VERDICT_ACCEPTED) {
            set_stored(item, params_read_int(PQgetvalue(r, (int)i, COLUMN_SEQ)));
        } else if (verdict == VERDICT_SAME || verdict == VERDICT_REPLAY) {
            set_old(item, verdict == VERDICT_SAME ? STORE_STORED : STORE_REPLAYED, r, (int)i);
        } else {
            set_rejected(item, verdict);
        }
    }
    return 0;
}

/* ---- Watermarks. ---- */

void store_fill_watermarks(struct params *p, const struct watermarks *w, bool with_users)
{
    size_t count = watermarks_count(w);
    params_clear(p);
    params_begin(p, PARAMS_UUID, count);
    for (size_t i = 0; i < count; i++) {
        params_add_uuid(p, &watermarks_at(w, i)->room);
    }
    if (with_users) {
        params_begin(p, PARAMS_TEXT, count);
        for (size_t i = 0; i < count; i++) {
            params_add_text(p, watermarks_at(w, i)->user, strlen(watermarks_at(w, i)->user));
        }
    }
    params_begin(p, PARAMS_INT8, count);
    for (size_t i = 0; i < count; i++) {
        params_add_int(p, watermarks_at(w, i)->seq);
    }
}

static int write_own_reads(struct store *store, int64_t deadline_ns, struct error *e)
{
    struct store_answer answer;
    store->flushed_ns = clock_mono_ns();
    store_fill_watermarks(&store->batch.items, store->own_reads, true);
    int ok = store_run_alone(store, "watermarks", &store->batch.items, deadline_ns, &answer, e);
    store_answer_clear(&answer);
    if (ok == 0) {
        watermarks_clear(store->own_reads);
    }
    return ok;
}

/* Was the connection closed while nothing was under way? Known before a batch is sent, that is no
 * uncertainty. The first look may read the server's farewell, the second sees the end. */
static bool alive(struct store *store)
{
    for (int looks = 0; store->conn != NULL && looks < 2; looks++) {
        if (PQconsumeInput(store->conn) == 0 || PQstatus(store->conn) != CONNECTION_OK) {
            return false;
        }
        PQisBusy(store->conn);
    }
    return store->conn != NULL;
}

bool store_flush_due(const struct store *store)
{
    size_t count = watermarks_count(store->own_reads);
    return count > 0 && (count + (size_t)store->config->batch_max > OWN_READS_MAX ||
                         clock_mono_ns() - store->flushed_ns > 2 * FLUSH_INTERVAL_NS);
}

int store_flush(struct store *store, int64_t deadline_ns, struct error *e)
{
    store_past_keep(store, false);
    if (store->conn == NULL || clock_mono_ns() - store->flushed_ns < FLUSH_INTERVAL_NS) {
        return 0;
    }
    if (!alive(store)) {
        store_disconnect(store);
        return error_set(e, ERROR_UNAVAILABLE, "database_unavailable", "the database closed the connection");
    }
    return watermarks_count(store->own_reads) == 0 ? 0 : write_own_reads(store, deadline_ns, e);
}

bool store_ready(struct store *store)
{
    return alive(store) && !store_flush_due(store);
}

/* ---- Busy rooms. ---- */

int store_locked(struct store *store, const struct uuid *rooms, size_t count, bool *locked_out,
                 int64_t deadline_ns, struct error *e)
{
    struct store_answer answer;
    struct params *p = &store->batch.lock;
    if (store_connect(store, deadline_ns, e) != 0) {
        return -1;
    }
    params_clear(p);
    params_begin(p, PARAMS_UUID, count);
    for (size_t i = 0; i < count; i++) {
        params_add_uuid(p, &rooms[i]);
    }
    memset(locked_out, 0, count * sizeof(*locked_out));
    int ok = store_run_alone(store, "locked", p, deadline_ns, &answer, e);
    for (int row = 0; ok == 0 && row < PQntuples(answer.results[0]); row++) {
        for (size_t i = 0; i < count; i++) {
            locked_out[i] |= memcmp(PQgetvalue(answer.results[0], row, 0), &rooms[i], sizeof(rooms[i])) == 0;
        }
    }
    store_answer_clear(&answer);
    return ok;
}

/* ---- The batch. ---- */

static bool any_attachment(const struct store_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].draft->attachment_count > 0) {
            return true;
        }
    }
    return false;
}

/* A connection on which a commit is under way is left for its answer. */
static int send_batch(struct store *store, const struct store_item *items, size_t count, bool careful,
                      struct error *e)
{
    store->careful = careful;
    batch_fill(&store->batch, items, count, careful);
    if (store_send(store, careful ? "careful_lock" : "fast_lock", &store->batch.lock) &&
        store_send(store, careful ? "careful_insert" : "fast_insert", &store->batch.items) &&
        PQsendFlushRequest(store->conn) == 1 && PQflush(store->conn) >= 0) {
        return 0;
    }
    if (!store->committing) {
        return store_lost(store, e, "the connection broke");
    }
    store->spoiled = true;
    return error_set(e, ERROR_UNAVAILABLE, "database_unavailable", "the connection broke");
}

int store_begin(struct store *store, struct store_item *items, size_t count, int64_t deadline_ns,
                struct error *e)
{
    if (!store->committing && store_connect(store, deadline_ns, e) != 0) {
        return -1;
    }
    if (!store->committing && store_flush_due(store) && write_own_reads(store, deadline_ns, e) != 0) {
        e->code = ERROR_UNAVAILABLE; /* of this batch nothing was sent */
        return -1;
    }
    batch_sort(&store->batch, items, count);
    bool careful = store->careful_left > 0 || any_attachment(items, count);
    store->careful_left -= store->careful_left > 0;
    return send_batch(store, items, count, careful, e);
}

/* Waits for the statements and sets the outcomes, which count when the commit is answered. 0; -1 with e; or
 * -1 with *refusal_out, the caller's: the server waits for the sync. */
static int take_outcomes(struct store *store, struct store_item *items, size_t count, int64_t deadline_ns,
                         PGresult **refusal_out, struct error *e)
{
    struct store_answer answer;
    PQclear(store->kept);
    store->kept = NULL;
    int ok = store_await(store, STATEMENTS, deadline_ns, &answer, e);
    if (ok == 0 && answer.refusal != NULL) {
        *refusal_out = answer.refusal;
        answer.refusal = NULL;
        ok = -1;
    } else if (ok == 0 && store->careful) {
        store->kept = answer.results[1];
        answer.results[1] = NULL;
        ok = take_careful(store, items, count, store->kept, e);
    } else if (ok == 0) {
        ok = take_fast(store, items, count, answer.results[0], e);
    }
    store_answer_clear(&answer);
    return ok;
}

/* After a refusal, which is gone then: has the server undo what was sent. -1 with e. */
static int undo(struct store *store, PGresult *refusal, int64_t deadline_ns, struct error *e)
{
    struct store_answer rest = {0};
    if (store_sync(store, e) == 0) {
        store_await_sync(store, deadline_ns, &rest, e);
        store_answer_clear(&rest);
    }
    if (store->conn != NULL) {
        store_refused(store, refusal, e);
    } else {
        store_lost(store, e, "the connection broke");
    }
    PQclear(refusal);
    return -1;
}

static int execute(struct store *store, struct store_item *items, size_t count, int64_t deadline_ns,
                   bool *by_constraint_out, struct error *e)
{
    static const char *const constraints[] = {"23502", "23505", NULL}; /* not null, unique */
    PGresult *refusal = NULL;
    int ok = take_outcomes(store, items, count, deadline_ns, &refusal, e);
    *by_constraint_out = db_refused_as(refusal, constraints);
    return refusal == NULL ? ok : undo(store, refusal, deadline_ns, e);
}

int store_execute(struct store *store, struct store_item *items, size_t count, int64_t deadline_ns,
                  struct error *e)
{
    bool by_constraint;
    assert(!store->committing);
    int ok = execute(store, items, count, deadline_ns, &by_constraint, e);
    if (ok != 0 && by_constraint && !store->careful && store->conn != NULL) {
        store->careful_left = CAREFUL_BATCHES;
        ok = send_batch(store, items, count, true, e);
        ok = ok == 0 ? execute(store, items, count, deadline_ns, &by_constraint, e) : -1;
    }
    if (ok != 0 || store_sync(store, e) != 0) {
        return -1;
    }
    store->committing = true;
    return 0;
}

int store_complete(struct store *store, struct store_item *items, size_t count, int64_t deadline_ns,
                   struct error *e)
{
    struct store_answer answer = {0};
    int ok = store_await_sync(store, deadline_ns, &answer, e);
    store->committing = false;
    if (ok == 0) {
        remember(store, items, count);
    } else if (answer.refusal != NULL) {
        store_refused(store, answer.refusal, e);
    }
    store_answer_clear(&answer);
    if (ok != 0 || store->spoiled) {
        store_disconnect(store); /* a batch may have been begun behind it, in the same transaction now */
    }
    return ok;
}

int store_batch(struct store *store, struct store_item *items, size_t count, int64_t deadline_ns,
                struct error *e)
{
    struct error own;
    e = e != NULL ? e : &own;
    return store_begin(store, items, count, deadline_ns, e) == 0 &&
                   store_execute(store, items, count, deadline_ns, e) == 0 &&
                   store_complete(store, items, count, deadline_ns, e) == 0
               ? 0
               : -1;
}

/* ---- The connection. ---- */

static int command(struct store *store, const char *sql, int64_t timeout_ms, struct error *e)
{
    PGresult *r = db_exec(store->conn, sql, 0, NULL, timeout_ms, e);
    PQclear(r);
    return r == NULL ? -1 : 0;
}

static int prepare_all(struct store *store, int64_t timeout_ms, struct error *e)
{
    static const struct {
        const char *name, *sql;
    } statements[] = {{"fast_lock", SQL_FAST_LOCK},
                      {"fast_insert", SQL_FAST_INSERT},
                      {"careful_lock", SQL_CAREFUL_LOCK},
                      {"careful_insert", SQL_CAREFUL_INSERT},
                      {"locked", SQL_LOCKED},
                      {"watermarks", SQL_WATERMARKS},
                      {"marks_look", SQL_MARKS_LOOK},
                      {"marks_move", SQL_MARKS_MOVE},
                      {"lost", SQL_LOST},
                      {"attendance", SQL_ATTENDANCE},
                      {"nobody", SQL_NOBODY},
                      {"new_epoch", SQL_NEW_EPOCH}};
    struct buf sql = {0};
    buf_printf(&sql, SQL_SESSION, (long long)store->config->lock_timeout_ms,
               (long long)store->config->database_timeout_ms, (long long)store->config->database_timeout_ms);
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        buf_printf(&sql, "; prepare %s as %s", statements[i].name, statements[i].sql);
    }
    int ok = command(store, sql.data, timeout_ms, e);
    buf_finish(&sql);
    return ok;
}

static int read_item_oid(struct store *store, int64_t timeout_ms, struct error *e)
{
    PGresult *r = db_exec(store->conn, "select 'parlor_item'::regtype::oid", 0, NULL, timeout_ms, e);
    if (r == NULL) {
        return -1;
    }
    store->batch.item_oid = (uint32_t)strtoul(PQgetvalue(r, 0, 0), NULL, 10);
    PQclear(r);
    return 0;
}

/* A batch of an earlier process may have been stored without its watermarks: the messages of the newest
 * seconds tell. It may fail (a right, a timeout): a watermark that is a message behind is no reason to stay
 * away. */
static void rederive_watermarks(struct store *store, int64_t timeout_ms)
{
    struct error e;
    if (command(store, SQL_REDERIVE, timeout_ms, &e) != 0) {
        log_warn("store", "the senders' read watermarks could not be rederived: %s", e.text);
    }
}

static int set_up(struct store *store, int64_t deadline_ns, struct error *e)
{
    char identity[DB_IDENTITY_SIZE];
    if (db_check(store->conn, clock_left_ms(deadline_ns), e) != 0 ||
        db_identity(store->conn, identity, clock_left_ms(deadline_ns), e) != 0 ||
        read_item_oid(store, clock_left_ms(deadline_ns), e) != 0 ||
        prepare_all(store, clock_left_ms(deadline_ns), e) != 0) {
        return -1;
    }
    if (!store->rederived) {
        store->rederived = true;
        rederive_watermarks(store, clock_left_ms(deadline_ns));
    }
    if (PQsetnonblocking(store->conn, 1) != 0 || PQenterPipelineMode(store->conn) != 1) {
        return db_error(store->conn, NULL, e);
    }
    return store_past_compare(store, identity, deadline_ns, e);
}

int store_connect(struct store *store, int64_t deadline_ns, struct error *e)
{
    struct error own;
    e = e != NULL ? e : &own;
    assert(!store->committing);
    if (alive(store)) {
        return 0;
    }
    store_disconnect(store);
    store_past_keep(store, false);
    int64_t timeout_ms = (deadline_ns - clock_mono_ns()) / 1000000;
    store->conn = db_connect(store->config->database_url, "parlor writer", timeout_ms, e);
    if (store->conn == NULL) {
        return -1;
    }
    if (set_up(store, deadline_ns, e) == 0) {
        return 0;
    }
    store_disconnect(store);
    /* Nothing of a batch was sent yet, so nothing is uncertain; and what is wrong with the database is not
     * the messages' fault. */
    e->code = ERROR_UNAVAILABLE;
    return -1;
}

bool store_connected(const struct store *store)
{
    return store->conn != NULL && PQstatus(store->conn) == CONNECTION_OK;
}

void store_end(struct store *store)
{
    store_past_keep(store, true);
}

void store_disconnect(struct store *store)
{
    PQfinish(store->conn);
    store->conn = NULL;
    store->committing = store->spoiled = false;
}

struct store *store_create(const struct config *config)
{
    struct store *store = mem_zalloc(1, sizeof(*store));
    store->config = config;
    store->own_reads = watermarks_create(OWN_READS_MAX);
    store->seen = watermarks_create(SEEN_MAX);
    store->flushed_ns = clock_mono_ns();
    store_past_load(store);
    return store;
}

void store_destroy(struct store **store)
{
    if (store == NULL || *store == NULL) {
        return;
    }
    struct store *s = *store;
    s->flushed_ns -= FLUSH_INTERVAL_NS;
    store_flush(s, clock_mono_ns() + FLUSH_INTERVAL_NS, NULL);
    store_disconnect(s);
    PQclear(s->kept);
    batch_finish(&s->batch);
    params_finish(&s->marks);
    watermarks_destroy(&s->own_reads);
    watermarks_destroy(&s->seen);
    free(s);
    *store = NULL;
}
