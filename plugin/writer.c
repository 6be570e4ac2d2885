/* The thread, what comes to it, and who is told what. How batches are stored, and what becomes of those that
 * fail, is in writer_batch.c; receipts and presence are in writer_live.c.
 *
 * While the database runs a batch's statements, this thread answers the senders of the one before. All else
 * (receipts, presence, rooms that were busy, watermarks) is done when no batch is under way. */
#include "plugin/writer.h"

#include "core/clock.h"
#include "core/log.h"
#include "plugin/writer_parts.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define QUEUED_TROUBLE_NS (300 * NS_PER_MS)
#define LOCK_TRIES        10
#define IDLE_NS           (1000 * NS_PER_MS)
#define REFUSALS_MAX      16384

void writer_item_done(struct writer *w, struct item *item)
{
    w->doubtful -= item->uncertain;
    queue_release(w->items, 1, item->node.bytes);
    item_destroy(&item);
}

/* Answers: collected, then pushed in one go. */

void writer_answer(struct writer *w, struct result *result)
{
    *w->answers_end = &result->node;
    w->answers_end = &result->node.next;
}

void writer_push(struct writer *w)
{
    if (w->answers == NULL)
        return;
    queue_push_all(w->results, w->answers);
    w->answers = NULL;
    w->answers_end = &w->answers;
    w->wake(w->context);
}

int writer_prepare(struct writer *w, struct item *item, struct error *e)
{
    if (item->prepared)
        return 0;
    draft_finish(&item->draft); /* what could be read of a bad one, at an earlier look */
    int ok = draft_parse(item->payload, item->payload_size, w->config, &item->draft, e);
    if (ok != 0)
        return ok;
    item->prepared = true;
    int64_t now_ms = clock_wall_ms();
    uuid_make(&item->id, now_ms);
    item->created_at_ms = now_ms;
    if (item->draft.client_message_id[0] != '\0')
        return 0;
    size_t size = strlen(item->fallback_id);
    item->nameless = true;
    if (client_message_id_valid(item->fallback_id, size)) {
        memcpy(item->draft.client_message_id, item->fallback_id, size + 1);
    } else {
        struct uuid made;
        uuid_make(&made, now_ms);
        uuid_format(&made, item->draft.client_message_id);
    }
    return 0;
}

/* Answers the item, which is gone then. */
void writer_reject(struct writer *w, struct item *item, const struct error *why)
{
    struct error ignored;
    writer_prepare(w, item, &ignored); /* for its clientMessageId */
    buf_clear(&w->body);
    buf_clear(&w->ack);
    const char *id = item->draft.client_message_id;
    if (item->link == LINK_NONE) /* a sender knows no id but its own */
        ack_print_rejected(&w->ack, id[0] == '\0' || item->nameless ? NULL : id, why);
    buf_put_text(&w->body, why->text);
    struct result *result = result_make(RESULT_REJECTED, item, why->word, &w->body, &w->ack);
    result->code = why->code;
    writer_answer(w, result);
    writer_item_done(w, item);
}

void writer_doubt(struct writer *w, struct item *item)
{
    if (item->uncertain)
        return;
    if (w->doubtful++ == 0)
        kinds_clear(&w->doubts);
    item->uncertain = true;
    kinds_add(&w->doubts, item);
}

/* Has it an id, so that it can be told whether another is like it? A payload that can't be read may have
 * none. */
static bool is_named(struct writer *w, struct item *item)
{
    struct error ignored;
    writer_prepare(w, item, &ignored);
    return item->draft.client_message_id[0] != '\0';
}

bool writer_in_doubt(struct writer *w, struct item *item)
{
    if (!item->uncertain && w->doubtful > 0 && is_named(w, item) && kinds_has(&w->doubts, item))
        writer_doubt(w, item);
    return item->uncertain;
}

/* One that was refused on its way here while its first try may yet be stored: that one's answer is for both.
 * A parlord is told, for it waits for each and knows which was the first. */
static void reject_refused(struct writer *w, struct item *item)
{
    struct error why;
    error_set(&why, item->code, item->word, "%s", item->text);
    atomic_fetch_sub(&w->refusals, 1);
    if (item->kind == ITEM_SEND && item->link == LINK_NONE && writer_in_doubt(w, item))
        writer_item_done(w, item);
    else
        writer_reject(w, item, &why);
}

/* Was it sent again, and will that one be tried, as of the last look? Its answer is for both then. */
static bool comes_again(struct writer *w, struct item *item)
{
    return item->link == LINK_NONE && w->again.count > 0 && is_named(w, item) && kinds_has(&w->again, item);
}

void writer_turn_away(struct writer *w, struct item *item, const char *word, const char *text)
{
    struct error why;
    error_set(&why, ERROR_UNAVAILABLE, word, "%s", text);
    if (comes_again(w, item))
        writer_item_done(w, item);
    else
        writer_reject(w, item, &why);
}

void writer_reject_unavailable(struct writer *w, struct item *item)
{
    writer_turn_away(w, item, "unavailable",
                     "the message was not stored: the database does not answer; send it again in a while");
}

