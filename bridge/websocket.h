/* WebSocket frames (RFC 6455, the server's side): reading them into whole messages, and making them.
 *
 * A reader exists only while a frame or message is in part; between messages a connection keeps nothing. The
 * parser's context (4 KB) is borrowed from the pool for each run over received bytes and goes back when they
 * end with a frame.
 *
 * Flow:   stream.on_data -> websocket_feed -> on_message -> session; session -> websocket_frame -> stream.
 * Thread: one pool belongs to one loop.
 * Owns:   the pool its spare readers; a reader is its connection's until it is NULL again. */
#ifndef PARLOR_BRIDGE_WEBSOCKET_H
#define PARLOR_BRIDGE_WEBSOCKET_H

#include "core/shared.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBSOCKET_HEADER_MAX 10 /* of a frame that a server sends */

enum websocket_opcode {
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10
};

/* Status codes of a close. */
enum websocket_status {
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL = 1002,
    WEBSOCKET_BAD_TEXT = 1007,
    WEBSOCKET_POLICY = 1008,
    WEBSOCKET_TOO_BIG = 1009
};

struct websocket_pool;
struct websocket_reader;

struct websocket_pool *websocket_pool_create(void);
void websocket_pool_destroy(struct websocket_pool **pool);

/* A whole message, or a control frame's payload; bytes live until it returns. False: the connection is done
 * with, read no further. */
typedef bool (*websocket_fn)(void *context, enum websocket_opcode opcode, const char *bytes, size_t size);

/* Reads what came. *reader is NULL at first and whenever nothing is in part. Messages over message_max bytes,
 * unmasked or malformed frames and text that is not UTF-8 end it. Returns 0, or the status to close with,
 * which is also 1000 when the fn returned false; then the reader is gone. */
int websocket_feed(struct websocket_pool *pool, struct websocket_reader **reader, const uint8_t *bytes,
                   size_t size, size_t message_max, websocket_fn fn, void *context);
/* Gives a reader back; NULL is fine. */
void websocket_release(struct websocket_pool *pool, struct websocket_reader **reader);

/* Writes the header of an unfragmented frame of `size` payload bytes and returns its length. */
size_t websocket_header(uint8_t out[WEBSOCKET_HEADER_MAX], enum websocket_opcode opcode, size_t size);
/* A whole frame with one holder, the caller; bytes may be NULL, to be filled in behind the header. */
struct shared *websocket_frame(enum websocket_opcode opcode, const void *bytes, size_t size);
struct shared *websocket_close_frame(enum websocket_status status);

/* The status to answer a client's CLOSE frame with: its own, or what is wrong with it (RFC 6455, 5.5.1, 7.4).
 */
enum websocket_status websocket_close_reply(const char *payload, size_t size);

/* What a frame made here carries. */
enum websocket_opcode websocket_payload(const struct shared *frame, const char **bytes_out, size_t *size_out);

#endif
