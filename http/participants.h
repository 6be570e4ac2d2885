/* /api/v1/chat/rooms/{id}/participants: who comes, who goes, and in which role.
 *
 * Thread: the service's loop. Owns: nothing. */
#ifndef PARLOR_HTTP_PARTICIPANTS_H
#define PARLOR_HTTP_PARTICIPANTS_H

#include "http/exchange.h"

void participants_add(struct exchange *x);
void participants_remove(struct exchange *x); /* oneself: to leave */
void participants_update(struct exchange *x);

#endif