/* Takes over what has arrived; refused items are answered at once. */
void writer_intake(struct writer *w)
{
    struct queue_node *node = queue_take(w->items);
    while (node != NULL) {
        struct item *item = item_of(node);
        node = node->next;
        if (item->word != NULL)
            reject_refused(w, item);
        else if (item->kind == ITEM_PRESENCE)
            writer_take_presence(w, item);
        else if (item->kind != ITEM_SEND)
            receipts_add(w->receipts, item);
        else
            item_list_put(&w->waiting, item);
    }
}

static bool is_aged(const struct writer *w, const struct item *item)
{
    return w->looked_ns - item->arrived_ns > QUEUED_TROUBLE_NS;
}

bool writer_is_held(struct writer *w, struct item *item)
{
    return w->held.count > 0 && is_named(w, item) && kinds_has(&w->held, item);
}

/* A parlord's is no answer to a sender by MQTT. */
static void note_again(struct writer *w, struct item *item)
{
    if (item->link == LINK_NONE && is_named(w, item))
        kinds_add(&w->again, item);
}

void writer_look_again(struct writer *w, bool in_trouble)
{
    w->looked_ns = clock_mono_ns();
    kinds_clear(&w->again);
    for (struct item *item = w->waiting.first; item != NULL; item = item_next(item))
        if (!in_trouble || !is_aged(w, item) || writer_is_held(w, item))
            note_again(w, item);
    for (struct parked_room *room = w->parked.rooms; room < w->parked.rooms + w->parked.count; room++)
        for (struct item *item = room->items.first; item != NULL; item = item_next(item))
            if (!writer_parked_too_long(w, item) || writer_is_held(w, item))
                note_again(w, item);
}

/* What has waited for too long while the database was in trouble. */
static void reject_aged(struct writer *w)
{
    struct item_list kept = {0};
    while (w->waiting.first != NULL && is_aged(w, w->waiting.first)) {
        struct item *item = item_list_pop(&w->waiting);
        if (writer_in_doubt(w, item) || writer_is_held(w, item))
            item_list_put(&kept, item);
        else
            writer_reject_unavailable(w, item);
    }
    item_list_put_before(&w->waiting, &kept);
}

/* State of the database, as far as the writer knows. */

void writer_database_is_up(struct writer *w)
{
    w->complaint[0] = '\0';
    if (!atomic_exchange(&w->up, true)) {
        log_info("writer", "the database answers: messages are stored");
        w->wake(w->context);
    }
}

void writer_database_is_down(struct writer *w, const struct error *e)
{
    if (strcmp(w->complaint, e->word) != 0) {
        memcpy(w->complaint, e->word, sizeof w->complaint);
        log_error("writer", "can't store messages, senders are told `unavailable`: %s (%s)", e->text,
                  e->word);
    }
    if (atomic_exchange(&w->up, false))
        w->wake(w->context);
}

void writer_in_trouble(struct writer *w, const struct error *e)
{
    writer_database_is_down(w, e);
    writer_intake(w);
    writer_look_again(w, true);
    reject_aged(w);
    writer_push(w);
}

bool writer_out_of_time(const struct writer *w)
{
    return atomic_load(&w->stopping) && clock_mono_ns() >= atomic_load(&w->stop_ns);
}

int64_t writer_commit_deadline(const struct writer *w)
{
    int64_t deadline_ns = clock_mono_ns() + w->commit_ns;
    if (atomic_load(&w->stopping) && deadline_ns > atomic_load(&w->stop_ns))
        deadline_ns = atomic_load(&w->stop_ns);
    return deadline_ns;
}

/* Nothing to store: writes watermarks, looks whether a database that was away is back. */
static void idle(struct writer *w)
{
    struct error e = {0};
    if (!store_connected(w->store)) {
        if (store_connect(w->store, writer_commit_deadline(w), &e) == 0)
            writer_database_is_up(w);
        else
            writer_in_trouble(w, &e);
        return;
    }
    if (store_flush(w->store, writer_commit_deadline(w), &e) != 0 && !store_connected(w->store))
        writer_in_trouble(w, &e);
}

static void abandon_all(struct writer *w)
{
    writer_intake(w);
    for (size_t i = 0; i < w->parked.count; i++)
        while (w->parked.rooms[i].items.first != NULL)
            item_list_put(&w->waiting, item_list_pop(&w->parked.rooms[i].items));
    while (w->waiting.first != NULL) {
        struct item *item = item_list_pop(&w->waiting);
        writer_abandon(w, &item, 1);
    }
    writer_push(w);
}

static bool anything_waits(const struct writer *w)
{
    return w->waiting.first != NULL || w->parked.count > 0 || !queue_empty(w->items);
}

/* Whatever needs the connection for itself, or a time at which no batch is under way. */
static bool chores_due(const struct writer *w)
{
    int64_t now_ns = clock_mono_ns();
    return now_ns >= writer_parked_due_ns(w) || now_ns >= receipts_due_ns(w->receipts) ||
           now_ns >= attendance_due_ns(w->attendance) || store_flush_due(w->store) ||
           atomic_load(&w->stopping);
}

/* Stores what there is, and leaves the last batch's commit under way unless something else is due; false when
 * there was nothing to store. */
