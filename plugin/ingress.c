/* A consumed message goes on through the broker as an empty one on a private topic that nobody can read:
 * the topic's text is overwritten in place, the payload taken away (the broker frees the one it had). The
 * client gets its PUBACK, which says that the broker has it; what became of it comes on `acks`. */
#include "plugin/ingress.h"

#include "core/clock.h"
#include "plugin/api.h"
#include "plugin/auth.h"
#include "plugin/live.h"

#include <string.h>

#define REFUSED_PAYLOAD_FACTOR 4 /* a payload up to so many times the limit is searched for its id */

static void consume(struct mosquitto_evt_message *event)
{
    memcpy(event->topic, TOPIC_PRIVATE_TEXT, sizeof TOPIC_PRIVATE_TEXT);
    event->payload = NULL;
    event->payloadlen = 0;
    event->retain = false;
}

static bool within_rate(struct plugin *p, const char *user, size_t size)
{
    return !p->config->limits || rates_take(p->sends, bytes_hash(user, size), p->config->sends_per_s,
                                            p->config->sends_burst, clock_mono_ns());
}

/* Receipts come in swarms of their own: they have a bucket beside the messages'. */
static bool within_marks(struct plugin *p, const char *user, size_t size)
{
    return !p->config->limits || rates_take(p->marks, bytes_hash(user, size), p->config->sends_per_s,
                                            p->config->sends_burst, clock_mono_ns());
}

static const struct acl_refusal too_large = {ERROR_LIMIT, "payload_too_large",
                                             "the payload is larger than payload_bytes_max"};
static const struct acl_refusal mark_too_large = {ERROR_LIMIT, "payload_too_large",
                                                  "a mark has at most 1024 bytes"};
static const struct acl_refusal typing_too_large = {ERROR_LIMIT, "payload_too_large",
                                                    "typing has at most 1024 bytes"};
_Static_assert(RECEIPT_BYTES_MAX == 1024 && TYPING_BYTES_MAX == 1024, "the texts name the limits");
static const struct acl_refusal too_fast = {ERROR_LIMIT, "rate_limited",
                                            "too many messages; send it again more slowly"};
static const struct acl_refusal busy = {ERROR_UNAVAILABLE, "busy",
                                        "too many messages are waiting; send it again in a while"};
static const struct acl_refusal not_served = {ERROR_INVALID, "unknown_topic", "this topic is not served"};

static void item_refuse(struct plugin *p, struct item *item, const struct acl_refusal *refusal)
{
    item->code = refusal->code;
    item->word = refusal->word;
    item->text = refusal->text;
    writer_refuse(p->writer, item);
}

static enum item_kind kind_of(const struct topic *topic)
{
    return topic->kind == TOPIC_ROOM_SEND        ? ITEM_SEND
           : topic->kind == TOPIC_ROOM_READ      ? ITEM_READ
           : topic->kind == TOPIC_ROOM_DELIVERED ? ITEM_DELIVERED
                                                 : ITEM_OTHER;
}

/* The item of a publish that comes to be refused; NULL when its sender is refused too often to be answered.
 */
static struct item *make_refused(struct plugin *p, const struct client *client, const struct topic *topic,
                                 const void *payload, size_t size, struct request_number number)
{
    if (size > (size_t)p->config->payload_bytes_max * REFUSED_PAYLOAD_FACTOR ||
        topic->kind == TOPIC_USER_TOKEN)
        size = 0;
    const struct person *person = client->person;
    if (!within_rate(p, person->user, person->size))
        return NULL;
    struct item *item = item_make(person->user, person->size, "", 0, payload, size);
    item->kind = kind_of(topic);
    if (item->kind != ITEM_OTHER || topic->kind == TOPIC_ROOM_TYPING)
        item->room = topic->id;
    item->trace.number = number;
    return item;
}

