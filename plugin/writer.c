/* The time limits are one design. A sender must have an answer within two seconds whatever the database does,
 * and what may have been stored must never be called rejected:
 *
 * - A commit gets three quarters of database_timeout_ms. When it passes without an answer, the batch's fate
 *   is unknown: its messages are marked uncertain and the same batch is tried again until the database tells
 *   (its ids are in it or not). Nobody is told anything until then: `rejected` might be a lie, and a message
 *   that was committed must still be fanned out, in its order.
 * - What waits behind such a batch, or while the database is away, has certainly not been stored. Before each
 *   new try everything that waits longer than QUEUED_TROUBLE_NS is rejected as `unavailable`. The longest
 *   wait is then QUEUED_TROUBLE_NS and one commit timeout.
 * - A room whose row is locked by somebody makes its batch `busy` after LOCK_TRIES_th of lock_timeout_ms. The
 *   batch is then done again room by room, and the room that is busy is parked: its messages wait apart, in
 *   order, and are tried again every RETRY_PARKED_NS until they are lock_timeout_ms old. All others go on.
 * - A batch with data that the server refuses (`poison`) is halved until the culprit stands alone.
 *
 * Each room's messages leave in the order of their seqs: there is one writer, seqs are given in the order of
 * the batch, splitting keeps the order within a room, and results go through one queue to one thread. */
#include "plugin/writer.h"

#include "core/clock.h"
#include "core/log.h"
#include "plugin/writer_parts.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUEUED_TROUBLE_NS (300 * NS_PER_MS)
#define HELD_TROUBLE_NS   (1000 * NS_PER_MS) /* a batch that was certainly not stored waits so long */
#define PAUSE_MS          50                 /* between tries */
#define LOCK_TRIES        10
#define RETRY_PARKED_NS   (250 * NS_PER_MS)
#define IDLE_NS           (1000 * NS_PER_MS)
#define REFUSALS_MAX      16384
#define BATCH_BYTES_MAX   (8 * 1024 * 1024)

void writer_item_done(struct writer *w, struct item *item)
{
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

/* Parses the item's payload, once. 0, or -1 with e. */
static int prepare(struct writer *w, struct item *item, struct error *e)
{
    if (item->prepared)
        return 0;
    item->prepared = true;
    int ok = draft_parse(item->payload, item->payload_size, w->config, &item->draft, e);
    if (ok != 0)
        return ok;
    int64_t now_ms = clock_wall_ms();
    uuid_make(&item->id, now_ms);
    item->created_at_ms = now_ms;
    if (item->draft.client_message_id[0] != '\0')
        return 0;
    size_t size = strlen(item->fallback_id);
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
    prepare(w, item, &ignored); /* for its clientMessageId */
    buf_clear(&w->body);
    buf_clear(&w->ack);
    const char *id = item->draft.client_message_id;
    if (item->link == LINK_NONE)
        ack_print_rejected(&w->ack, id[0] == '\0' ? NULL : id, why);
    buf_put_text(&w->body, why->text);
    struct result *result = result_make(RESULT_REJECTED, item, why->word, &w->body, &w->ack);
    result->code = why->code;
    writer_answer(w, result);
    writer_item_done(w, item);
}

static void reject_refused(struct writer *w, struct item *item)
{
    struct error why;
    error_set(&why, item->code, item->word, "%s", item->text);
    atomic_fetch_sub(&w->refusals, 1);
    writer_reject(w, item, &why);
}

static void reject_unavailable(struct writer *w, struct item *item)
{
    struct error why;
    error_set(&why, ERROR_UNAVAILABLE, "unavailable",
              "the message was not stored: the database does not answer; send it again in a while");
    writer_reject(w, item, &why);
}

/* Takes over what has arrived; refused items are answered at once. */
static void intake(struct writer *w)
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

static void reject_aged(struct writer *w)
{
    int64_t now_ns = clock_mono_ns();
    while (w->waiting.first != NULL && now_ns - w->waiting.first->arrived_ns > QUEUED_TROUBLE_NS)
        reject_unavailable(w, item_list_pop(&w->waiting));
}

/* Rooms that are busy. */

static void reject_busy(struct writer *w, struct item *item)
{
    struct error why;
    error_set(&why, ERROR_UNAVAILABLE, "busy", "the room is busy; send the message again in a while");
    writer_reject(w, item, &why);
}

/* Parks the items, all of one room, before any others of the room that are parked. */
static void park(struct writer *w, struct item **items, size_t count)
{
    struct parked_room *parked = parked_make(&w->parked, &items[0]->room);
    for (size_t i = count; i-- > 0;) {
        if (parked != NULL)
            item_list_put_back(&parked->items, items[i]);
        else if (!items[i]->uncertain)
            reject_busy(w, items[i]);
        else
            item_list_put_back(&w->waiting, items[i]);
    }
    if (parked != NULL)
        parked->retry_ns = clock_mono_ns() + RETRY_PARKED_NS;
}

/* Rejects what is parked for too long; what may have been stored stays. */
static void reject_parked(struct writer *w)
{
    int64_t now_ns = clock_mono_ns(), max_ns = w->config->lock_timeout_ms * NS_PER_MS;
    for (struct parked_room *parked = w->parked.rooms; parked < w->parked.rooms + w->parked.count; parked++) {
        struct item_list kept = {0};
        while (parked->items.first != NULL) {
            struct item *item = item_list_pop(&parked->items);
            if (item->uncertain || now_ns - item->arrived_ns <= max_ns)
                item_list_put(&kept, item);
            else
                reject_busy(w, item);
        }
        parked->items = kept;
    }
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

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * NS_PER_MS}, NULL);
}

