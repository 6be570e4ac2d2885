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

/* Before clients_add: the client's session may be a new one, with nothing subscribed. */
void inbox_connecting(struct plugin *p, const struct mosquitto *handle, const char *client_id);

/* Before clients_disconnected: the session may end with the connection. */
void inbox_disconnecting(struct plugin *p, const struct mosquitto *handle);

/* A message of the room, new or changed, to all its members who listen. Without any it costs nothing. */
void inbox_publish(struct plugin *p, const struct uuid *room, const void *message, size_t size);

#endif