void ingress_refuse_told(struct plugin *p, const struct client *client, const struct topic *topic,
                         const void *payload, size_t size, const struct acl_refusal *refusal,
                         struct request_number number)
{
    struct item *item = make_refused(p, client, topic, payload, size, number);
    if (item == NULL)
        return;
    item->told = true;
    item_refuse(p, item, refusal);
}

static void refuse_large(struct plugin *p, const struct client *client, const struct topic *topic,
                         const void *payload, size_t size, const struct acl_refusal *refusal)
{
    struct item *item = make_refused(p, client, topic, payload, size, request_ids_take(&p->requests));
    if (item != NULL)
        item_refuse(p, item, refusal);
}

/* The user that speaks: the topic's last level, which access has compared with the client (or the service
 * may speak for). */
static void on_send(struct plugin *p, const struct client *client, const struct topic *topic,
                    const struct mosquitto_evt_message *event)
{
    const struct topic_part *user = &topic->speaker;
    size_t size = event->payloadlen;
    if (size > (size_t)p->config->payload_bytes_max) {
        refuse_large(p, client, topic, event->payload, size, &too_large);
        return;
    }
    struct item *item = item_make(user->text, user->size, "", 0, event->payload, size);
    item->room = topic->id;
    item->trace.number = request_ids_take(&p->requests);
    item->arrived_ns = clock_mono_ns();
    if (!within_rate(p, user->text, user->size))
        item_refuse(p, item, &too_fast);
    else if (!writer_submit(p->writer, item))
        item_refuse(p, item, &busy);
}

static void on_mark(struct plugin *p, const struct client *client, const struct topic *topic,
                    const struct mosquitto_evt_message *event)
{
    const struct topic_part *user = &topic->speaker;
    if (event->payloadlen > RECEIPT_BYTES_MAX) {
        refuse_large(p, client, topic, NULL, 0, &mark_too_large);
        return;
    }
    struct item *item = item_make(user->text, user->size, "", 0, event->payload, event->payloadlen);
    item->kind = kind_of(topic);
    item->room = topic->id;
    item->trace.number = request_ids_take(&p->requests);
    item->arrived_ns = clock_mono_ns();
    if (!within_marks(p, user->text, user->size))
        item_refuse(p, item, &too_fast);
    else if (!writer_submit(p->writer, item))
        item_refuse(p, item, &busy);
}

/* Typing passes straight through to the room; it is small, never retained, and not too often. Its properties
 * (MQTT 5) could be as large as a packet, within none of our limits: they stay here. The broker takes back
 * what is left of them. */
static int on_typing(struct plugin *p, const struct client *client, const struct topic *topic,
                     struct mosquitto_evt_message *event)
{
    event->retain = false;
    if (event->payloadlen > TYPING_BYTES_MAX) {
        refuse_large(p, client, topic, NULL, 0, &typing_too_large);
        return BROKER_DENIED;
    }
    mosquitto_property_free_all(&event->properties);
    if (!live_typing(p, topic, event))
        consume(event);
    return BROKER_OK;
}

/* Packets of the service. */

static enum item_kind said_kind(const struct wire_record *said)
{
    return said->type == WIRE_SEND ? ITEM_SEND : said->type == WIRE_READ ? ITEM_READ : ITEM_DELIVERED;
}

static void node_reject(struct plugin *p, struct node *node, const struct wire_record *said,
                        const struct acl_refusal *refusal)
{
    struct wire_record record = {.type = WIRE_REJECTED,
                                 .request = said->request,
                                 .error_code = (unsigned)refusal->code,
                                 .word = refusal->word,
                                 .word_size = strlen(refusal->word),
                                 .payload = refusal->text,
                                 .payload_size = strlen(refusal->text)};
    tally_rejected(&p->tally, said_kind(said), refusal->word);
    nodes_put(&p->nodes, node, &record);
}

