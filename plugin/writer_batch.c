/* How batches are stored, and who is told what when that fails.
 *
 * A batch goes in three steps (store.h). While it commits, the next one gathers; when the commit is complete,
 * the next one's statements are sent first, and then its own senders are answered while the database works.
 * When there are BEHIND_MIN messages or a whole batch as the commit begins, the next one does not gather: its
 * statements are sent behind the commit, so that the database goes from one to the other. Should that
 * commit's fate be unknown, the batch behind it was not stored: its messages wait again, before all others.
 *
 * The time limits are one design. A sender must have an answer within about two seconds whatever the database
 * does, and what may have been stored must never be called rejected:
 *
 * - A commit gets three quarters of database_timeout_ms. When it passes without an answer, the batch's fate
 *   is unknown: its messages are marked uncertain and the same batch is tried again until the database tells
 *   (its ids are in it or not). Nobody is told anything until then: `rejected` might be a lie, and a message
 *   that was committed must still be fanned out, in its order. What its sender, or the library under it,
 * sends again meanwhile is as uncertain: one answer is believed of both.
 * - What waits behind such a batch, or while the database is away, has certainly not been stored. Before each
 *   new try of anything, receipts and presence too, everything that waits longer than QUEUED_TROUBLE_NS is
 *   rejected as `unavailable`; one that was sent again has the answer of the newest, and one whose like is
 *   held waits with it. The longest wait is then QUEUED_TROUBLE_NS and one commit timeout, or two where a
 *   commit took nearly the first before the database hung.
 * - A room whose row is locked by somebody makes its batch `busy` after LOCK_TRIES_th of lock_timeout_ms. The
 *   database is asked then which rooms are locked: these are parked, and all others go on. The messages of a
 *   parked room wait apart, in order, and are tried again every RETRY_PARKED_NS, if the room is free, until
 *   they are lock_timeout_ms old.
 * - A batch with data that the server refuses (`poison`) is halved until the culprit stands alone.
 *
 * Each room's messages leave in the order of their seqs: there is one writer, seqs are given in the order of
 * the batch, and results go through one queue to one thread. Splitting keeps the order within a room, but for
 * a busy room of which more than a batch is parked and some of it is poison. */
#include "plugin/writer.h"

#include "core/clock.h"
#include "plugin/writer_parts.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HELD_TROUBLE_NS (1000 * NS_PER_MS) /* a batch that was certainly not stored waits so long */
#define RETRY_PARKED_NS (250 * NS_PER_MS)
#define BATCH_BYTES_MAX (8 * 1024 * 1024)
#define BEHIND_MIN      64

/* Rooms that are busy. */

static void reject_busy(struct writer *w, struct item *item)
{
    writer_turn_away(w, item, "busy", "the room is busy; send the message again in a while");
}

/* Parks the items, all of one room, before any others of the room that are parked. */
static void park(struct writer *w, struct item **items, size_t count)
{
    struct parked_room *parked = parked_make(&w->parked, &items[0]->room);
    if (parked == NULL)
        writer_look_again(w, false);
    for (size_t i = count; i-- > 0;) {
        if (parked != NULL)
            item_list_put_back(&parked->items, items[i]);
        else if (writer_in_doubt(w, items[i]))
            item_list_put_back(&w->waiting, items[i]);
        else
            reject_busy(w, items[i]);
    }
    if (parked != NULL)
        parked->retry_ns = clock_mono_ns() + RETRY_PARKED_NS;
}

bool writer_parked_too_long(const struct writer *w, const struct item *item)
{
    return w->looked_ns - item->arrived_ns > w->config->lock_timeout_ms * NS_PER_MS;
}

static bool any_parked_too_long(const struct writer *w)
{
    const struct parked_room *room = w->parked.rooms, *end = room + w->parked.count;
    while (room < end && (room->items.first == NULL || !writer_parked_too_long(w, room->items.first)))
        room++;
    return room < end;
}

/* Rejects what is parked for too long; what may have been stored, or yet will be, stays. */
static void reject_parked(struct writer *w, bool in_trouble)
{
    w->looked_ns = clock_mono_ns();
    if (!any_parked_too_long(w))
        return;
    writer_look_again(w, in_trouble);
    for (struct parked_room *parked = w->parked.rooms; parked < w->parked.rooms + w->parked.count; parked++) {
        struct item_list kept = {0};
        while (parked->items.first != NULL) {
            struct item *item = item_list_pop(&parked->items);
            if (!writer_parked_too_long(w, item) || writer_in_doubt(w, item) || writer_is_held(w, item))
                item_list_put(&kept, item);
            else
                reject_busy(w, item);
        }
        parked->items = kept;
    }
}

