/* What walks between the broker's thread and the writer's: an item is something a client sent, a result is
 * what became of it.
 *
 * Flow:   ingress -> struct item -> writer -> struct result -> fanout.
 * Thread: each belongs to one thread at a time, handed over by a queue.
 * Owns:   each is one allocation with its texts behind it (an item's draft has allocations of its own). */
#ifndef PARLOR_PLUGIN_ITEM_H
#define PARLOR_PLUGIN_ITEM_H

#include "core/memberlog.h"
#include "core/message.h"
#include "core/wire.h"
#include "plugin/queue.h"
#include "plugin/trace.h"

#define LINK_NONE 0 /* the sender is an MQTT client, answered on its acks topic */

enum item_kind {
    ITEM_SEND,
    ITEM_READ,
    ITEM_DELIVERED,
    ITEM_OTHER,   /* another publish: comes only to be refused */
    ITEM_PRESENCE /* `request`: whether the user is online; `created_at_ms`: since when */
};

const char *item_kind_name(enum item_kind kind);

struct item {
    struct queue_node node;
    enum item_kind kind;
    int64_t arrived_ns; /* clock_mono_ns */
    /* An item that was refused already comes only for its payload to be read and the refusal to be answered:
     * `word` is set then, and so is `text`; both are static. */
    enum error_code code;
    const char *word, *text;
    bool told; /* the log has a line of its refusal already */
    struct trace trace;
    struct uuid room;
    uint32_t link; /* the parlord that sent it (nodes.h), or LINK_NONE */
    uint64_t request;
    const char *user, *fallback_id; /* zero-terminated; fallback_id may be "" */
    const char *payload;
    size_t payload_size;
    /* the writer's */
    bool prepared;  /* draft, id and created_at_ms are set */
    bool nameless;  /* the client gave no clientMessageId: the draft's was made */
    bool uncertain; /* an earlier try may have stored it: it is never refused, only looked for again */
    struct draft draft;
    struct uuid id;
    int64_t created_at_ms;
    char tail[];
};

/* A new item with copies of user, fallback id and payload; its trace is a number, to be set. */
struct item *item_make(const char *user, size_t user_size, const char *fallback_id, size_t fallback_id_size,
                       const void *payload, size_t payload_size);
/* What a parlord says for a user, by a SEND, READ or DELIVERED, with copies of the record's texts. */
struct item *item_make_said(const struct wire_record *record);
void item_destroy(struct item **item);

/* Items of one owner, oldest first; zeroed: empty. */
struct item_list {
    struct item *first, *last;
};

struct item *item_of(struct queue_node *node);   /* the item whose first member the node is */
struct item *item_next(const struct item *item); /* in its list; NULL: the last */
void item_list_put(struct item_list *list, struct item *item);
void item_list_put_back(struct item_list *list, struct item *item);          /* before all others */
void item_list_put_before(struct item_list *list, struct item_list *others); /* before all, in their order */
struct item *item_list_pop(struct item_list *list);                          /* must not be empty */

/* Moves the items of the first one's room to the front, both parts in order; returns how many they are. */
size_t item_gather_room(struct item **items, size_t count);

enum result_kind {
    RESULT_STORED,
    RESULT_REPLAYED,
    RESULT_REJECTED,
    RESULT_RECEIPT, /* watermarks moved: for the room */
    RESULT_MARKED,  /* the answer to a parlord's READ or DELIVERED */
    RESULT_MEMBERS
};

struct result {
    struct queue_node node;
    enum result_kind kind;
    enum item_kind item_kind; /* of the item that it answers; trace and told, too */
    bool told;
    struct trace trace;
    uint32_t link;
    uint64_t request;
    struct uuid room;
    int64_t seq;
    int64_t committed_ns; /* of RESULT_STORED: clock_mono_ns at its commit */
    enum error_code code;
    const char *user; /* the sender */
    const char *word; /* of a rejection */
    const char *body; /* the message (stored, replayed), the receipt, or the text of the rejection */
    size_t body_size;
    const char *ack; /* JSON for users/{user}/acks; empty when the sender is a parlord */
    size_t ack_size;
    struct memberlog_batch *batch; /* RESULT_MEMBERS */
    char tail[];
};

/* A new result for the item with copies of the texts. */
struct result *result_make(enum result_kind kind, const struct item *item, const char *word,
                           const struct buf *body, const struct buf *ack);
struct result *result_make_members(struct memberlog_batch *batch);
void result_destroy(struct result **result);

#endif
