#include "plugin/nodes.h"

#include <stdlib.h>
#include <string.h>

struct watch {
    struct table_link link;
    struct uuid room;
};

struct told {
    struct told *next;
    struct wire_record event; /* its texts are in tail */
    size_t size;
    char tail[];
};

void nodes_init(struct nodes *nodes, nodes_send_fn send, void *context)
{
    *nodes = (struct nodes){.send = send, .context = context};
}

static void node_forget(struct node *node)
{
    struct table_link *link;
    while ((link = table_take(&node->watched)) != NULL)
        free(table_entry(link, struct watch, link));
    table_finish(&node->watched);
    buf_finish(&node->packet);
    *node = (struct node){0};
}

static void told_drop(struct nodes *nodes)
{
    struct told *oldest = nodes->told_first;
    nodes->told_first = oldest->next;
    if (oldest->next == NULL)
        nodes->told_last = NULL;
    nodes->told_count--;
    nodes->told_bytes -= oldest->size;
    free(oldest);
}

void nodes_forget_told(struct nodes *nodes)
{
    while (nodes->told_first != NULL)
        told_drop(nodes);
}

int64_t nodes_told(const struct nodes *nodes)
{
    return nodes->told_last == NULL ? 0 : nodes->told_last->event.seq;
}

static const char *copy(char **at, const char *text, size_t size)
{
    char *start = *at;
    if (size > 0)
        memcpy(start, text, size);
    *at += size;
    return start;
}

static void keep(struct nodes *nodes, const struct wire_record *event)
{
    size_t size = event->user_size + event->word_size + event->payload_size;
    struct told *told = mem_alloc(sizeof *told + size);
    char *at = told->tail;
    *told = (struct told){.event = *event, .size = size};
    told->event.user = copy(&at, event->user, event->user_size);
    told->event.word = copy(&at, event->word, event->word_size);
    told->event.payload = copy(&at, event->payload, event->payload_size);
    if (nodes->told_last != NULL)
        nodes->told_last->next = told;
    else
        nodes->told_first = told;
    nodes->told_last = told;
    nodes->told_count++;
    nodes->told_bytes += size;
    while (nodes->told_count > TOLD_MAX || nodes->told_bytes > TOLD_BYTES_MAX)
        told_drop(nodes);
}

void nodes_tell(struct nodes *nodes, const struct wire_record *event, int64_t now_ns)
{
    for (struct node *node = nodes->list; node < nodes->list + NODES_MAX; node++)
        if (node->used && (event->user_size > 0 || now_ns - node->hello_ns < NODE_NEW_NS ||
                           node_watches(node, &event->room)))
            nodes_put(nodes, node, event);
    keep(nodes, event);
}

void nodes_finish(struct nodes *nodes)
{
    nodes_forget_told(nodes);
    for (size_t i = 0; i < NODES_MAX; i++)
        node_forget(&nodes->list[i]);
}

struct node *nodes_find(struct nodes *nodes, const char *name, size_t name_size)
{
    for (struct node *node = nodes->list; node < nodes->list + NODES_MAX; node++)
        if (node->used && strlen(node->name) == name_size && memcmp(node->name, name, name_size) == 0)
            return node;
    return NULL;
}

struct node *nodes_by_link(struct nodes *nodes, uint32_t link)
{
    for (struct node *node = nodes->list; node < nodes->list + NODES_MAX; node++)
        if (node->used && node->link == link)
            return node;
    return NULL;
}

static struct node *node_free_one(struct nodes *nodes)
{
    for (struct node *node = nodes->list; node < nodes->list + NODES_MAX; node++)
        if (!node->used)
            return node;
    return NULL;
}

struct node *nodes_hello(struct nodes *nodes, const char *name, size_t name_size, const void *client,
                         int64_t event, int64_t now_ns)
{
    struct node *node = nodes_find(nodes, name, name_size);
    if (node != NULL)
        node_forget(node);
    else
        node = node_free_one(nodes);
    if (node == NULL || name_size > NODE_NAME_MAX)
        return NULL;
    memcpy(node->name, name, name_size);
    node->name[name_size] = '\0';
    node->used = node->greeted = true;
    node->client = client;
    if (++nodes->last_link == 0)
        nodes->last_link = 1; /* 0 is LINK_NONE */
    node->link = nodes->last_link;
    node->hello_ns = now_ns;
    for (const struct told *told = nodes->told_first; told != NULL && event > 0; told = told->next)
        if (told->event.seq >= event)
            nodes_put(nodes, node, &told->event);
    return node;
}

void nodes_gone(struct nodes *nodes, const void *client)
{
    for (struct node *node = nodes->list; node < nodes->list + NODES_MAX; node++)
        if (node->used && node->client == client)
            node_forget(node);
}

static struct watch *watch_find(const struct node *node, const struct uuid *room)
{
    struct table_link *link = table_first(&node->watched, uuid_hash(room));
    for (; link != NULL; link = table_next(link)) {
        struct watch *watch = table_entry(link, struct watch, link);
        if (uuid_equal(&watch->room, room))
            return watch;
    }
    return NULL;
}

bool node_watch(struct node *node, const struct uuid *room)
{
    if (watch_find(node, room) != NULL)
        return true;
    if (node->watched.count >= NODE_WATCHED_MAX)
        return false;
    struct watch *watch = mem_zalloc(1, sizeof *watch);
    watch->room = *room;
    table_put(&node->watched, &watch->link, uuid_hash(room));
    return true;
}

void node_unwatch(struct node *node, const struct uuid *room)
{
    struct watch *watch = watch_find(node, room);
    if (watch == NULL)
        return;
    table_remove(&node->watched, &watch->link);
    free(watch);
}

bool node_watches(const struct node *node, const struct uuid *room)
{
    return watch_find(node, room) != NULL;
}

static void node_send(struct nodes *nodes, struct node *node)
{
    nodes->send(nodes->context, node->name, node->packet.data, node->packet.size);
    buf_clear(&node->packet);
}

void nodes_put(struct nodes *nodes, struct node *node, const struct wire_record *record)
{
    if (node->packet.size == 0)
        wire_begin(&node->packet, ++node->number_out);
    wire_put(&node->packet, record);
    if (node->packet.size > WIRE_PACKET_MAX)
        node_send(nodes, node);
}

void nodes_flush(struct nodes *nodes)
{
    for (struct node *node = nodes->list; node < nodes->list + NODES_MAX; node++)
        if (node->used && node->packet.size > 0)
            node_send(nodes, node);
}
