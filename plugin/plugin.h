/* The plugin as the broker's thread knows it: what its parts share.
 *
 * Flow:   the broker's callbacks (plugin.c) -> auth, acl, ingress, fanout, each of which gets the plugin.
 * Thread: the broker's; writer, memberlog and wake have threads of their own behind their functions.
 * Owns:   all parts, from mosquitto_plugin_init to mosquitto_plugin_cleanup. */
#ifndef PARLOR_PLUGIN_PLUGIN_H
#define PARLOR_PLUGIN_PLUGIN_H

#include "core/access.h"
#include "core/config.h"
#include "core/log.h"
#include "core/memberlog.h"
#include "core/token.h"
#include "core/topic.h"
#include "plugin/asked.h"
#include "plugin/broker.h"
#include "plugin/clients.h"
#include "plugin/nodes.h"
#include "plugin/presence.h"
#include "plugin/queue.h"
#include "plugin/rates.h"
#include "plugin/stalls.h"
#include "plugin/tally.h"
#include "plugin/typing.h"
#include "plugin/wake.h"
#include "plugin/writer.h"

#define PLUGIN_NS_PER_S INT64_C(1000000000)

struct plugin {
    mosquitto_plugin_id_t *id;
    struct config *config;
    struct token_keys *keys;
    struct members *members;
    struct memberlog *memberlog;
    struct clients *clients;
    struct inboxes *inboxes;
    struct nodes nodes;
    struct asked asked;
    struct rates *sends, *marks, *connects, *renewals;
    struct typing *typing;
    struct presence *presence;
    struct queue *results;
    struct queue_node *unsent, **unsent_end; /* taken from it, for the next turns of the loop */
    size_t unsent_count;
    struct writer *writer;
    struct wake *wake;
    uint64_t boot;

    int64_t now_ns, now_s;  /* of the last tick */
    struct credit *credits; /* subscriptions granted before the members were read; newest first */
    size_t credit_count;
    bool loaded, stale; /* the mirror has its first batch; it is too old for new grants */
    bool reloading;     /* between the reload event and the next tick */
    bool published;     /* something was handed to the broker since the last tick */

    /* The last topic name that was parsed: of a message to a thousand subscribers it is parsed once. */
    char name_text[TOPIC_TEXT_MAX + 1];
    struct topic name;

    /* What the service was told last. */
    int64_t told_version, told_ns;
    bool told_up;

    struct log_limit refused_lines, unread_lines, auth_lines, rejected_lines;
    struct request_ids requests; /* of what clients publish */
    struct stalls stalls;
    int64_t stalls_ns; /* when they were last logged */
    struct tally tally;
};

/* Hands a copy of the bytes to the broker to publish, in its next turn. */
void plugin_publish(struct plugin *p, const char *topic, const void *payload, size_t size, int qos);

/* The same, at QoS 1 and retained. */
void plugin_publish_retained(struct plugin *p, const char *topic, const void *payload, size_t size);

/* What verdicts rest upon now. */
struct grounds plugin_grounds(const struct plugin *p);

/* The topic name parsed, from the cache when it is the last one. Good until the next call. */
const struct topic *plugin_topic(struct plugin *p, const char *text);

#endif
