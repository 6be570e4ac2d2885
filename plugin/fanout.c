#include "plugin/fanout.h"

#include "plugin/inbox.h"
#include "plugin/item.h"
#include "plugin/live.h"
#include "plugin/logs.h"
#include "plugin/membership.h"

#include <string.h>

#define STATE_EVERY_NS PLUGIN_NS_PER_S
/* One turn of the loop fans out so much, or half of what waits if that is more; the rest follows in the next.
 * In between the broker reads, so that the senders' next messages are being stored while these go out; and
 * what waits here can't grow past twice what a turn reads. */
#define TURN_DELIVERIES 128
#define FRESH_NS        (3 * PLUGIN_NS_PER_S) /* the log is read once a second: a database that answers is newer */

void fanout_packet(void *context, const char *name, const char *packet, size_t size)
{
    struct plugin *p = context;
    char topic[TOPIC_TEXT_MAX];
    topic_format_service(topic, p->config->prefix, TOPIC_SERVICE_OUT, name);
    plugin_publish(p, topic, packet, size, 0);
}

static void send_ack(struct plugin *p, const struct result *result)
{
    char topic[TOPIC_TEXT_MAX];
    if (result->ack_size == 0)
        return;
    topic_format_user(topic, p->config->prefix, result->user, TOPIC_USER_ACKS, NULL);
    plugin_publish(p, topic, result->ack, result->ack_size, 1);
}

static void put_answer(struct plugin *p, struct node *node, enum wire_type type, const struct result *result)
{
    struct wire_record record = {.type = type,
                                 .request = node->link == result->link ? result->request : 0,
                                 .room = result->room,
                                 .seq = result->seq,
                                 .error_code = (unsigned)result->code,
                                 .word = result->word,
                                 .word_size = strlen(result->word),
                                 .payload = result->body,
                                 .payload_size = result->body_size};
    nodes_put(&p->nodes, node, &record);
}

/* Every node that watches the room gets the message; the one that sent it gets its answer in any case. */
static void send_message(struct plugin *p, const struct result *result)
{
    char topic[TOPIC_TEXT_MAX];
    topic_format_room(topic, p->config->prefix, &result->room, TOPIC_ROOM_MESSAGES, NULL);
    plugin_publish(p, topic, result->body, result->body_size, 1);
    inbox_publish(p, &result->room, result->body, result->body_size);
    for (struct node *node = p->nodes.list; node < p->nodes.list + NODES_MAX; node++) {
        if (!node->used)
            continue;
        if (node_watches(node, &result->room))
            put_answer(p, node, WIRE_MESSAGE, result);
        else if (node->link == result->link)
            put_answer(p, node, WIRE_STORED, result);
    }
}

static struct wire_record receipt_record(const struct result *result, uint64_t request)
{
    return (struct wire_record){.type = WIRE_RECEIPT,
                                .request = request,
                                .room = result->room,
                                .seq = result->seq,
                                .user = result->user,
                                .user_size = strlen(result->user),
                                .payload = result->body,
                                .payload_size = result->body_size};
}

/* Watermarks that moved: to the room, and without a request to the nodes that watch it. */
static void send_receipt(struct plugin *p, const struct result *result)
{
    char topic[TOPIC_TEXT_MAX];
    struct wire_record record = receipt_record(result, 0);
    topic_format_room(topic, p->config->prefix, &result->room, TOPIC_ROOM_RECEIPTS, NULL);
    plugin_publish(p, topic, result->body, result->body_size, 1);
    for (struct node *node = p->nodes.list; node < p->nodes.list + NODES_MAX; node++)
        if (node->used && node_watches(node, &result->room))
            nodes_put(&p->nodes, node, &record);
}

static void answer_mark(struct plugin *p, const struct result *result)
{
    struct node *node = nodes_by_link(&p->nodes, result->link);
    struct wire_record record = receipt_record(result, result->request);
    if (node != NULL)
        nodes_put(&p->nodes, node, &record);
}