void writer_pause(void)
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

static void fill_rows(struct store_item *rows, struct item *const *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct store_item){.room = items[i]->room,
                                      .user = items[i]->user,
                                      .draft = &items[i]->draft,
                                      .id = items[i]->id,
                                      .created_at_ms = items[i]->created_at_ms};
}

/* A batch was committed, at committed_ns: answers each. */
static void deliver_all(struct writer *w, struct item **items, const struct store_item *rows, size_t count,
                        int64_t from_ns)
{
    metric_note(&w->stats.batch, &metric_sizes, (int64_t)count);
    metric_note(&w->stats.commit, &metric_seconds, w->committed_ns - from_ns);
    writer_database_is_up(w);
    for (size_t i = 0; i < count; i++)
        deliver(w, items[i], &rows[i]);
    writer_push(w);
}

/* Rejects those of a batch that were certainly not stored and have waited long; returns how many stay. */
static size_t reject_held(struct writer *w, struct item **items, size_t count)
{
    size_t kept = 0;
    int64_t now_ns = clock_mono_ns();
    for (size_t i = 0; i < count; i++) {
        if (now_ns - items[i]->arrived_ns <= HELD_TROUBLE_NS || writer_in_doubt(w, items[i]))
            items[kept++] = items[i];
        else
            writer_reject_unavailable(w, items[i]);
    }
    return kept;
}

static void store_group(struct writer *w, struct item **items, size_t count);

/* Puts those whose room was parked a moment ago behind what is parked of it; returns how many stay. */
static size_t divert(struct writer *w, struct item **items, size_t count)
{
    size_t kept = 0;
    int64_t now_ns = clock_mono_ns();
    for (size_t i = 0; i < count; i++) {
        struct parked_room *parked = parked_find(&w->parked, &items[i]->room);
        if (parked != NULL && parked->retry_ns > now_ns)
            item_list_put(&parked->items, items[i]);
        else
            items[kept++] = items[i];
    }
    return kept;
}

