/* Two small memories of fixed size: the ids of the newest messages by room and seq, and how far a user is
 * known to have read in a room. What is forgotten under pressure is asked for again, or told twice.
 *
 * Flow:   chat -> recent_note_message, chat_live -> recent_message, recent_read.
 * Thread: the service's loop.
 * Owns:   its tables. */
#ifndef PARLOR_BRIDGE_RECENT_H
#define PARLOR_BRIDGE_RECENT_H

#include "core/ids.h"

#include <stdbool.h>

struct recent;

struct recent *recent_create(void);
void recent_destroy(struct recent **recent);

/* Takes the id from the front of the object `message`. */
void recent_note_message(struct recent *recent, const struct uuid *room, int64_t seq, const char *json,
                         size_t size);
/* True and the id of the message when it is remembered. */
bool recent_message(const struct recent *recent, const struct uuid *room, int64_t seq, struct uuid *id_out);

/* True when the user was not known to have read up to seq; it is known then. */
bool recent_read(struct recent *recent, const struct uuid *room, const char *user, int64_t seq);
/* True when the user is known to have read further than seq. */
bool recent_read_past(const struct recent *recent, const struct uuid *room, const char *user, int64_t seq);

#endif
