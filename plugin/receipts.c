/* A row is one user in one room: the furthest of its marks, and the items that asked for them. What a row
 * can't hold (a second message's id of the same kind) waits for the next round, in order.
 *
 * A commit without an answer may have moved watermarks that the next try finds moved already, so what was
 * uncertain once is told as moved: watermarks are told whole, and twice does no harm. */
#include "plugin/receipts.h"

#include "core/clock.h"
#include "core/json.h"
#include "core/log.h"
#include "core/table.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS   INT64_C(1000000)
#define WAIT_MAX_NS (1000 * NS_PER_MS) /* with the database away */

struct item_chain {
    struct item *first, *last;
};

struct row {
    struct table_link link;
    struct store_mark mark; /* its user is the first item's */
    struct item_chain items;
    bool uncertain, full; /* full: what comes for it waits for the next round */
};

struct receipts {
    struct receipts_owner owner;
    struct table rows;
    struct row **order; /* all rows */
    struct store_mark *marks;
    size_t count;
    struct item_chain later;
    int64_t due_ns;
    struct buf json;
};

static void chain_put(struct item_chain *chain, struct item *item)
{
    item->node.next = NULL;
    if (chain->last == NULL)
        chain->first = item;
    else
        chain->last->node.next = &item->node;
    chain->last = item;
}

static struct item *chain_pop(struct item_chain *chain)
{
    struct item *item = chain->first;
    if (item == NULL)
        return NULL;
    chain->first = (struct item *)(void *)item->node.next; /* the node is its first member */
    if (chain->first == NULL)
        chain->last = NULL;
    return item;
}

/* The payload: {"seq":n} or {"messageId":"..."}. */

static int read_fields(const struct json *tree, struct mark_target *out, struct error *e)
{
    const struct json *seq = json_get(tree, "seq"), *message = json_get(tree, "messageId");
    bool has_seq = json_kind(seq) != JSON_ABSENT && json_kind(seq) != JSON_NULL;
    out->has_message = json_kind(message) != JSON_ABSENT && json_kind(message) != JSON_NULL;
    if (json_kind(tree) != JSON_OBJECT || has_seq == out->has_message)
        return error_set(e, ERROR_INVALID, "invalid_receipt",
                         "the payload must be an object with either seq or messageId");
    if (has_seq && !json_seq(seq, &out->seq))
        return error_set(e, ERROR_INVALID, "invalid_receipt", "seq must be a whole number, 0 or more");
    const char *text = json_string(message);
    if (out->has_message && (text == NULL || !uuid_parse(text, strlen(text), &out->message)))
        return error_set(e, ERROR_INVALID, "invalid_receipt", "messageId must be a message's id (a UUID)");
    return 0;
}

static int read_target(const struct item *item, struct mark_target *out, struct error *e)
{
    *out = (struct mark_target){0};
    struct json *tree = json_parse(item->payload, item->payload_size, e);
    if (tree == NULL)
        return -1;
    int ok = read_fields(tree, out, e);
    json_destroy(&tree);
    return ok;
}

/* Rows. */

static uint64_t row_hash(const struct item *item)
{
    return uuid_hash(&item->room) ^ bytes_hash(item->user, strlen(item->user));
}

static struct row *row_find(const struct receipts *r, const struct item *item)
{
    struct table_link *link = table_first(&r->rows, row_hash(item));
    for (; link != NULL; link = table_next(link)) {
        struct row *row = table_entry(link, struct row, link);
        if (uuid_equal(&row->mark.room, &item->room) && strcmp(row->mark.user, item->user) == 0)
            return row;
    }
    return NULL;
}

static struct row *row_add(struct receipts *r, const struct item *item)
{
    struct row *row = mem_zalloc(1, sizeof *row);
    row->mark.room = item->room;
    row->mark.user = item->user;
    table_put(&r->rows, &row->link, row_hash(item));
    r->order[r->count++] = row;
    return row;
}

/* False when the row has another message's id already. */
static bool target_join(struct mark_target *to, const struct mark_target *from)
{
    if (from->has_message) {
        if (to->has_message && !uuid_equal(&to->message, &from->message))
            return false;
        to->has_message = true;
        to->message = from->message;
    } else if (from->seq > to->seq) {
        to->seq = from->seq;
    }
    return true;
}

