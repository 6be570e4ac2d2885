/* Two statements over the same arrays: one looks (who is in the room, which messages there are, what holds),
 * one moves what is behind and appends to the history. Senders' own watermarks that were not yet written go
 * before them in the same transaction, so that nobody is told less than what they have sent. */
#include "plugin/store_marks.h"

#include "plugin/store_run.h"
#include "plugin/store_sql.h"

#include <string.h>

static void add_target_ids(struct params *p, const struct store_mark *marks, size_t count, bool delivered)
{
    params_begin(p, PARAMS_UUID, count);
    for (size_t i = 0; i < count; i++) {
        const struct mark_target *target = delivered ? &marks[i].delivered : &marks[i].read;
        if (target->has_message) {
            params_add_uuid(p, &target->message);
        } else {
            params_add_null(p, PARAMS_UUID);
        }
    }
}

static void add_target_seqs(struct params *p, const struct store_mark *marks, size_t count, bool delivered)
{
    params_begin(p, PARAMS_INT8, count);
    for (size_t i = 0; i < count; i++) {
        params_add_int(p, delivered ? marks[i].delivered.seq : marks[i].read.seq);
    }
}

static void fill(struct params *p, const struct store_mark *marks, size_t count, int64_t at_ms)
{
    params_clear(p);
    params_begin(p, PARAMS_UUID, count);
    for (size_t i = 0; i < count; i++) {
        params_add_uuid(p, &marks[i].room);
    }
    params_begin(p, PARAMS_TEXT, count);
    for (size_t i = 0; i < count; i++) {
        params_add_text(p, marks[i].user, strlen(marks[i].user));
    }
    add_target_seqs(p, marks, count, false);
    add_target_ids(p, marks, count, false);
    add_target_seqs(p, marks, count, true);
    add_target_ids(p, marks, count, true);
    params_begin(p, PARAMS_TIME, count);
    for (size_t i = 0; i < count; i++) {
        params_add_time(p, at_ms);
    }
}

enum look_column { LOOK_READ_SEQ, LOOK_DELIVERED_SEQ, LOOK_READ_FOUND, LOOK_DELIVERED_FOUND };

static void take_looks(struct store_mark *marks, size_t count, const PGresult *r)
{
    for (size_t i = 0; i < count; i++) {
        struct store_mark *mark = &marks[i];
        int row = (int)i;
        mark->moved = false;
        mark->member = !PQgetisnull(r, row, LOOK_READ_SEQ);
        if (!mark->member) {
            continue;
        }
        mark->read_seq = params_read_int(PQgetvalue(r, row, LOOK_READ_SEQ));
        mark->delivered_seq = params_read_int(PQgetvalue(r, row, LOOK_DELIVERED_SEQ));
        mark->read.missing = mark->read.has_message && PQgetisnull(r, row, LOOK_READ_FOUND);
        mark->delivered.missing = mark->delivered.has_message && PQgetisnull(r, row, LOOK_DELIVERED_FOUND);
    }
}

enum moved_column { MOVED_N, MOVED_READ_SEQ, MOVED_DELIVERED_SEQ };

static int take_moved(struct store *store, struct store_mark *marks, size_t count, const PGresult *r,
                      struct error *e)
{
    for (int row = 0; row < PQntuples(r); row++) {
        int64_t n = params_read_int(PQgetvalue(r, row, MOVED_N));
        if (n < 1 || n > (int64_t)count) {
            return store_drop(store, e, "a mark came back that was not sent");
        }
        struct store_mark *mark = &marks[n - 1];
        mark->moved = true;
        mark->read_seq = params_read_int(PQgetvalue(r, row, MOVED_READ_SEQ));
        mark->delivered_seq = params_read_int(PQgetvalue(r, row, MOVED_DELIVERED_SEQ));
    }
    return 0;
}

static int take(struct store *store, struct store_mark *marks, size_t count,
                const struct store_answer *answer, struct error *e)
{
    const PGresult *looks = answer->count < 2 ? NULL : answer->results[answer->count - 2];
    if (looks == NULL || (size_t)PQntuples(looks) != count) {
        return store_drop(store, e, "marks were missing");
    }
    take_looks(marks, count, looks);
    return take_moved(store, marks, count, answer->results[answer->count - 1], e);
}

int store_marks(struct store *store, struct store_mark *marks, size_t count, int64_t at_ms,
                int64_t deadline_ns, struct error *e)
{
    struct store_answer answer;
    if (store_connect(store, deadline_ns, e) != 0) {
        return -1;
    }
    bool own = watermarks_count(store->own_reads) > 0;
    fill(&store->marks, marks, count, at_ms);
    if (own) {
        store_fill_watermarks(&store->batch.items, store->own_reads, true);
    }
    if ((own && !store_send(store, "watermarks", &store->batch.items)) ||
        !store_send(store, "marks_look", &store->marks) || !store_send(store, "marks_move", &store->marks)) {
        return store_lost(store, e, "the connection broke");
    }
    int ok = store_commit(store, own ? 3 : 2, deadline_ns, &answer, e);
    if (ok == 0) {
        watermarks_clear(store->own_reads);
        ok = take(store, marks, count, &answer, e);
    } else if (answer.refusal != NULL) {
        ok = store_refused(store, answer.refusal, e);
    }
    store_answer_clear(&answer);
    return ok;
}
