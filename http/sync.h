/* POST /api/v1/chat/sync: all that a client has missed in its rooms, in one answer or a few.
 *
 * A room that the body names by seq, rev and epoch gives its messages past that seq, those up to it that
 * changed since that rev, and its participants when rev moved (or the client has nothing of it yet: seq and
 * rev 0). Under another epoch, or past the room's own seq or rev, the client starts over: messages from the
 * room's beginning, up to the limit. A
 * room that is not named gives its head alone; one that is named and not answered is not the asker's. What is
 * answered as seq, rev and epoch is what to ask with next: the room's own, unless the limit has cut it off
 * (meta.hasMore).
 *
 * Thread: the service's loop. Owns: nothing. */
#ifndef PARLOR_HTTP_SYNC_H
#define PARLOR_HTTP_SYNC_H

#include "http/exchange.h"

#define SYNC_BODY_BYTES_MAX   (256 * 1024)
#define SYNC_ROOMS_MAX        1000
#define SYNC_MESSAGES_MAX     500
#define SYNC_PARTICIPANTS_MAX 5000 /* an answer; a single room's are always given whole */
#define SYNC_WATERMARKS_MAX   1000 /* of them for their watermarks alone, in the last answer */

void sync_rooms(struct exchange *x);

#endif
