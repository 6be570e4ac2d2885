/* /api/v1/chat/messages/:id: editing and deleting a message in place.
 *
 * Thread: the service's loop. Owns: nothing. */
#ifndef PARLOR_HTTP_EDITS_H
#define PARLOR_HTTP_EDITS_H

#include "http/exchange.h"

void edits_edit(struct exchange *x);
void edits_delete(struct exchange *x);

#endif
