/* How an event that failed is answered, the same in every namespace: by its ack, or by the event `exception`
 * when no ack was asked for.
 *
 * Flow:   chat, calls -> answers -> socket_ack or socket_emit.
 * Thread: the service's loop.
 * Owns:   nothing. */
#ifndef PARLOR_BRIDGE_ANSWERS_H
#define PARLOR_BRIDGE_ANSWERS_H

#include "bridge/sockets.h"
#include "core/error.h"
#include "core/request_id.h"

/* The log's line for an event that was answered. outcome: "ok", or the error's word. */
void answer_log(const char *user, struct slice pattern, struct request_number request, const char *outcome);

/* `pattern` is the event's name as the client wrote it; data: the JSON that it sent, size 0 for null. */
void answer_error(struct socket *socket, const struct ack_id *ack, struct slice pattern, struct slice data,
                  const struct error *why);

#endif
