/* Engine.IO 4 packets and the batches of the polling transport, as text.
 *
 * A packet is a digit and its data; a binary message has no digit, and in a batch it is `b` and base64. In a
 * batch packets are parted by 0x1e.
 *
 * Flow:   request body -> engineio_batch_next -> session; session -> engineio_batch_put -> answer to a poll.
 * Thread: any; pure.
 * Owns:   nothing; packets point into what they were read from. */
#ifndef PARLOR_BRIDGE_ENGINEIO_H
#define PARLOR_BRIDGE_ENGINEIO_H

#include "core/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum engineio_type {
    ENGINEIO_OPEN,
    ENGINEIO_CLOSE,
    ENGINEIO_PING,
    ENGINEIO_PONG,
    ENGINEIO_MESSAGE,
    ENGINEIO_UPGRADE,
    ENGINEIO_NOOP
};

#define ENGINEIO_POLL_TYPE "text/plain; charset=UTF-8" /* of a poll's answer */
#define ENGINEIO_SEPARATOR 0x1e

struct engineio_packet {
    enum engineio_type type;
    bool binary;      /* only messages are */
    const char *data; /* behind the digit; not zero-terminated */
    size_t size;
};

/* A packet alone, as in a WebSocket frame. False when the text is none. */
bool engineio_parse(bool binary, const char *bytes, size_t size, struct engineio_packet *out);
/* The same for text that may also be `b` and base64, of a client that can't send binary frames; what it
 * stands for is put into `scratch`, empty before. */
bool engineio_parse_text(const char *text, size_t size, struct buf *scratch, struct engineio_packet *out);

struct engineio_batch {
    const char *at, *end; /* what is left; at NULL: finished */
    struct buf scratch;   /* the bytes of the last binary packet */
};

void engineio_batch_open(struct engineio_batch *batch, const char *bytes, size_t size);
/* 1 and *out for the next packet (binary data lives until the next call), 0 at the end, -1 when it is
 * malformed. */
int engineio_batch_next(struct engineio_batch *batch, struct engineio_packet *out);
void engineio_batch_close(struct engineio_batch *batch);

/* Appends a packet to a batch: `bytes` as they stand in a WebSocket frame (text with its digit, or binary).
 */
void engineio_batch_put(struct buf *batch, bool binary, const char *bytes, size_t size);

#endif