static void row_free(struct receipts *r, struct row *row)
{
    table_remove(&r->rows, &row->link);
    free(row);
}

/* False when it must wait for the next round. */
static bool place(struct receipts *r, struct item *item, const struct mark_target *target)
{
    struct row *row = row_find(r, item);
    if (row == NULL && r->count == RECEIPTS_ROWS_MAX)
        return false;
    if (row == NULL)
        row = row_add(r, item);
    if (row->full || !target_join(item->kind == ITEM_READ ? &row->mark.read : &row->mark.delivered, target)) {
        row->full = true;
        return false;
    }
    chain_put(&row->items, item);
    return true;
}

void receipts_add(struct receipts *r, struct item *item)
{
    struct mark_target target;
    struct error e;
    if (read_target(item, &target, &e) != 0) {
        r->owner.on_refused(r->owner.self, item, &e);
        return;
    }
    if (!place(r, item, &target))
        chain_put(&r->later, item);
    if (r->due_ns == INT64_MAX)
        r->due_ns = clock_mono_ns() + RECEIPTS_DELAY_MS * NS_PER_MS;
}

bool receipts_empty(const struct receipts *r)
{
    return r->count == 0;
}

int64_t receipts_due_ns(const struct receipts *r)
{
    return r->due_ns;
}

/* What became of them. */

static void print(struct buf *out, const struct store_mark *mark, int64_t at_ms)
{
    char room[UUID_TEXT_SIZE], at[CLOCK_TEXT_SIZE];
    uuid_format(&mark->room, room);
    clock_format(at_ms, at);
    buf_clear(out);
    buf_printf(out, "{\"chatRoomId\":\"%s\",\"userId\":", room);
    json_put_text(out, mark->user);
    buf_printf(out, ",\"readSeq\":%lld,\"deliveredSeq\":%lld,\"at\":\"%s\"}", (long long)mark->read_seq,
               (long long)mark->delivered_seq, at);
}

/* True when the item named the message that is missing. */
static bool is_missing(const struct item *item, const struct store_mark *mark)
{
    const struct mark_target *target = item->kind == ITEM_READ ? &mark->read : &mark->delivered;
    struct mark_target own;
    struct error ignored;
    return target->missing && read_target(item, &own, &ignored) == 0 && own.has_message;
}

static void row_refuse(struct receipts *r, struct row *row, const struct error *why)
{
    struct item *item;
    while ((item = chain_pop(&row->items)) != NULL)
        r->owner.on_refused(r->owner.self, item, why);
}

static void row_answer(struct receipts *r, struct row *row, const struct store_mark *mark, int64_t at_ms)
{
    struct error stranger, missing;
    error_set(&stranger, ERROR_NOT_FOUND, "room_not_found", "there is no such room for you");
    error_set(&missing, ERROR_NOT_FOUND, "message_not_found", "messageId names no message of this room");
    if (!mark->member) {
        row_refuse(r, row, &stranger);
        return;
    }
    print(&r->json, mark, at_ms);
    if (mark->moved || row->uncertain)
        r->owner.on_moved(r->owner.self, row->items.first, mark, &r->json);
    struct item *item;
    struct item_chain items = row->items;
    row->items = (struct item_chain){0};
    struct store_mark kept = *mark; /* its user lives in the first item */
    char user[USER_ID_MAX + 1];
    memcpy(user, mark->user, strlen(mark->user) + 1);
    kept.user = user;
    while ((item = chain_pop(&items)) != NULL) {
        if (is_missing(item, &kept))
            r->owner.on_refused(r->owner.self, item, &missing);
        else
            r->owner.on_marked(r->owner.self, item, &kept, &r->json);
    }
}

/* Storing. Rows that are done have no items any more. */

static int compare_rows(const void *left, const void *right)
{
    const struct store_mark *a = &(*(struct row *const *)left)->mark,
                            *b = &(*(struct row *const *)right)->mark;
    int order = memcmp(&a->room, &b->room, sizeof a->room);
    return order != 0 ? order : strcmp(a->user, b->user);
}

static void set_uncertain(struct row **rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        rows[i]->uncertain = true;
}

