/* Who may connect: tokens at CONNECT, the rules for client ids, expiry and renewal.
 *
 * Flow:   broker (BASIC_AUTH, DISCONNECT, tick) -> auth -> clients.
 * Thread: the broker's. */
#ifndef PARLOR_PLUGIN_AUTH_H
#define PARLOR_PLUGIN_AUTH_H

#include "plugin/plugin.h"

/* The answer to BASIC_AUTH, a broker_code: OK for a token (or our own wake connection), AUTH for a refusal,
 * DEFER for a password that is no token. */
int auth_connect(struct plugin *p, struct mosquitto *client, const char *user, const char *password);
void auth_disconnect(struct plugin *p, const struct mosquitto *client);

/* Warns clients whose token expires in a minute and ends the connections of expired ones. Once a second. */
void auth_expire(struct plugin *p);

/* A granted subscription: one that hears the user's events is warned again, for the warning may have come
 * before it. */
void auth_subscribed(struct plugin *p, struct client *client, const struct topic *filter);

/* A fresh token from a connected client; answered on its acks topic. */
void auth_renew(struct plugin *p, struct client *client, const void *payload, size_t size);

#endif