/* The trace of a record, whose id is copied to `id`. */
static struct trace said_trace(const struct wire_record *said, char id[WIRE_REQUEST_ID_MAX + 1])
{
    size_t size = said->request_id_size;
    if (size > WIRE_REQUEST_ID_MAX)
        size = WIRE_REQUEST_ID_MAX;
    if (size > 0)
        memcpy(id, said->request_id, size);
    id[size] = '\0';
    return (struct trace){.id = id};
}

static void node_refuse(struct plugin *p, struct node *node, const char *user, const struct wire_record *said,
                        const struct acl_refusal *refusal)
{
    char id[WIRE_REQUEST_ID_MAX + 1];
    struct trace trace = said_trace(said, id);
    trace_rejected(&p->rejected_lines, p->now_ns,
                   &(struct rejection){.user = user,
                                       .what = item_kind_name(said_kind(said)),
                                       .room = &said->room,
                                       .code = refusal->word,
                                       .why = refusal->text,
                                       .trace = &trace});
    node_reject(p, node, said, refusal);
}

static void node_deny(struct plugin *p, struct node *node, const char *user, const struct wire_record *said,
                      enum rule rule)
{
    char id[WIRE_REQUEST_ID_MAX + 1];
    struct trace trace = said_trace(said, id);
    struct acl_refusal refusal = acl_refusal(p, rule);
    acl_log(p, user, node->name, said->type == WIRE_SEND ? "send" : "receipt", "", rule_name(rule), &trace);
    node_reject(p, node, said, &refusal);
}

/* The rule for the same publish by the user itself. */
static struct verdict may_send(const struct plugin *p, const struct wire_record *record, const char *user)
{
    enum topic_kind kind = record->type == WIRE_READ        ? TOPIC_ROOM_READ
                           : record->type == WIRE_DELIVERED ? TOPIC_ROOM_DELIVERED
                                                            : TOPIC_ROOM_SEND;
    struct topic topic = {
        .kind = kind, .id = record->room, .speaker = {.text = user, .size = record->user_size}};
    struct subject who = {.user = user, .user_size = record->user_size, .role = ROLE_USER, .connected = true};
    struct grounds grounds = plugin_grounds(p);
    return access_topic(&who, ACCESS_WRITE, &topic, &grounds);
}

/* SEND, READ or DELIVERED. */
static void on_node_say(struct plugin *p, struct node *node, const struct wire_record *record)
{
    char user[USER_ID_MAX + 1];
    bool sends = record->type == WIRE_SEND;
    if (!user_id_valid(record->user, record->user_size)) {
        log_warn("ingress", "node %s speaks for a malformed user request=%.*s", node->name,
                 (int)record->request_id_size, record->request_id != NULL ? record->request_id : "");
        node_reject(p, node, record, &not_served);
        return;
    }
    memcpy(user, record->user, record->user_size);
    user[record->user_size] = '\0';
    struct verdict verdict = may_send(p, record, user);
    if (!verdict.allowed) {
        node_deny(p, node, user, record, verdict.rule);
    } else if (record->payload_size > (sends ? (size_t)p->config->payload_bytes_max : RECEIPT_BYTES_MAX)) {
        node_refuse(p, node, user, record, sends ? &too_large : &mark_too_large);
    } else if (sends ? !within_rate(p, user, record->user_size) : !within_marks(p, user, record->user_size)) {
        node_refuse(p, node, user, record, &too_fast);
    } else {
        struct item *item = item_make_said(record);
        item->arrived_ns = clock_mono_ns();
        item->link = node->link;
        if (!writer_submit(p->writer, item)) {
            node_refuse(p, node, user, record, &busy);
            item_destroy(&item);
        }
    }
}

static void on_node_watch(struct plugin *p, struct node *node, const struct wire_record *record)
{
    if (!node_watch(node, &record->room)) {
        log_warn("ingress", "node %s watches %d rooms, the most it may", node->name, NODE_WATCHED_MAX);
        return;
    }
    nodes_put(&p->nodes, node, &(struct wire_record){.type = WIRE_WATCHED, .room = record->room});
}

