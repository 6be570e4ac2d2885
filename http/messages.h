/* /api/v1/chat/rooms/:id/messages: sending one, reading pages of them.
 *
 * Thread: the service's loop. Owns: nothing. */
#ifndef PARLOR_HTTP_MESSAGES_H
#define PARLOR_HTTP_MESSAGES_H

#include "http/exchange.h"

void messages_create(struct exchange *x);
void messages_list(struct exchange *x);

#endif