static void store_halves(struct writer *w, struct item **items, size_t count, const struct error *e)
{
    size_t half = count / 2;
    if (count > 1) {
        store_group(w, items, half);
        store_group(w, items + half, divert(w, items + half, count - half));
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

/* After a failed try of a batch that stays whole: answers who can be answered; returns how many are to be
 * tried again. */
static size_t hold(struct writer *w, struct item **items, size_t count, const struct error *e)
{
    if (e->code == ERROR_UNCERTAIN)
        for (size_t i = 0; i < count; i++)
            writer_doubt(w, items[i]);
    writer_in_trouble(w, e); /* first: it knows then what was sent again */
    count = reject_held(w, items, count);
    reject_parked(w, true);
    writer_push(w);
    return count;
}

/* Of a batch in which something is busy, parks those whose room is locked; returns how many stay, in front.
 * When no room is, each is stored by itself. */
static size_t park_locked(struct writer *w, struct item **items, size_t count)
{
    struct error e = {0};
    size_t rooms = 0, kept = 0;
    for (size_t at = 0; at < count; at += item_gather_room(items + at, count - at))
        w->rooms[rooms++] = items[at]->room;
    int ok = store_locked(w->store, w->rooms, rooms, w->locked, writer_commit_deadline(w), &e);
    if (ok != 0 && strcmp(e.word, "busy") != 0) {
        e.code = ERROR_UNAVAILABLE; /* of the messages nothing was under way */
        return hold(w, items, count, &e);
    }
    if (ok != 0 || memchr(w->locked, true, rooms) == NULL) {
        store_rooms(w, items, count);
        return 0;
    }
    for (size_t at = 0, room = 0, part; room < rooms; room++, at += part) {
        part = item_gather_room(items + at, count - at);
        if (w->locked[room])
            park(w, items + at, part);
        else
            for (size_t i = at; i < at + part; i++)
                items[kept++] = items[i];
    }
    writer_push(w);
    return kept;
}

/* After any failed try; returns how many are to be tried again. */
static size_t failed(struct writer *w, struct item **items, size_t count, const struct error *e)
{
    metric_add(&w->stats.failed, 1);
    if (e->code == ERROR_INVALID && strcmp(e->word, "poison") == 0) {
        store_halves(w, items, count, e);
        return 0;
    }
    if (strcmp(e->word, "busy") == 0) {
        if (item_gather_room(items, count) < count)
            return park_locked(w, items, count);
        park(w, items, count);
        return 0;
    }
    count = hold(w, items, count, e);
    if (count > 0)
        writer_pause();
    return count;
}

void writer_abandon(struct writer *w, struct item **items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        writer_item_done(w, items[i]);
    w->abandoned += count;
}

/* Stores the items, however often it has to be tried, and answers each. Nothing else is under way. */
static void store_group(struct writer *w, struct item **items, size_t count)
{
    struct store_item *rows = w->flights[0].rows; /* good for one try */
    while (count > 0) {
        struct error e = {0};
        int64_t from_ns = clock_mono_ns();
        if (writer_out_of_time(w)) {
            writer_abandon(w, items, count);
            return;
        }
        fill_rows(rows, items, count);
        if (store_batch(w->store, rows, count, writer_commit_deadline(w), &e) == 0) {
            w->committed_ns = clock_mono_ns();
            deliver_all(w, items, rows, count, from_ns);
            return;
        }
        count = failed(w, items, count, &e);
    }
}

/* The same for a whole batch, after a first try that failed (NULL: there was none). Until it is done with,
 * its messages are known as held: they may yet be stored, whichever part of it is being tried. */
static void store_whole(struct writer *w, struct item **items, size_t count, const struct error *e)
{
    for (size_t i = 0; i < count; i++)
        kinds_add(&w->held, items[i]);
    if (e != NULL)
        count = failed(w, items, count, e);
    store_group(w, items, count);
    kinds_clear(&w->held);
}

/* Takes the next batch from the list; it ends before a second item with the same room, sender and
 * clientMessageId. With divert, what belongs to a parked room is parked behind it. */
static size_t compose(struct writer *w, struct item_list *list, bool divert, struct item **batch)
{
    size_t count = 0, bytes = 0;
    struct error e;
    kinds_clear(&w->kinds);
    while (list->first != NULL && count < w->batch_max && bytes < BATCH_BYTES_MAX) {
        struct item *item = list->first;
        struct parked_room *parked = divert ? parked_find(&w->parked, &item->room) : NULL;
        if (writer_prepare(w, item, &e) != 0) {
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
        batch[count++] = item_list_pop(list);
    }
    return count;
}

/* One batch behind another. */

/* Was begun, but its connection is gone: its items wait again, before all others. */
static void take_back(struct writer *w, struct flight *flight)
{
    while (flight->count > 0)
        item_list_put_back(&w->waiting, flight->items[--flight->count]);
}

/* Waits for the commit under way: 0, and the batch is yours to be answered. -1 when it could not be completed
 * at once: what was begun behind it (NULL: nothing) was taken back, and it was stored again by itself. */
static int await_commit(struct writer *w, struct flight *behind)
{
    struct flight *flight = w->committing;
    struct error e = {0};
    w->committing = NULL;
    if (store_complete(w->store, flight->rows, flight->count, flight->deadline_ns, &e) == 0) {
        w->committed_ns = clock_mono_ns();
        return 0;
    }
    if (behind != NULL)
        take_back(w, behind);
    store_whole(w, flight->items, flight->count, &e);
    return -1;
}

static void answer_flight(struct writer *w, struct flight *flight)
{
    deliver_all(w, flight->items, flight->rows, flight->count, flight->from_ns);
}

void writer_land(struct writer *w)
{
    struct flight *flight = w->committing;
    if (flight != NULL && await_commit(w, NULL) == 0)
        answer_flight(w, flight);
}

/* Is it worth the while to begin the next batch before the commit under way is complete? */
static bool many_wait(const struct writer *w)
{
    size_t many = w->batch_max < BEHIND_MIN ? w->batch_max : BEHIND_MIN, count = 0;
    for (struct item *item = w->waiting.first; item != NULL && count < many; item = item_next(item))
        count++;
    return count >= many;
}

/* Lets the commit come to its end, and messages arrive. Those of the committed batch are not left to wait for
 * a connection to be made. 0, and *unanswered_out is the batch or NULL; or -1 as await_commit. */
static int gather(struct writer *w, struct flight **unanswered_out)
{
    struct flight *flight = w->committing;
    if (await_commit(w, NULL) != 0)
        return -1;
    *unanswered_out = store_ready(w->store) ? flight : NULL;
    if (*unanswered_out == NULL)
        answer_flight(w, flight);
    writer_intake(w);
    return 0;
}

static int begin(struct writer *w, struct flight *next, struct error *e)
{
    next->from_ns = clock_mono_ns();
    fill_rows(next->rows, next->items, next->count);
    next->deadline_ns = writer_commit_deadline(w); /* to connect too, where that is needed */
    return store_begin(w->store, next->rows, next->count, next->deadline_ns, e);
}

bool writer_store_next(struct writer *w)
{
    struct flight *last = w->committing, *unanswered = last;
    struct flight *next = last == &w->flights[0] ? &w->flights[1] : &w->flights[0];
    struct error e = {0};
    if (last != NULL && !many_wait(w) && gather(w, &unanswered) != 0)
        return true;
    next->count = compose(w, &w->waiting, true, next->items);
    int ok = next->count == 0 ? 0 : begin(w, next, &e);
    if (w->committing != NULL) { /* the next was begun behind it */
        if (await_commit(w, next) != 0)
            return true;
        next->from_ns = w->committed_ns;
        next->deadline_ns = writer_commit_deadline(w);
    }
    if (unanswered != NULL)
        answer_flight(w, unanswered);
    writer_push(w); /* those that composing has refused */
    if (next->count == 0)
        return last != NULL;
    if (ok == 0)
        ok = store_execute(w->store, next->rows, next->count, next->deadline_ns, &e);
    if (ok == 0)
        w->committing = next;
    else
        store_whole(w, next->items, next->count, &e);
    return true;
}

/* Rooms that were busy, again. */

int64_t writer_parked_due_ns(const struct writer *w)
{
    int64_t due_ns = INT64_MAX;
    for (size_t i = 0; i < w->parked.count; i++)
        if (w->parked.rooms[i].retry_ns < due_ns)
            due_ns = w->parked.rooms[i].retry_ns;
    return due_ns;
}

static void forget_unparked(struct writer *w)
{
    for (size_t i = w->parked.count; i-- > 0;)
        if (w->parked.rooms[i].items.first == NULL)
            w->parked.rooms[i] = w->parked.rooms[--w->parked.count];
}

/* Stores what is parked of the room, or lets it wait for the next time. */
static void retry(struct writer *w, const struct uuid *room, bool locked)
{
    struct item **items = w->flights[0].items;
    struct parked_room *parked = parked_find(&w->parked, room);
    int64_t now_ns = clock_mono_ns();
    if (locked)
        parked->retry_ns = now_ns + RETRY_PARKED_NS;
    while (parked->items.first != NULL && parked->retry_ns <= now_ns) /* not busy again */
        store_whole(w, items, compose(w, &parked->items, false, items), NULL);
}

void writer_retry_parked(struct writer *w)
{
    struct uuid rooms[PARKED_MAX];
    bool locked[PARKED_MAX];
    struct error e = {0};
    size_t due = 0;
    int64_t now_ns = clock_mono_ns();
    for (size_t i = 0; i < w->parked.count; i++)
        if (now_ns >= w->parked.rooms[i].retry_ns)
            rooms[due++] = w->parked.rooms[i].room;
    if (due > 0 && store_locked(w->store, rooms, due, locked, writer_commit_deadline(w), &e) != 0) {
        memset(locked, true, sizeof locked);
        hold(w, NULL, 0, &e);
    }
    for (size_t i = 0; i < due; i++)
        retry(w, &rooms[i], locked[i]);
    reject_parked(w, false); /* of rooms that are free nothing waits any more */
    forget_unparked(w);
    writer_push(w);
}

void writer_init_batches(struct writer *w)
{
    w->batch_max = (size_t)w->config->batch_max;
    w->rooms = mem_zalloc(w->batch_max, sizeof w->rooms[0]);
    w->locked = mem_zalloc(w->batch_max, sizeof w->locked[0]);
    kinds_init(&w->kinds, w->batch_max);
    kinds_init(&w->doubts, w->batch_max);
    kinds_init(&w->held, w->batch_max);
    kinds_init(&w->again, w->batch_max);
    for (struct flight *flight = w->flights; flight < w->flights + FLIGHTS; flight++) {
        flight->items = mem_zalloc(w->batch_max, sizeof flight->items[0]);
        flight->rows = mem_zalloc(w->batch_max, sizeof flight->rows[0]);
    }
}

void writer_finish_batches(struct writer *w)
{
    free(w->rooms);
    free(w->locked);
    kinds_finish(&w->kinds);
    kinds_finish(&w->doubts);
    kinds_finish(&w->held);
    kinds_finish(&w->again);
    for (struct flight *flight = w->flights; flight < w->flights + FLIGHTS; flight++) {
        free(flight->items);
        free(flight->rows);
    }
}
