/* Who types where: what of it gets through, and when it ends by itself.
 *
 * Flow:   ingress -> typing_note; tick -> typing_expired -> fanout.
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

/* The user types, or no longer does. True when it gets through: a beginning at most once in TYPING_EVERY_MS
 * (always, when not `limited`), an end only behind a beginning. */
bool typing_note(struct typing *t, const struct uuid *room, const char *user, size_t size, bool on,
                 bool limited, int64_t now_ns);

/* True for one who began TYPING_ENDS_MS ago and said no more; each is told once. */
bool typing_expired(struct typing *t, int64_t now_ns, struct uuid *room_out, char user_out[USER_ID_MAX + 1]);

/* The payload {"isTyping":true} or false, with that member first: 1, 0, or -1 when it is something else. */
int typing_parse(const char *payload, size_t size);

#endif