/* One record; returns the node, which a HELLO makes. */
static struct node *on_record(struct plugin *p, const struct client *client, const struct topic *topic,
                              struct node *node, const struct wire_record *record)
{
    if (record->type == WIRE_HELLO) {
        const struct node *before = nodes_find(&p->nodes, topic->request.text, topic->request.size);
        if (before != NULL)
            api_node_gone(p, before->link);
        node = nodes_hello(&p->nodes, topic->request.text, topic->request.size, client->handle, record->seq,
                           clock_mono_ns());
        if (node == NULL)
            log_error("ingress", "client %s: there are %d nodes already", client->id, NODES_MAX);
        else
            log_info("ingress", "node %s is linked", node->name);
        if (node != NULL)
            live_node_gone(p, node); /* it names its users anew, within their grace */
    } else if (node == NULL) {
        log_warn("ingress", "client %s sent a record before its HELLO", client->id);
    } else if (record->type == WIRE_SEND || record->type == WIRE_READ || record->type == WIRE_DELIVERED) {
        on_node_say(p, node, record);
    } else if (record->type == WIRE_WATCH) {
        on_node_watch(p, node, record);
    } else if (record->type == WIRE_UNWATCH) {
        node_unwatch(node, &record->room);
    } else if (record->type == WIRE_TYPING) {
        live_node_typing(p, record);
    } else if (record->type == WIRE_ONLINE) {
        live_node_online(p, node, record);
    } else if (record->type == WIRE_REPLY) {
        api_reply(p, record);
    }
    return node;
}

static void on_packet(struct plugin *p, const struct client *client, const struct topic *topic,
                      const void *packet, size_t size)
{
    struct wire_reader reader;
    struct wire_record record;
    struct node *node = nodes_find(&p->nodes, topic->request.text, topic->request.size);
    if (node != NULL && node->client != client->handle)
        node = NULL; /* of a connection before this one: it says HELLO first */
    if (!wire_open(&reader, packet, size)) {
        log_error("ingress", "client %s sent a packet of another version", client->id);
        return;
    }
    int more;
    while ((more = wire_next(&reader, &record)) > 0)
        node = on_record(p, client, topic, node, &record);
    if (more < 0)
        log_error("ingress", "client %s sent a malformed packet", client->id);
    if (node == NULL)
        return;
    if (reader.number != 1 && reader.number != node->number_in + 1)
        log_warn("ingress", "node %s: packets %u to %u were lost", node->name, node->number_in + 1,
                 reader.number - 1);
    node->number_in = reader.number;
}

int ingress_message(struct plugin *p, struct mosquitto_evt_message *event)
{
    const struct topic *topic = plugin_topic(p, event->topic);
    if (topic->kind == TOPIC_OUTSIDE)
        return BROKER_OK;
    struct client *client = clients_find(p->clients, event->client);
    if (client == NULL || client->person == NULL)
        return BROKER_DENIED; /* a bridge of the broker's own: it is not asked ACLs, and is nobody here */
    event->retain = false;
    switch (topic->kind) {
    case TOPIC_ROOM_TYPING:
        return on_typing(p, client, topic, event);
    case TOPIC_ROOM_SEND:
        on_send(p, client, topic, event);
        break;
    case TOPIC_USER_TOKEN:
        auth_renew(p, client, event->payload, event->payloadlen);
        break;
    case TOPIC_SERVICE_IN:
        on_packet(p, client, topic, event->payload, event->payloadlen);
        break;
    case TOPIC_ROOM_READ:
    case TOPIC_ROOM_DELIVERED:
        on_mark(p, client, topic, event);
        break;
    case TOPIC_USER_API:
        api_request(p, client, topic, event->payload, event->payloadlen);
        break;
    default:
        return BROKER_OK;
    }
    consume(event);
    return BROKER_OK;
}
