#include "plugin/batch.h"

#include <stdlib.h>
#include <string.h>

#define ITEM_FIELDS 12

struct sort_context {
    const struct store_item *items;
};

static int compare_rooms(const void *left, const void *right, void *context)
{
    const struct store_item *items = ((struct sort_context *)context)->items;
    size_t a = *(const size_t *)left, b = *(const size_t *)right;
    int rooms = memcmp(&items[a].room, &items[b].room, sizeof(struct uuid));
    return rooms != 0 ? rooms : a < b ? -1 : 1;
}

void batch_sort(struct batch *b, const struct store_item *items, size_t count)
{
    if (b->order_capacity < count) {
        b->order = mem_realloc(b->order, count * sizeof(*b->order));
        b->order_capacity = count;
    }
    for (size_t i = 0; i < count; i++) {
        b->order[i] = i;
    }
    struct sort_context context = {items};
    qsort_r(b->order, count, sizeof(*b->order), compare_rooms, &context);
}

size_t batch_run_end(const struct batch *b, const struct store_item *items, size_t count, size_t start)
{
    size_t end = start + 1;
    while (end < count && uuid_equal(&items[b->order[end]].room, &items[b->order[start]].room)) {
        end++;
    }
    return end;
}

static size_t count_runs(const struct batch *b, const struct store_item *items, size_t count)
{
    size_t runs = 0;
    for (size_t start = 0; start < count; start = batch_run_end(b, items, count, start)) {
        runs++;
    }
    return runs;
}

enum lock_column { LOCK_ROOM, LOCK_COUNT, LOCK_TIME };

static void add_lock_column(struct batch *b, const struct store_item *items, size_t count, size_t runs,
                            enum lock_column column)
{
    static const enum params_type types[] = {PARAMS_UUID, PARAMS_INT8, PARAMS_TIME};
    struct params *p = &b->lock;
    params_begin(p, types[column], runs);
    for (size_t start = 0, end; start < count; start = end) {
        end = batch_run_end(b, items, count, start);
        if (column == LOCK_ROOM) {
            params_add_uuid(p, &items[b->order[start]].room);
        } else if (column == LOCK_COUNT) {
            params_add_int(p, (int64_t)(end - start));
        } else {
            int64_t newest = 0;
            for (size_t i = start; i < end; i++) {
                int64_t at = items[b->order[i]].created_at_ms;
                newest = at > newest ? at : newest;
            }
            params_add_time(p, newest);
        }
    }
}

static void fill_lock(struct batch *b, const struct store_item *items, size_t count, bool careful)
{
    size_t runs = count_runs(b, items, count);
    params_clear(&b->lock);
    add_lock_column(b, items, count, runs, LOCK_ROOM);
    if (!careful) {
        add_lock_column(b, items, count, runs, LOCK_COUNT);
        add_lock_column(b, items, count, runs, LOCK_TIME);
    }
}

bool batch_has_mentions(const struct draft *d)
{
    return d->mentions.size > 2; /* more than [] */
}

/* The fields of parlor_item, in its order. */
static void add_item(struct params *p, const struct store_item *item, size_t behind)
{
    const struct draft *d = item->draft;
    params_begin_record(p, ITEM_FIELDS);
    params_add_uuid(p, &item->id);
    params_add_uuid(p, &item->room);
    params_add_int(p, (int64_t)behind);
    params_add_text(p, item->user, strlen(item->user));
    params_add_text(p, d->client_message_id, strlen(d->client_message_id));
    params_add_text(p, d->type, strlen(d->type));
    if (d->content != NULL) {
        params_add_text(p, d->content, d->content_size);
    } else {
        params_add_null(p, PARAMS_TEXT);
    }
    if (batch_has_mentions(d)) {
        params_add_jsonb(p, d->mentions.data, d->mentions.size);
    } else {
        params_add_null(p, PARAMS_JSONB);
    }
    if (d->has_reply) {
        params_add_uuid(p, &d->reply_to);
    } else {
        params_add_null(p, PARAMS_UUID);
    }
    params_add_time(p, item->created_at_ms);
    params_add_int(p, d->body_hash);
    params_add_int(p, d->attachment_count);
    params_end_record(p);
}

static void fill_items(struct batch *b, const struct store_item *items, size_t count)
{
    params_clear(&b->items);
    params_begin_records(&b->items, b->item_oid, count);
    for (size_t start = 0, end; start < count; start = end) {
        end = batch_run_end(b, items, count, start);
        for (size_t i = start; i < end; i++) {
            add_item(&b->items, &items[b->order[i]], end - 1 - i);
        }
    }
}

void batch_fill(struct batch *b, const struct store_item *items, size_t count, bool careful)
{
    fill_lock(b, items, count, careful);
    fill_items(b, items, count);
}

void batch_finish(struct batch *b)
{
    free(b->order);
    params_finish(&b->lock);
    params_finish(&b->items);
    *b = (struct batch){0};
}
