/* users/{user}/inbox: the messages of all rooms of a user on one topic, while somebody subscribes to it.
 *
 * Flow:   broker (SUBSCRIBE, UNSUBSCRIBE, CONNECT, DISCONNECT) -> acl, auth -> inbox -> inboxes; fanout and
 * outbox -> inbox_publish -> broker -> subscribers. Thread: the broker's. */
#ifndef PARLOR_PLUGIN_INBOX_H
#define PARLOR_PLUGIN_INBOX_H

#include "plugin/plugin.h"

/* A granted subscription; and any that is taken back. */
void inbox_subscribed(struct plugin *p, const struct client *client, const struct topic *filter);
void inbox_unsubscribed(struct plugin *p, const struct client *client, const struct topic *filter);

/* Before clients_add: the user's session may be a new one, with nothing subscribed, or one that is older than
 * the plugin. */
void inbox_connecting(struct plugin *p, const struct mosquitto *handle, const char *client_id,
                      const char *user);

/* True for a READ check of what inbox_connecting has asked by, which is delivered to nobody. `client` is NULL
 * for one without a token. */
bool inbox_asks(struct plugin *p, const struct client *client, const struct topic *topic, size_t size);

/* Before clients_disconnected: the session may end with the connection. */
void inbox_disconnecting(struct plugin *p, const struct mosquitto *handle);

/* A message of the room, new or changed, to all its members who listen. Without any it costs nothing. */
void inbox_publish(struct plugin *p, const struct uuid *room, const void *message, size_t size);

#endif
