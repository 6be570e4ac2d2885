/* Typing and presence between clients, nodes and topics.
 *
 * Flow:   ingress, auth -> live -> typing, presence -> topics, nodes and, for presence, the writer.
 * Thread: the broker's.
 * Owns:   nothing: the plugin has its parts. */
#ifndef PARLOR_PLUGIN_LIVE_H
#define PARLOR_PLUGIN_LIVE_H

#include "plugin/plugin.h"

#define TYPING_BYTES_MAX 1024

void live_create(struct plugin *p);
void live_destroy(struct plugin *p);

/* A member's publish: true when it may pass on as it is, with the nodes told; else it is dropped, or was
 * published here. */
bool live_typing(struct plugin *p, const struct topic *topic, const struct mosquitto_evt_message *event);

/* TYPING and ONLINE of a node. */
void live_node_typing(struct plugin *p, const struct wire_record *record);
void live_node_online(struct plugin *p, const struct node *node, const struct wire_record *record);
/* The node's users are no longer there by it: it said HELLO anew, or its connection ended. */
void live_node_gone(struct plugin *p, const struct node *node);
/* Who is online, to a node that said HELLO. */
void live_tell_node(struct plugin *p, struct node *node);

/* The user's MQTT connections have become more or fewer. */
void live_user_changed(struct plugin *p, const char *user);

/* A member is about to come, go or change (`role` is the new one); all memberships were loaded. Retained
 * presence is published of those alone who share a room with somebody who may see it. */
void live_member_changes(struct plugin *p, const struct uuid *room, const char *user, size_t user_size,
                         enum member_role role);
void live_members_loaded(struct plugin *p);

/* The members who were about to go are gone: what they typed is told to be over, before the events. */
void live_members_changed(struct plugin *p);

/* What is over by now: typing, graces. */
void live_tick(struct plugin *p);

#endif
