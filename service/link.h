/* One MQTT connection to the broker that comes back by itself: packets out on one topic, in from another.
 *
 * It connects as the service (a token of the service's own key, renewed before it expires) with a clean
 * session, QoS 0. What is published while it is down is refused; what was on its way when it broke is lost:
 * whoever uses it repeats.
 *
 * Flow:   broker (service/broker.h) -> link_publish -> paho's threads -> Mosquitto; and back by one
 *         uv_async for many packets.
 * Thread: the loop's; paho's threads stay inside.
 * Owns:   the connection. paho is included in link.c alone. */
#ifndef PARLOR_SERVICE_LINK_H
#define PARLOR_SERVICE_LINK_H

#include "core/error.h"
#include "core/token.h"
#include "service/loop.h"

#include <stdbool.h>
#include <stddef.h>

#define LINK_TOKEN_TTL_S   3600
#define LINK_TOKEN_AHEAD_S 60   /* so long before it expires the link is made anew */
#define LINK_KEEPALIVE_S   3    /* a broker that says nothing for twice that is gone */
#define LINK_RETRY_MIN_MS  100  /* the first retry is at once */
#define LINK_RETRY_AWAY_MS 250  /* at most between two tries of a broker that can't be reached */
#define LINK_RETRY_MAX_MS  1000 /* or that refuses the service: each try is a line of its log */

struct link;

struct link_options {
    const char *address; /* all texts are copied */
    int port;
    const char *client_id;
    const char *subscribe_topic, *publish_topic;
    struct token_keys *tokens; /* NULL: connects without user and password */
};

/* Called on the loop. */
struct link_events {
    void *self;
    void (*on_up)(void *self); /* connected and subscribed */
    void (*on_down)(void *self);
    void (*on_packet)(void *self, const void *bytes, size_t size);
};

int link_create(struct loop *loop, const struct link_options *options, const struct link_events *events,
                struct link **out, struct error *e);
/* Waits for paho's threads, up to about a second. */
void link_destroy(struct link **link);

bool link_is_up(const struct link *link);

/* Copies the bytes. 0, or -1 when the link is down. */
int link_publish(struct link *link, const void *bytes, size_t size);

#endif