/* The batch. */

static void deliver(struct writer *w, struct item *item, const struct store_item *row)
{
    if (row->outcome == STORE_REJECTED) {
        writer_reject(w, item, &row->error);
        return;
    }
    bool replayed = row->outcome == STORE_REPLAYED;
    trace_stored(item, row->message.seq, replayed);
    buf_clear(&w->body);
    buf_clear(&w->ack);
    message_print(&w->body, &row->message);
    if (item->link == LINK_NONE)
        ack_print_stored(&w->ack, item->draft.client_message_id, &row->message.id, &item->room,
                         row->message.seq, row->message.created_at_ms);
    struct result *result =
        result_make(replayed ? RESULT_REPLAYED : RESULT_STORED, item, "", &w->body, &w->ack);
    result->seq = row->message.seq;
    result->committed_ns = w->committed_ns;
    writer_answer(w, result);
    writer_item_done(w, item);
}

static int try_store(struct writer *w, struct item **items, size_t count, struct error *e)
{
    for (size_t i = 0; i < count; i++)
        w->rows[i] = (struct store_item){.room = items[i]->room,
                                         .user = items[i]->user,
                                         .draft = &items[i]->draft,
                                         .id = items[i]->id,
                                         .created_at_ms = items[i]->created_at_ms};
    *e = (struct error){0};
    int64_t from_ns = clock_mono_ns();
    if (store_batch(w->store, w->rows, count, writer_commit_deadline(w), e) != 0) {
        metric_add(&w->stats.failed, 1);
        return -1;
    }
    w->committed_ns = clock_mono_ns();
    metric_note(&w->stats.batch, &metric_sizes, (int64_t)count);
    metric_note(&w->stats.commit, &metric_seconds, w->committed_ns - from_ns);
    return 0;
}

/* Rejects those of a batch that were certainly not stored and have waited long; returns how many stay. */
static size_t reject_held(struct writer *w, struct item **items, size_t count)
{
    size_t kept = 0;
    int64_t now_ns = clock_mono_ns();
    for (size_t i = 0; i < count; i++) {
        if (items[i]->uncertain || now_ns - items[i]->arrived_ns <= HELD_TROUBLE_NS)
            items[kept++] = items[i];
        else
            reject_unavailable(w, items[i]);
    }
    return kept;
}

static void store_group(struct writer *w, struct item **items, size_t count);

static void store_halves(struct writer *w, struct item **items, size_t count, const struct error *e)
{
    if (count > 1) {
        store_group(w, items, count / 2);
        store_group(w, items + count / 2, count - count / 2);
        return;
    }
    struct error why;
    trace_refused("writer", "message", items[0], e->text);
    error_set(&why, ERROR_INVALID, "invalid_message", "the database refused this message");
    writer_reject(w, items[0], &why);
}

static void store_rooms(struct writer *w, struct item **items, size_t count)
{
    while (count > 0) {
        size_t part = item_gather_room(items, count);
        store_group(w, items, part);
        items += part;
        count -= part;
    }
}

/* After a failed try: answers who can be answered; returns how many are to be tried again. */
static size_t hold(struct writer *w, struct item **items, size_t count, const struct error *e)
{
    if (e->code == ERROR_UNCERTAIN)
        for (size_t i = 0; i < count; i++)
            items[i]->uncertain = true;
    writer_database_is_down(w, e);
    count = reject_held(w, items, count);
    intake(w);
    reject_aged(w);
    reject_parked(w);
    writer_push(w);
    return count;
}

static void abandon(struct writer *w, struct item **items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        writer_item_done(w, items[i]);
    w->abandoned += count;
}

