/* /api/v1/chat/rooms: making rooms, listing one's own, looking at one, its settings.
 *
 * Thread: the service's loop. Owns: nothing. */
#ifndef PARLOR_HTTP_ROOMS_H
#define PARLOR_HTTP_ROOMS_H

#include "http/exchange.h"

void rooms_create(struct exchange *x);
void rooms_list(struct exchange *x);
void rooms_get(struct exchange *x);
void rooms_update(struct exchange *x);

/* May x->who do `operation` in the room x->id, as the membership mirror has it? When not, answers the refusal
 * (404 to a stranger, 403 to one who may know of the room) and returns false. */
bool rooms_admit(struct exchange *x, enum operation operation);

/* Answers a verdict that refuses: 404 to a stranger, who is told that nothing is there, else 403. */
void rooms_refuse(struct exchange *x, const struct verdict *verdict);

#endif
