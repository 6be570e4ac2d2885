#include "plugin/api.h"

#include "core/clock.h"

#include <stdio.h>
#include <string.h>

#define REPLY_MAX 512

static void publish(struct plugin *p, const char *user, const char *request_id, const void *reply,
                    size_t size)
{
    char topic[TOPIC_TEXT_MAX];
    topic_format_user(topic, p->config->prefix, user, TOPIC_USER_REPLIES, request_id);
    plugin_publish(p, topic, reply, size, 1);
}

/* `hint` may be "". */
static void refuse(struct plugin *p, const char *user, const char *request_id, int status, const char *word,
                   const char *text, const char *hint)
{
    char reply[REPLY_MAX];
    struct trace trace = {.id = request_id};
    trace_rejected(
        &p->rejected_lines, p->now_ns,
        &(struct rejection){.user = user, .what = "api", .code = word, .why = text, .trace = &trace});
    int size =
        snprintf(reply, sizeof reply,
                 "{\"status\":%d,\"body\":{\"statusCode\":%d,\"error\":\"%s\",\"code\":\"%s\","
                 "\"message\":\"%s\",%s%s%s\"requestId\":\"%s\"}}",
                 status, status, status == 413 ? "Payload Too Large" : "Service Unavailable", word, text,
                 *hint != '\0' ? "\"hint\":\"" : "", hint, *hint != '\0' ? "\"," : "", request_id);
    publish(p, user, request_id, reply, (size_t)size);
}

static void on_given_up(void *context, const char *user, const char *request_id)
{
    refuse(context, user, request_id, 503, "uncertain", "no answer in time: it may or may not have happened",
           "Repeat the request with the same idempotencyKey: it is done once.");
}

void api_node_gone(struct plugin *p, uint32_t link)
{
    asked_give_up(&p->asked, link, 0, on_given_up, p);
}

void api_tick(struct plugin *p)
{
    asked_give_up(&p->asked, LINK_NONE, p->now_ns, on_given_up, p);
}

/* A user's requests go to the same node as long as the nodes are the same: it counts their rate. */
static struct node *choose(struct plugin *p, const struct person *person)
{
    struct node *linked[NODES_MAX];
    size_t count = 0;
    for (struct node *node = p->nodes.list; node < p->nodes.list + NODES_MAX; node++)
        if (node->used)
            linked[count++] = node;
    return count == 0 ? NULL : linked[bytes_hash(person->user, person->size) % count];
}

void api_request(struct plugin *p, const struct client *client, const struct topic *topic,
                 const void *payload, size_t size)
{
    char request_id[USER_ID_MAX + 1];
    const struct person *person = client->person;
    struct node *node = choose(p, person);
    snprintf(request_id, sizeof request_id, "%.*s", (int)topic->request.size, topic->request.text);
    if (size > (size_t)p->config->payload_bytes_max) {
        refuse(p, person->user, request_id, 413, "payload_too_large",
               "the payload is larger than payload_bytes_max", "");
        return;
    }
    if (node == NULL) {
        refuse(p, person->user, request_id, 503, "unavailable",
               "no parlord is linked to this broker: try again in a moment", "");
        return;
    }
    if (!asked_note(&p->asked, node->link, person->user, request_id, clock_mono_ns())) {
        refuse(p, person->user, request_id, 503, "busy", "too many requests wait for an answer",
               "Nothing was changed; try again in a moment.");
        return;
    }
    struct wire_record record = {.type = WIRE_API,
                                 .user = person->user,
                                 .user_size = person->size,
                                 .seq = client->role,
                                 .version = client->expires_at_s,
                                 .word = request_id,
                                 .word_size = strlen(request_id),
                                 .payload = payload,
                                 .payload_size = size};
    nodes_put(&p->nodes, node, &record);
}

void api_reply(struct plugin *p, const struct wire_record *record)
{
    char user[USER_ID_MAX + 1], request_id[USER_ID_MAX + 1];
    if (!user_id_valid(record->user, record->user_size) || !user_id_valid(record->word, record->word_size)) {
        log_warn("api", "a reply to a malformed user or request");
        return;
    }
    snprintf(user, sizeof user, "%.*s", (int)record->user_size, record->user);
    snprintf(request_id, sizeof request_id, "%.*s", (int)record->word_size, record->word);
    if (asked_take(&p->asked, user, request_id)) /* else it was given up, and that was its answer */
        publish(p, user, request_id, record->payload, record->payload_size);
}