/* Stores the items, however often it has to be tried, and answers each. */
static void store_group(struct writer *w, struct item **items, size_t count)
{
    struct error e;
    while (count > 0) {
        if (writer_out_of_time(w)) {
            abandon(w, items, count);
            return;
        }
        if (try_store(w, items, count, &e) == 0) {
            writer_database_is_up(w);
            for (size_t i = 0; i < count; i++)
                deliver(w, items[i], &w->rows[i]);
            writer_push(w);
            return;
        }
        if (e.code == ERROR_INVALID && strcmp(e.word, "poison") == 0) {
            store_halves(w, items, count, &e);
            return;
        }
        if (strcmp(e.word, "busy") == 0) {
            if (item_gather_room(items, count) < count)
                store_rooms(w, items, count);
            else
                park(w, items, count);
            return;
        }
        count = hold(w, items, count, &e);
        if (count > 0)
            pause_a_little();
    }
}

/* Takes the next batch from the list; it ends before a second item with the same room, sender and
 * clientMessageId. With divert, what belongs to a parked room is parked behind it. */
static size_t compose(struct writer *w, struct item_list *list, bool divert)
{
    size_t count = 0, bytes = 0;
    struct error e;
    kinds_clear(&w->kinds);
    while (list->first != NULL && count < w->batch_max && bytes < BATCH_BYTES_MAX) {
        struct item *item = list->first;
        struct parked_room *parked = divert ? parked_find(&w->parked, &item->room) : NULL;
        if (prepare(w, item, &e) != 0) {
            writer_reject(w, item_list_pop(list), &e);
            continue;
        }
        if (parked != NULL) {
            item_list_put(&parked->items, item_list_pop(list));
            continue;
        }
        if (!kinds_add(&w->kinds, item))
            break;
        bytes += item->node.bytes;
        w->batch[count++] = item_list_pop(list);
    }
    return count;
}

/* Tries the parked rooms whose time has come; forgets those with nothing left. */
static void retry_parked(struct writer *w)
{
    reject_parked(w);
    for (size_t i = 0; i < w->parked.count; i++) {
        struct parked_room *parked = &w->parked.rooms[i];
        if (parked->items.first != NULL && clock_mono_ns() >= parked->retry_ns)
            store_group(w, w->batch, compose(w, &parked->items, false));
        if (parked->items.first == NULL)
            *parked = w->parked.rooms[--w->parked.count];
    }
    writer_push(w);
}

/* Nothing to store: writes watermarks, looks whether a database that was away is back. */
static void idle(struct writer *w)
{
    struct error e = {0};
    if (!store_connected(w->store)) {
        if (store_connect(w->store, writer_commit_deadline(w), &e) == 0)
            writer_database_is_up(w);
        else
            writer_database_is_down(w, &e);
        return;
    }
    if (store_flush(w->store, writer_commit_deadline(w), &e) != 0 && !store_connected(w->store))
        writer_database_is_down(w, &e);
}

static void abandon_all(struct writer *w)
{
    intake(w);
    for (size_t i = 0; i < w->parked.count; i++)
        while (w->parked.rooms[i].items.first != NULL)
            item_list_put(&w->waiting, item_list_pop(&w->parked.rooms[i].items));
    while (w->waiting.first != NULL) {
        struct item *item = item_list_pop(&w->waiting);
        abandon(w, &item, 1);
    }
    writer_push(w);
}

static bool anything_waits(const struct writer *w)
{
    return w->waiting.first != NULL || w->parked.count > 0 || !queue_empty(w->items);
}

/* Stores what there is; false when there was nothing to store. */
static bool one_turn(struct writer *w)
{
    intake(w);
    size_t count = compose(w, &w->waiting, true);
    writer_push(w);
    store_group(w, w->batch, count);
    if (w->parked.count > 0)
        retry_parked(w);
    writer_store_receipts(w);
    writer_store_presence(w);
    return count > 0 || w->waiting.first != NULL;
}

/* When there is something to do, unless something comes before. */
static int64_t wait_until(const struct writer *w)
{
    int64_t until_ns = clock_mono_ns() + (w->parked.count > 0 ? PAUSE_MS * NS_PER_MS : IDLE_NS);
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
        if (busy && anything_waits(w))
            continue;
        if (!busy)
            queue_wait(w->items, wait_until(w));
        if (!anything_waits(w) && !atomic_load(&w->stopping))
            idle(w);
    }
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
    free(w->batch);
    free(w->rows);
    kinds_finish(&w->kinds);
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
    w->batch_max = (size_t)config->batch_max;
    w->batch = mem_zalloc(w->batch_max, sizeof w->batch[0]);
    w->rows = mem_zalloc(w->batch_max, sizeof w->rows[0]);
    kinds_init(&w->kinds, w->batch_max);
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
