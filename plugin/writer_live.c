/* Receipts and presence: what the writer stores beside messages, in its pauses. */
#include "core/clock.h"
#include "core/log.h"
#include "plugin/writer_parts.h"

#include <string.h>

void writer_take_presence(struct writer *w, struct item *item)
{
    attendance_note(w->attendance, item->user, item->request != 0, item->created_at_ms);
    writer_item_done(w, item);
}

/* Receipts: given back by the collection of what was marked. */

static void on_refused(void *self, struct item *item, const struct error *why)
{
    writer_reject(self, item, why);
}

static void on_marked(void *self, struct item *item, const struct store_mark *mark, const struct buf *json)
{
    struct writer *w = self;
    trace_marked(item, mark->read_seq, mark->delivered_seq);
    if (item->link != LINK_NONE) {
        buf_clear(&w->ack);
        struct result *result = result_make(RESULT_MARKED, item, "", json, &w->ack);
        result->seq = mark->read_seq;
        writer_answer(w, result);
    }
    writer_item_done(w, item);
}

static void on_moved(void *self, const struct item *item, const struct store_mark *mark,
                     const struct buf *json)
{
    struct writer *w = self;
    buf_clear(&w->ack);
    struct result *result = result_make(RESULT_RECEIPT, item, "", json, &w->ack);
    result->link = LINK_NONE;
    result->request = 0;
    result->seq = mark->read_seq;
    writer_answer(w, result);
}

struct receipts *writer_make_receipts(struct writer *w)
{
    return receipts_create(&(struct receipts_owner){w, on_refused, on_marked, on_moved});
}

/* Stores the receipts whose time has come. A busy one is no outage. */
void writer_store_receipts(struct writer *w)
{
    struct error e = {0};
    if (clock_mono_ns() < receipts_due_ns(w->receipts))
        return;
    if (receipts_store(w->receipts, w->store, writer_commit_deadline(w), &e) == 0)
        writer_database_is_up(w);
    else if (strcmp(e.word, "busy") != 0)
        writer_in_trouble(w, &e);
    writer_push(w);
}

/* It only says who is online: it waits as long as the database is away. */
void writer_store_presence(struct writer *w)
{
    struct error e = {0};
    if (clock_mono_ns() < attendance_due_ns(w->attendance) || !store_connected(w->store) ||
        attendance_store(w->attendance, w->store, writer_commit_deadline(w), &e) == 0)
        return;
    log_warn("writer", "presence could not be stored: %s", e.text);
    if (!store_connected(w->store))
        writer_in_trouble(w, &e);
}

/* The broker ends: nobody is online. */
void writer_end_presence(struct writer *w)
{
    struct error ignored;
    if (store_connected(w->store) && !writer_out_of_time(w))
        store_nobody(w->store, writer_commit_deadline(w), &ignored);
}

/* At the end: once more, then the rest is refused. */
void writer_finish_receipts(struct writer *w)
{
    struct error e = {0};
    if (!receipts_empty(w->receipts) && !writer_out_of_time(w))
        receipts_store(w->receipts, w->store, writer_commit_deadline(w), &e);
    error_set(&e, ERROR_UNAVAILABLE, "unavailable", "the broker is going down; send it again in a while");
    receipts_refuse_all(w->receipts, &e);
    writer_push(w);
}

void writer_note_presence(struct writer *w, const char *user, bool online, int64_t since_ms)
{
    struct item *item = item_make(user, strlen(user), "", 0, "", 0);
    item->kind = ITEM_PRESENCE;
    item->request = online;
    item->created_at_ms = since_ms;
    item->node.next = NULL;
    queue_push_all(w->items, &item->node);
}

const struct writer_stats *writer_stats(const struct writer *w)
{
    return &w->stats;
}

size_t writer_queued(const struct writer *w)
{
    return queue_count(w->items);
}