static void send_answer(struct plugin *p, enum wire_type type, const struct result *result)
{
    struct node *node = result->link == LINK_NONE ? NULL : nodes_by_link(&p->nodes, result->link);
    if (node != NULL)
        put_answer(p, node, type, result);
}

static void send_result(struct plugin *p, struct result *result)
{
    switch (result->kind) {
    case RESULT_STORED:
        send_message(p, result);
        trace_published(result);
        break;
    case RESULT_REPLAYED:
        send_answer(p, WIRE_STORED, result);
        break;
    case RESULT_REJECTED:
        send_answer(p, WIRE_REJECTED, result);
        trace_rejected_result(&p->rejected_lines, p->now_ns, result);
        break;
    case RESULT_RECEIPT:
        send_receipt(p, result);
        return;
    case RESULT_MARKED:
        answer_mark(p, result);
        return;
    case RESULT_MEMBERS:
        membership_apply(p, &result->batch);
        return;
    }
    send_ack(p, result);
}

/* STATE: at a HELLO, at each change, and once a second. It follows, in the same packet or a later one, what
 * was published under the version before. */
static void put_states(struct plugin *p)
{
    int64_t version = members_version(p->members);
    bool up = writer_database_up(p->writer) && p->now_ns - members_fresh_ns(p->members) < FRESH_NS;
    bool news = version != p->told_version || up != p->told_up || p->now_ns - p->told_ns >= STATE_EVERY_NS;
    struct wire_record state = {.type = WIRE_STATE,
                                .boot = p->boot,
                                .version = version,
                                .database_up = up,
                                .seq = nodes_told(&p->nodes)};
    for (struct node *node = p->nodes.list; node < p->nodes.list + NODES_MAX; node++) {
        if (!node->used || (!news && !node->greeted))
            continue;
        if (node->greeted)
            live_tell_node(p, node);
        node->greeted = false;
        nodes_put(&p->nodes, node, &state);
    }
    if (news) {
        p->told_version = version;
        p->told_up = up;
        p->told_ns = p->now_ns;
    }
}

/* What has become of items since: behind what is left of earlier turns. */
static void take_results(struct plugin *p)
{
    *p->unsent_end = queue_take(p->results);
    while (*p->unsent_end != NULL) {
        p->unsent_end = &(*p->unsent_end)->next;
        p->unsent_count++;
    }
}

static struct result *pop_result(struct plugin *p)
{
    struct queue_node *node = p->unsent;
    if (node == NULL)
        return NULL;
    p->unsent = node->next;
    p->unsent_count--;
    if (p->unsent == NULL)
        p->unsent_end = &p->unsent;
    return (struct result *)(void *)node;
}

/* How much the broker has to do for it, in deliveries at most. */
static size_t deliveries(const struct plugin *p, const struct result *result)
{
    bool to_room = result->kind == RESULT_STORED || result->kind == RESULT_RECEIPT;
    return 1 + (to_room ? members_room_size(p->members, &result->room) : 0);
}

void fanout_drain(struct plugin *p)
{
    struct result *result;
    size_t done = 0;
    take_results(p);
    logs_drain(); /* what the writer says of them comes before what is said here */
    size_t left = p->unsent_count / 2;
    while ((done < TURN_DELIVERIES || p->unsent_count > left) && (result = pop_result(p)) != NULL) {
        done += deliveries(p, result);
        send_result(p, result);
        tally_result(&p->tally, result);
        result_destroy(&result);
    }
    if (p->unsent != NULL)
        wake_again(p->wake);
    tally_tick(p); /* before the states, which greet */
    put_states(p);
    nodes_flush(&p->nodes);
}

void fanout_discard(struct plugin *p)
{
    struct result *result;
    take_results(p);
    while ((result = pop_result(p)) != NULL)
        result_destroy(&result);
}