/* One locked or refused row must not cost its neighbours: then the rows are halved. */
static int store_rows(struct receipts *r, struct store *store, struct row **rows, size_t count,
                      int64_t deadline_ns, struct error *e)
{
    int64_t at_ms = clock_wall_ms();
    for (size_t i = 0; i < count; i++)
        r->marks[i] = rows[i]->mark;
    *e = (struct error){0};
    if (store_marks(store, r->marks, count, at_ms, deadline_ns, e) == 0) {
        for (size_t i = 0; i < count; i++)
            row_answer(r, rows[i], &r->marks[i], at_ms);
        return 0;
    }
    bool poison = e->code == ERROR_INVALID, busy = strcmp(e->word, "busy") == 0;
    if ((poison || busy) && count > 1) {
        struct error of_first, of_second;
        int first = store_rows(r, store, rows, count / 2, deadline_ns, &of_first);
        if (first != 0)
            *e = of_first;
        if (first != 0 && strcmp(of_first.word, "busy") != 0)
            return -1;
        int second = store_rows(r, store, rows + count / 2, count - count / 2, deadline_ns, &of_second);
        if (second != 0)
            *e = of_second;
        return first != 0 ? first : second;
    }
    if (poison) {
        trace_refused("receipts", "mark", rows[0]->items.first, e->text);
        error_set(e, ERROR_INVALID, "invalid_receipt", "the database refused this receipt");
        row_refuse(r, rows[0], e);
        return 0;
    }
    if (e->code == ERROR_UNCERTAIN)
        set_uncertain(rows, count);
    return -1;
}

static bool has_waited(const struct row *row, int64_t now_ns)
{
    return row->items.first != NULL && now_ns - row->items.first->arrived_ns > WAIT_MAX_NS;
}

/* Forgets the rows that are done, then takes in what had to wait for them, which is due at once. */
static void start_over(struct receipts *r, bool stored)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++) {
        r->order[i]->full = false;
        if (r->order[i]->items.first == NULL)
            row_free(r, r->order[i]);
        else
            r->order[kept++] = r->order[i];
    }
    r->count = kept;
    struct item_chain later = r->later;
    bool at_once = stored && later.first != NULL;
    r->later = (struct item_chain){0};
    struct item *item;
    while ((item = chain_pop(&later)) != NULL)
        receipts_add(r, item);
    r->due_ns = r->count == 0 ? INT64_MAX : clock_mono_ns() + (at_once ? 0 : RECEIPTS_DELAY_MS * NS_PER_MS);
}

int receipts_store(struct receipts *r, struct store *store, int64_t deadline_ns, struct error *e)
{
    struct error why;
    if (r->count == 0)
        return 0;
    qsort(r->order, r->count, sizeof r->order[0], compare_rows);
    int ok = store_rows(r, store, r->order, r->count, deadline_ns, e);
    int64_t now_ns = clock_mono_ns();
    error_set(&why, ERROR_UNAVAILABLE, "unavailable",
              "the database does not answer; send it again in a while");
    for (size_t i = 0; ok != 0 && i < r->count; i++)
        if (has_waited(r->order[i], now_ns))
            row_refuse(r, r->order[i], &why);
    start_over(r, ok == 0);
    return ok;
}

void receipts_refuse_all(struct receipts *r, const struct error *why)
{
    while (r->count > 0) {
        for (size_t i = 0; i < r->count; i++)
            row_refuse(r, r->order[i], why);
        start_over(r, true);
    }
}

struct receipts *receipts_create(const struct receipts_owner *owner)
{
    struct receipts *r = mem_zalloc(1, sizeof *r);
    r->owner = *owner;
    r->order = mem_zalloc(RECEIPTS_ROWS_MAX, sizeof r->order[0]);
    r->marks = mem_zalloc(RECEIPTS_ROWS_MAX, sizeof r->marks[0]);
    r->due_ns = INT64_MAX;
    return r;
}

void receipts_destroy(struct receipts **receipts)
{
    if (receipts == NULL || *receipts == NULL)
        return;
    struct receipts *r = *receipts;
    table_finish(&r->rows);
    buf_finish(&r->json);
    free(r->order);
    free(r->marks);
    free(r);
    *receipts = NULL;
}
