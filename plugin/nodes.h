/* The parlords that are linked to this broker: which rooms each watches, and the packet that is being packed
 * for it. The last events are kept for one whose link broke, or that this broker, being started, has not met
 * yet: its sockets stay connected over that, and nobody else tells them.
 *
 * Flow:   ingress (HELLO, WATCH, UNWATCH) and fanout -> nodes -> core/wire -> service/out/{node}.
 * Thread: the broker's.
 * Owns:   nodes, their watched rooms and open packets, the events that are kept. */
#ifndef PARLOR_PLUGIN_NODES_H
#define PARLOR_PLUGIN_NODES_H

#include "core/table.h"
#include "core/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NODES_MAX        16
#define NODE_NAME_MAX    128
#define NODE_WATCHED_MAX 1000000 /* rooms a node may watch; it fetches the others' messages by itself */
#define NODE_NEW_NS      INT64_C(5000000000) /* until then it may not have named all that it watches */
#define TOLD_MAX         4096                /* events kept, and their bytes: the oldest are forgotten */
#define TOLD_BYTES_MAX   (1024 * 1024)

struct node {
    bool used;
    char name[NODE_NAME_MAX + 1];
    const void *client; /* the broker's pointer of the connection that said HELLO */
    uint32_t link;      /* different for every HELLO: an answer for an older link is dropped */
    uint32_t number_in, number_out;
    struct table watched;
    struct buf packet;
    bool greeted;     /* the HELLO was not answered yet */
    int64_t hello_ns; /* clock_mono_ns */
};

struct told; /* an event that is kept */

/* A packet is ready: publish it on the node's topic. */
typedef void (*nodes_send_fn)(void *context, const char *name, const char *packet, size_t size);

struct nodes {
    struct node list[NODES_MAX];
    uint32_t last_link;
    struct told *told_first, *told_last; /* by their numbers */
    size_t told_count, told_bytes;
    nodes_send_fn send;
    void *context;
};

void nodes_init(struct nodes *nodes, nodes_send_fn send, void *context);
void nodes_finish(struct nodes *nodes);

/* HELLO: the node begins anew, watching nothing, its packets numbered from 1. It is told first what is kept
 * of the events from the number `event` on; 0: of none. NULL when NODES_MAX are there or the name is too
 * long. */
struct node *nodes_hello(struct nodes *nodes, const char *name, size_t name_size, const void *client,
                         int64_t event, int64_t now_ns);
struct node *nodes_find(struct nodes *nodes, const char *name, size_t name_size);
struct node *nodes_by_link(struct nodes *nodes, uint32_t link);

/* The connection ended: its node, if it had one, is forgotten. */
void nodes_gone(struct nodes *nodes, const void *client);

bool node_watch(struct node *node, const struct uuid *room); /* false at NODE_WATCHED_MAX */
void node_unwatch(struct node *node, const struct uuid *room);
bool node_watches(const struct node *node, const struct uuid *room);

/* Adds a record to the node's packet, which is sent when it is full. */
void nodes_put(struct nodes *nodes, struct node *node, const struct wire_record *record);
/* An EVENT, for all nodes that watch its room, are new, or have its user; it is kept. */
void nodes_tell(struct nodes *nodes, const struct wire_record *event, int64_t now_ns);
int64_t nodes_told(const struct nodes *nodes); /* the number of the last one that is kept, 0: of none */
void nodes_forget_told(struct nodes *nodes);   /* the events are another database's */

/* Sends what is packed, to all nodes. */
void nodes_flush(struct nodes *nodes);

#endif
