#include "plugin/api.h"

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

static void refuse(struct plugin *p, const char *user, const char *request_id, int status, const char *error,
                   const char *word, const char *text)
{
    char reply[REPLY_MAX];
    int size = snprintf(reply, sizeof reply,
                        "{\"status\":%d,\"body\":{\"statusCode\":%d,\"error\":\"%s\",\"code\":\"%s\","
                        "\"message\":\"%s\",\"requestId\":\"%s\"}}",
                        status, status, error, word, text, request_id);
    publish(p, user, request_id, reply, (size_t)size);
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
        refuse(p, person->user, request_id, 413, "Payload Too Large", "payload_too_large",
               "the payload is larger than payload_bytes_max");
        return;
    }
    if (node == NULL) {
        refuse(p, person->user, request_id, 503, "Service Unavailable", "unavailable",
               "no parlord is linked to this broker: try again in a moment");
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
    publish(p, user, request_id, record->payload, record->payload_size);
}
