/* The namespace /chat: sockets of users, their events, and the messages of their rooms.
 *
 * Flow:   sockets -> chat -> broker_port.send, or the database -> ack; rooms -> chat -> every socket of the
 * room. Thread: the service's loop. Owns:   a chat_socket for each socket, and the rooms. Questions under way
 * free themselves when they are answered, also after it is gone. */
#ifndef PARLOR_BRIDGE_CHAT_H
#define PARLOR_BRIDGE_CHAT_H

#include "bridge/audience.h"
#include "bridge/sockets.h"

#define CHAT_MISSED_MAX   500          /* messages that join_chat gives at once */
#define CHAT_MISSED_BYTES (512 * 1024) /* ... and their size; less by half of unsent_bytes_max */
#define CHAT_READY_MS     1000         /* how long CONNECT waits for the user's rooms */

struct chat;

/* Adds the namespace; `sockets` outlives the sockets in it. */
struct chat *chat_create(const struct ports *ports, struct sockets *sockets);
/* Its sockets must be gone: sockets_destroy comes first. */
void chat_destroy(struct chat **chat);

struct audience *chat_audience(struct chat *chat);
/* What the link calls; valid as long as the chat. */
struct broker_events chat_broker_events(struct chat *chat);
/* The user has left the room, by the mirror: what its sockets have asked about the room is refused. */
void chat_member_removed(struct chat *chat, struct person *person, const struct uuid *room);

struct chat_stats {
    size_t sockets;
    uint64_t delivered; /* frames written to sockets */
    uint64_t refused;   /* CONNECT_ERRORs */
    uint64_t slow;      /* sockets ended as slow readers */
    uint64_t limited;   /* events over a rate */
};
const struct chat_stats *chat_stats(const struct chat *chat);

#endif
