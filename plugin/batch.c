#include "plugin/batch.h"

#include <stdlib.h>
#include <string.h>

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

typedef void (*add_fn)(struct params *p, const struct store_item *item);

static void add_id(struct params *p, const struct store_item *item)
{
    params_add_uuid(p, &item->id);
}

static void add_room(struct params *p, const struct store_item *item)
{
    params_add_uuid(p, &item->room);
}

static void add_sender(struct params *p, const struct store_item *item)
{
    params_add_text(p, item->user, strlen(item->user));
}

static void add_client_id(struct params *p, const struct store_item *item)
{
    params_add_text(p, item->draft->client_message_id, strlen(item->draft->client_message_id));
}

static void add_type(struct params *p, const struct store_item *item)
{
    params_add_text(p, item->draft->type, strlen(item->draft->type));
}

static void add_content(struct params *p, const struct store_item *item)
{
    if (item->draft->content == NULL) {
        params_add_null(p);
    } else {
        params_add_text(p, item->draft->content, item->draft->content_size);
    }
}

static void add_mentions(struct params *p, const struct store_item *item)
{
    if (batch_has_mentions(item->draft)) {
        params_add_jsonb(p, item->draft->mentions.data, item->draft->mentions.size);
    } else {
        params_add_null(p);
    }
}

static void add_reply(struct params *p, const struct store_item *item)
{
    if (item->draft->has_reply) {
        params_add_uuid(p, &item->draft->reply_to);
    } else {
        params_add_null(p);
    }
}

static void add_time(struct params *p, const struct store_item *item)
{
    params_add_time(p, item->created_at_ms);
}

static void add_hash(struct params *p, const struct store_item *item)
{
    params_add_int(p, item->draft->body_hash);
}

static void add_attachments(struct params *p, const struct store_item *item)
{
    params_add_int(p, item->draft->attachment_count);
}

static void add_column(struct batch *b, const struct store_item *items, size_t count, enum params_type type,
                       add_fn add)
{
    params_begin(&b->items, type, count);
    for (size_t i = 0; i < count; i++) {
        add(&b->items, &items[b->order[i]]);
    }
}

static void add_behind(struct batch *b, const struct store_item *items, size_t count)
{
    params_begin(&b->items, PARAMS_INT8, count);
    for (size_t start = 0, end; start < count; start = end) {
        end = batch_run_end(b, items, count, start);
        for (size_t i = start; i < end; i++) {
            params_add_int(&b->items, (int64_t)(end - 1 - i));
        }
    }
}

static void fill_items(struct batch *b, const struct store_item *items, size_t count, bool careful)
{
    params_clear(&b->items);
    add_column(b, items, count, PARAMS_UUID, add_id);
    add_column(b, items, count, PARAMS_UUID, add_room);
    add_behind(b, items, count);
    add_column(b, items, count, PARAMS_TEXT, add_sender);
    add_column(b, items, count, PARAMS_TEXT, add_client_id);
    add_column(b, items, count, PARAMS_TEXT, add_type);
    add_column(b, items, count, PARAMS_TEXT, add_content);
    add_column(b, items, count, PARAMS_JSONB, add_mentions);
    add_column(b, items, count, PARAMS_UUID, add_reply);
    add_column(b, items, count, PARAMS_TIME, add_time);
    add_column(b, items, count, PARAMS_INT8, add_hash);
    if (careful) {
        add_column(b, items, count, PARAMS_INT8, add_attachments);
    }
}

void batch_fill(struct batch *b, const struct store_item *items, size_t count, bool careful)
{
    fill_lock(b, items, count, careful);
    fill_items(b, items, count, careful);
}

void batch_finish(struct batch *b)
{
    free(b->order);
    params_finish(&b->lock);
    params_finish(&b->items);
    *b = (struct batch){0};
}
