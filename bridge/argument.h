/* The first argument of an event, all that the events of contract.md take.
 *
 * Flow:   chat, calls -> argument -> their handlers.
 * Thread: any; pure.
 * Owns:   nothing. */
#ifndef PARLOR_BRIDGE_ARGUMENT_H
#define PARLOR_BRIDGE_ARGUMENT_H

#include "bridge/socketio.h"
#include "core/error.h"
#include "core/json.h"

/* Parses the first of the event's arguments; *data_out is its text, kept by *copy_out where it is not the
 * only one. The tree and the copy are the caller's. NULL with e (may be NULL): there is none, or it is not
 * JSON. */
struct json *event_argument(struct slice args, struct slice *data_out, struct buf *copy_out, struct error *e);

#endif
