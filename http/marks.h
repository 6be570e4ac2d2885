/* PATCH /api/v1/chat/rooms/:id/read and /chat/messages/:id/read: the asker has read up to there.
 *
 * A room's body may name `seq` or `messageId`; without either all of it has been read. Marks only move
 * forward and are clamped to the room's newest message; the answer is the receipt that holds now.
 *
 * Flow:   request -> broker_port.mark -> the plugin's writer -> the receipt, which answers the request.
 * Thread: the service's loop. Owns: nothing. */
#ifndef PARLOR_HTTP_MARKS_H
#define PARLOR_HTTP_MARKS_H

#include "http/exchange.h"

void marks_room(struct exchange *x);
void marks_message(struct exchange *x);

#endif