static bool one_turn(struct writer *w)
{
    writer_intake(w);
    bool busy = writer_store_next(w);
    if (w->committing != NULL && !chores_due(w))
        return true;
    writer_land(w);
    if (w->parked.count > 0)
        writer_retry_parked(w);
    writer_store_receipts(w);
    writer_store_presence(w);
    return busy || w->waiting.first != NULL;
}

/* When there is something to do, unless something comes before. */
static int64_t wait_until(const struct writer *w)
{
    int64_t until_ns = clock_mono_ns() + IDLE_NS;
    if (writer_parked_due_ns(w) < until_ns)
        until_ns = writer_parked_due_ns(w);
    if (receipts_due_ns(w->receipts) < until_ns)
        until_ns = receipts_due_ns(w->receipts);
    if (store_connected(w->store) && attendance_due_ns(w->attendance) < until_ns)
        until_ns = attendance_due_ns(w->attendance);
    return until_ns;
}

static void *writer_run(void *context)
{
    struct writer *w = context;
    for (;;) {
        bool busy = one_turn(w);
        if (atomic_load(&w->stopping) && (!anything_waits(w) || writer_out_of_time(w)))
            break;
        if (busy && (anything_waits(w) || w->committing != NULL))
            continue;
        if (!busy && atomic_load(&w->stopping))
            writer_pause(); /* for rooms that are busy: the queue is closed and waits for nobody */
        else if (!busy)
            queue_wait(w->items, wait_until(w));
        if (!anything_waits(w) && !atomic_load(&w->stopping))
            idle(w);
    }
    writer_land(w); /* time may have run out beside a commit */
    writer_finish_receipts(w);
    writer_end_presence(w);
    abandon_all(w);
    store_end(w->store);
    if (w->abandoned > 0)
        log_error("writer",
                  "%zu accepted messages were not stored before the end: their senders have no answer",
                  w->abandoned);
    return NULL;
}

static int start_thread(struct writer *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&w->thread, NULL, writer_run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static void writer_free(struct writer *w)
{
    store_destroy(&w->store);
    receipts_destroy(&w->receipts);
    attendance_destroy(&w->attendance);
    queue_destroy(&w->items);
    buf_finish(&w->body);
    buf_finish(&w->ack);
    writer_finish_batches(w);
    free(w);
}

static struct writer *writer_make(const struct config *config)
{
    struct writer *w = mem_zalloc(1, sizeof *w);
    w->config = config;
    w->store_config = *config;
    w->store_config.lock_timeout_ms =
        config->lock_timeout_ms / LOCK_TRIES > 0 ? config->lock_timeout_ms / LOCK_TRIES : 1;
    w->store = store_create(&w->store_config);
    w->items = queue_create((size_t)config->queue_messages_max, (size_t)config->queue_bytes_max);
    w->commit_ns = config->database_timeout_ms * NS_PER_MS * 3 / 4;
    writer_init_batches(w);
    w->answers_end = &w->answers;
    w->attendance = attendance_create();
    w->receipts = writer_make_receipts(w);
    return w;
}

int writer_start(const struct config *config, int64_t connect_ms, struct queue *results, writer_wake_fn wake,
                 void *context, struct writer **out, struct error *e)
{
    struct writer *w = writer_make(config);
    struct error failed = {0};
    w->results = results;
    w->wake = wake;
    w->context = context;
    if (store_connect(w->store, clock_mono_ns() + connect_ms * NS_PER_MS, &failed) == 0) {
        atomic_store(&w->up, true);
    } else if (strncmp(failed.word, "schema_", 7) == 0 || strcmp(failed.word, "unsafe_database") == 0 ||
               failed.code == ERROR_INVALID) {
        writer_free(w);
        return error_set(e, ERROR_INVALID, failed.word, "%s", failed.text);
    } else {
        writer_database_is_down(w, &failed);
    }
    if (start_thread(w) != 0) {
        writer_free(w);
        return error_set(e, ERROR_INTERNAL, "no_thread", "can't start the writer's thread");
    }
    *out = w;
    return 0;
}

void writer_stop(struct writer **writer, int64_t timeout_ms)
{
    if (writer == NULL || *writer == NULL)
        return;
    struct writer *w = *writer;
    atomic_store(&w->stop_ns, clock_mono_ns() + timeout_ms * NS_PER_MS);
    atomic_store(&w->stopping, true);
    queue_close(w->items);
    pthread_join(w->thread, NULL);
    writer_free(w);
    *writer = NULL;
}

bool writer_submit(struct writer *w, struct item *item)
{
    return queue_push(w->items, &item->node);
}

void writer_wake(struct writer *w)
{
    queue_wake(w->items);
}

void writer_refuse(struct writer *w, struct item *item)
{
    if (atomic_fetch_add(&w->refusals, 1) >= REFUSALS_MAX) {
        atomic_fetch_sub(&w->refusals, 1);
        item_destroy(&item);
        return;
    }
    item->node.next = NULL;
    queue_push_all(w->items, &item->node);
}

bool writer_database_up(const struct writer *w)
{
    return atomic_load(&w->up);
}
