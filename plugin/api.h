/* The `api` topic: a user's request goes to a linked parlord, its reply back to users/{user}/replies/{id}.
 *
 * Flow:   ingress -> api_request -> nodes -> parlord; parlord -> ingress -> api_reply -> the user.
 * Thread: the broker's.
 * Owns:   nothing. */
#ifndef PARLOR_PLUGIN_API_H
#define PARLOR_PLUGIN_API_H

#include "plugin/plugin.h"

/* Answered by a reply in any case: 503 when no parlord is linked, 413 when it is larger than a payload may
 * be. */
void api_request(struct plugin *p, const struct client *client, const struct topic *topic,
                 const void *payload, size_t size);
void api_reply(struct plugin *p, const struct wire_record *record);

#endif
