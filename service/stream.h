/* Upgraded sockets as streams: bytes in by one shared buffer, shared bytes out gathered once a turn.
 *
 * Flow:   listener (upgrade) -> stream_open -> on_data; ops->write -> queue -> the turn's end -> writev.
 * Thread: the loop's.
 * Owns:   sockets and queues; a stream ends with on_closed, close or abort, and is freed at the turn's end.
 */
#ifndef PARLOR_SERVICE_STREAM_H
#define PARLOR_SERVICE_STREAM_H

#include "core/error.h"
#include "core/ports.h"
#include "service/loop.h"

#include <stddef.h>
#include <stdint.h>

#define STREAM_CLOSE_MS                                                                                      \
    3000 /* a closed stream has so long to send its rest and to hear the other end's FIN */

struct streams;

/* At most streams_max at a time (0: no bound of ours). */
int streams_create(struct loop *loop, size_t streams_max, struct streams **out, struct error *e);
/* Aborts what is left; on_closed is not called. */
void streams_destroy(struct streams **streams);

/* Takes a connected, non-blocking socket; `extra` was read from it already and comes by on_data in a later
 * turn. NULL when streams_max is reached: the socket stays the caller's. A listener_stream_fn. */
struct stream *stream_open(void *streams, int fd, const void *extra, size_t extra_size);

size_t streams_count(const struct streams *streams);

#endif
