#include "plugin/nodes.h"

#include <stdlib.h>
#include <string.h>

struct watch {
    struct table_link link;
    struct uuid room;
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

void nodes_finish(struct nodes *nodes)
{
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

struct node *nodes_hello(struct nodes *nodes, const char *name, size_t name_size, const void *client)
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
