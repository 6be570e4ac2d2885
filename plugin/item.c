#include "plugin/item.h"

#include <stdlib.h>
#include <string.h>

/* Copies the bytes and a zero byte to *at, which moves behind them. */
static const char *tail_put(char **at, const void *bytes, size_t size)
{
    char *copy = *at;
    if (size > 0)
        memcpy(copy, bytes, size);
    copy[size] = '\0';
    *at += size + 1;
    return copy;
}

const char *item_kind_name(enum item_kind kind)
{
    return kind == ITEM_SEND        ? "send"
           : kind == ITEM_READ      ? "read"
           : kind == ITEM_DELIVERED ? "delivered"
           : kind == ITEM_PRESENCE  ? "presence"
                                    : "publish";
}

static struct item *make(const char *user, size_t user_size, const char *fallback_id, size_t fallback_id_size,
                         const void *payload, size_t payload_size, const char *request_id,
                         size_t request_id_size)
{
    size_t size = sizeof(struct item) + user_size + fallback_id_size + payload_size + request_id_size + 4;
    struct item *item = mem_alloc(size);
    memset(item, 0, sizeof *item);
    char *at = item->tail;
    item->user = tail_put(&at, user, user_size);
    item->fallback_id = tail_put(&at, fallback_id, fallback_id_size);
    item->payload = tail_put(&at, payload, payload_size);
    item->payload_size = payload_size;
    item->trace.id = tail_put(&at, request_id, request_id_size);
    item->node.bytes = size;
    return item;
}

struct item *item_make(const char *user, size_t user_size, const char *fallback_id, size_t fallback_id_size,
                       const void *payload, size_t payload_size)
{
    return make(user, user_size, fallback_id, fallback_id_size, payload, payload_size, NULL, 0);
}

struct item *item_make_said(const struct wire_record *r)
{
    size_t id_size = r->request_id_size < WIRE_REQUEST_ID_MAX ? r->request_id_size : WIRE_REQUEST_ID_MAX;
    struct item *item = make(r->user, r->user_size, r->fallback_id, r->fallback_id_size, r->payload,
                             r->payload_size, r->request_id, id_size);
    item->kind = r->type == WIRE_SEND ? ITEM_SEND : r->type == WIRE_READ ? ITEM_READ : ITEM_DELIVERED;
    item->room = r->room;
    item->request = r->request;
    return item;
}

void item_destroy(struct item **item)
{
    if (item == NULL || *item == NULL)
        return;
    draft_finish(&(*item)->draft);
    free(*item);
    *item = NULL;
}

struct item *item_of(struct queue_node *node)
{
    return (struct item *)(void *)node;
}

struct item *item_next(const struct item *item)
{
    return item->node.next == NULL ? NULL : item_of(item->node.next);
}

void item_list_put(struct item_list *list, struct item *item)
{
    item->node.next = NULL;
    if (list->last == NULL)
        list->first = item;
    else
        list->last->node.next = &item->node;
    list->last = item;
}

void item_list_put_back(struct item_list *list, struct item *item)
{
    item->node.next = list->first == NULL ? NULL : &list->first->node;
    list->first = item;
    if (list->last == NULL)
        list->last = item;
}

void item_list_put_before(struct item_list *list, struct item_list *others)
{
    if (others->first == NULL)
        return;
    others->last->node.next = list->first == NULL ? NULL : &list->first->node;
    if (list->first == NULL)
        list->last = others->last;
    list->first = others->first;
    *others = (struct item_list){0};
}

struct item *item_list_pop(struct item_list *list)
{
    struct item *item = list->first;
    list->first = item_next(item);
    if (list->first == NULL)
        list->last = NULL;
    return item;
}

size_t item_gather_room(struct item **items, size_t count)
{
    size_t front = 1;
    for (size_t i = 1; i < count; i++) {
        if (!uuid_equal(&items[i]->room, &items[0]->room))
            continue;
        struct item *item = items[i];
        memmove(&items[front + 1], &items[front], (i - front) * sizeof items[0]);
        items[front++] = item;
    }
    return front;
}

struct result *result_make(enum result_kind kind, const struct item *item, const char *word,
                           const struct buf *body, const struct buf *ack)
{
    size_t user_size = strlen(item->user), word_size = strlen(word), id_size = strlen(item->trace.id);
    size_t size = sizeof(struct result) + user_size + word_size + body->size + ack->size + id_size + 5;
    struct result *result = mem_alloc(size);
    memset(result, 0, sizeof *result);
    char *at = result->tail;
    result->kind = kind;
    result->item_kind = item->kind;
    result->link = item->link;
    result->request = item->request;
    result->room = item->room;
    result->told = item->told;
    result->user = tail_put(&at, item->user, user_size);
    result->word = tail_put(&at, word, word_size);
    result->body = tail_put(&at, body->data, body->size);
    result->body_size = body->size;
    result->ack = tail_put(&at, ack->data, ack->size);
    result->ack_size = ack->size;
    result->trace.id = tail_put(&at, item->trace.id, id_size);
    result->trace.number = item->trace.number;
    result->node.bytes = size;
    return result;
}

struct result *result_make_members(struct memberlog_batch *batch)
{
    struct result *result = mem_zalloc(1, sizeof *result);
    result->kind = RESULT_MEMBERS;
    result->batch = batch;
    result->node.bytes = sizeof *result;
    return result;
}

void result_destroy(struct result **result)
{
    if (result == NULL || *result == NULL)
        return;
    memberlog_batch_destroy(&(*result)->batch);
    free(*result);
    *result = NULL;
}
