/* Who types where: what of it gets through, and when it ends by itself.
 *
 * Flow:   ingress, nodes, membership -> live -> typing_note, typing_leave;
 *         tick, membership -> live -> typing_expired -> topics and nodes.
 * Thread: the broker's.
 * Owns:   its entries, at most TYPING_MAX. */
#ifndef PARLOR_PLUGIN_TYPING_H
#define PARLOR_PLUGIN_TYPING_H

#include "core/ids.h"

#include <stdbool.h>
#include <stddef.h>

#define TYPING_ENDS_MS  6000
#define TYPING_EVERY_MS 1000 /* for one user and room */
#define TYPING_MAX      65536

struct typing;

struct typing *typing_create(void);
void typing_destroy(struct typing **t);

struct typing_said {
    const struct uuid *room;
    const char *user;
    size_t size; /* of user */
    bool on;
    int qos; /* at which it was said */
};

/* The user types, or no longer does. -1 when it doesn't get through: a beginning does at most once in
 * TYPING_EVERY_MS (always, when not `limited`), an end only behind a beginning. Else the QoS at which it is
 * to be told: an end at no lower one than its beginning, so that whoever is given the one later, out of the
 * queue of a session, is given the other. */
int typing_note(struct typing *t, const struct typing_said *said, bool limited, int64_t now_ns);

/* The user is no longer in the room: what it types there is over, and next in typing_expired. */
void typing_leave(struct typing *t, const struct uuid *room, const char *user, size_t size);

struct typing_end {
    struct uuid room;
    char user[USER_ID_MAX + 1];
    int qos; /* at which it is to be told */
};

/* True for one who began TYPING_ENDS_MS ago, or has left, and said no more; each is told once. */
bool typing_expired(struct typing *t, int64_t now_ns, struct typing_end *out);

/* The payload {"isTyping":true} or false, with that member first: 1, 0, or -1 when it is something else, or
 * no JSON. */
int typing_parse(const char *payload, size_t size);

#endif
