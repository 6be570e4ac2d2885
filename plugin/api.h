/* The `api` topic: a user's request goes to a linked parlord, its reply back to users/{user}/replies/{id}.
 *
 * Flow:   ingress -> api_request -> nodes -> parlord; parlord -> ingress -> api_reply -> the user.
 * Thread: the broker's.
 * Owns:   nothing; struct plugin has what was asked. */
#ifndef PARLOR_PLUGIN_API_H
#define PARLOR_PLUGIN_API_H

#include "plugin/plugin.h"

/* Answered by one reply in any case: 503 when no parlord is linked, or when the one that has it goes away or
 * does not answer within ASKED_WAIT_NS, 413 when it is larger than a payload may be. */
void api_request(struct plugin *p, const struct client *client, const struct topic *topic,
                 const void *payload, size_t size);
void api_reply(struct plugin *p, const struct wire_record *record);
/* The link ended: what went there and was not answered may or may not have happened. */
void api_node_gone(struct plugin *p, uint32_t link);
void api_tick(struct plugin *p); /* once a second */

#endif
