#include "plugin/outbox.h"

#include "plugin/inbox.h"
#include "plugin/trace.h"

#include <string.h>

static void put_record(struct plugin *p, const struct memberlog_event *event)
{
    const char *word = event->messages ? "messages" : "events";
    struct wire_record record = {.type = WIRE_EVENT,
                                 .room = event->room,
                                 .user = event->user,
                                 .user_size = strlen(event->user),
                                 .seq = event->id,
                                 .version = event->version,
                                 .word = word,
                                 .word_size = strlen(word),
                                 .payload = event->payload,
                                 .payload_size = event->payload_size};
    nodes_tell(&p->nodes, &record, p->now_ns);
}

static void publish(void *context, const struct memberlog_event *event)
{
    struct plugin *p = context;
    char topic[TOPIC_TEXT_MAX];
    if (event->user[0] != '\0')
        topic_format_user(topic, p->config->prefix, event->user, TOPIC_USER_EVENTS, NULL);
    else
        topic_format_room(topic, p->config->prefix, &event->room,
                          event->messages ? TOPIC_ROOM_MESSAGES : TOPIC_ROOM_EVENTS, NULL);
    plugin_publish(p, topic, event->payload, event->payload_size, 1);
    if (event->messages && event->user[0] == '\0')
        inbox_publish(p, &event->room, event->payload, event->payload_size);
    put_record(p, event);
    trace_event(event);
}

void outbox_publish(struct plugin *p, const struct memberlog_batch *batch)
{
    memberlog_each_event(batch, publish, p);
}
