#include "plugin/acl.h"

#include "core/message.h"
#include "plugin/auth.h"
#include "plugin/inbox.h"
#include "plugin/ingress.h"
#include "plugin/membership.h"

#include <string.h>

#define REFUSED_LINES_PER_S 10
#define UNREAD_LINES_PER_S  1 /* a subscription that outlives its right is refused with every message */

struct subject acl_subject(const struct plugin *p, const struct client *client)
{
    bool alive = client->connected && p->now_s < client->expires_at_s;
    return (struct subject){.user = client->person->user,
                            .user_size = client->person->size,
                            .role = client->role,
                            .connected = alive};
}

struct acl_refusal acl_refusal(const struct plugin *p, enum rule rule)
{
    if (rule == RULE_NOT_MEMBER && (p->stale || !p->loaded))
        return (struct acl_refusal){ERROR_UNAVAILABLE, "unavailable",
                                    "memberships can't be read now; send it again in a while"};
    if (rule == RULE_NOT_MEMBER)
        return (struct acl_refusal){ERROR_NOT_FOUND, "room_not_found", "there is no such room for you"};
    if (rule == RULE_MATRIX)
        return (struct acl_refusal){ERROR_DENIED, "forbidden", rule_text(rule)};
    return (struct acl_refusal){ERROR_DENIED, rule_name(rule), rule_text(rule)};
}

void acl_log(struct plugin *p, const char *user, const char *client_id, const char *what, const char *topic,
             const char *rule, const struct trace *trace)
{
    char made[REQUEST_NUMBER_SIZE];
    unsigned held;
    bool reading = strcmp(what, "read") == 0;
    struct log_limit *limit = reading ? &p->unread_lines : &p->refused_lines;
    if (log_limit_pass(limit, reading ? UNREAD_LINES_PER_S : REFUSED_LINES_PER_S, p->now_ns, &held))
        log_warn("acl", "refused %s user=%s client=%s topic=%.200s rule=%s request=%s held=%u", what,
                 user == NULL ? "" : user, client_id == NULL ? "" : client_id, topic, rule,
                 trace != NULL ? trace_id(trace, made) : "-", held);
}

static const char *access_name(enum access access)
{
    return access == ACCESS_READ ? "read" : access == ACCESS_WRITE ? "write" : "subscribe";
}

static int outside(const struct plugin *p, enum access access, const char *topic)
{
    return access_opens_outside(p->config->outside_prefix, access, topic) ? BROKER_OK : BROKER_DEFER;
}

/* A client without a token has no identity under the prefix. What it may subscribe to outside is for the
 * broker's other rules to say, `#` too: what lies under the prefix is not delivered to it. */
static int check_foreign(struct plugin *p, const struct mosquitto_evt_acl_check *event, enum access access,
                         const struct topic *topic)
{
    if (topic->kind == TOPIC_OUTSIDE)
        return outside(p, access, event->topic);
    acl_log(p, mosquitto_client_username(event->client), mosquitto_client_id(event->client),
            access_name(access), event->topic, "no_token", NULL);
    return BROKER_DENIED;
}

/* An offline record's pointer counts only with the id and the user that the broker gives for it. */
static bool is_still(const struct client *client, const struct mosquitto *handle)
{
    if (client->connected || client->replaced)
        return true;
    const char *id = mosquitto_client_id(handle), *user = mosquitto_client_username(handle);
    return id != NULL && user != NULL && strcmp(id, client->id) == 0 &&
           strcmp(user, client->person->user) == 0;
}

static int deny(struct plugin *p, const struct mosquitto_evt_acl_check *event, enum access access,
                const struct topic *topic, struct client *client, enum rule rule)
{
    if (access == ACCESS_SUBSCRIBE && p->stale)
        client->unheard = true;
    bool writes = access == ACCESS_WRITE;
    struct trace trace = {"", {0}};
    if (writes)
        trace.number = request_ids_take(&p->requests);
    acl_log(p, client->person->user, client->id, access_name(access), event->topic, rule_name(rule),
            writes ? &trace : NULL);
    if (writes && client->connected && client->role != ROLE_SERVICE) {
        struct acl_refusal refusal = acl_refusal(p, rule);
        ingress_refuse_told(p, client, topic, event->payload, event->payloadlen, &refusal, trace.number);
    }
    return BROKER_DENIED;
}

/* What is published of a message reaches only those whose history reaches the message. */
static bool is_older(const struct plugin *p, const struct mosquitto_evt_acl_check *event,
                     const struct topic *topic, const struct client *client)
{
    int64_t seq;
    if (topic->kind != TOPIC_ROOM_MESSAGES || access_reaches_all(&topic->id, p->members))
        return false;
    return !message_read_seq(event->payload, event->payloadlen, &seq) ||
           !access_message(client->person->user, client->person->size, &topic->id, seq, p->members).allowed;
}

static void on_unsubscribe(struct plugin *p, const struct mosquitto_evt_acl_check *event)
{
    const struct client *client = clients_find(p->clients, event->client);
    struct topic filter = filter_parse(p->config->prefix, event->topic);
    if (client != NULL && client->person != NULL)
        inbox_unsubscribed(p, client, &filter);
}

int acl_check(struct plugin *p, const struct mosquitto_evt_acl_check *event)
{
    struct topic filter;
    const struct topic *topic = &filter;
    enum access access = ACCESS_SUBSCRIBE;
    if (event->access == MOSQ_ACL_UNSUBSCRIBE) {
        on_unsubscribe(p, event);
        return BROKER_OK;
    }
    if (event->access == MOSQ_ACL_SUBSCRIBE) {
        filter = filter_parse(p->config->prefix, event->topic);
    } else {
        access = event->access == MOSQ_ACL_READ ? ACCESS_READ : ACCESS_WRITE;
        topic = plugin_topic(p, event->topic);
    }
    struct client *client = clients_find(p->clients, event->client);
    if (client != NULL && (client->person == NULL || !is_still(client, event->client)))
        client = NULL;
    if (access == ACCESS_READ && inbox_asks(p, client, topic, event->payloadlen))
        return BROKER_DENIED;
    if (client == NULL)
        return check_foreign(p, event, access, topic);
    struct subject who = acl_subject(p, client);
    struct grounds grounds = plugin_grounds(p);
    struct verdict verdict = access_topic(&who, access, topic, &grounds);
    if (!verdict.allowed)
        return deny(p, event, access, topic, client, verdict.rule);
    if (access == ACCESS_READ && verdict.rule == RULE_MEMBER && is_older(p, event, topic, client))
        return BROKER_DENIED;
    if (verdict.rule == RULE_UNREAD && !membership_credit(p, client->id, event->topic))
        return deny(p, event, access, topic, client, verdict.rule);
    if (access == ACCESS_SUBSCRIBE) {
        inbox_subscribed(p, client, topic);
        auth_subscribed(p, client, topic);
    }
    return verdict.rule == RULE_OUTSIDE_PREFIX ? outside(p, access, event->topic) : BROKER_OK;
}
