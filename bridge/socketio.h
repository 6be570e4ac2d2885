/* Socket.IO 5 packets: `<type>[<attachments>-][<namespace>,][<ack id>][<payload>]`.
 *
 * The payload is kept as text; only its outermost shape is looked at, so that one bad argument costs its
 * event and not the connection. What is inside is for json_parse.
 *
 * Flow:   message of a session -> socketio_parse -> sockets; sockets -> socketio_put -> session_send.
 * Thread: any; pure.
 * Owns:   nothing; slices point into what was parsed. */
#ifndef PARLOR_BRIDGE_SOCKETIO_H
#define PARLOR_BRIDGE_SOCKETIO_H

#include "core/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum socketio_type {
    SOCKETIO_CONNECT,
    SOCKETIO_DISCONNECT,
    SOCKETIO_EVENT,
    SOCKETIO_ACK,
    SOCKETIO_CONNECT_ERROR,
    SOCKETIO_BINARY_EVENT,
    SOCKETIO_BINARY_ACK
};

#define SOCKETIO_ATTACHMENTS_MAX 10
#define SOCKETIO_ACK_DIGITS_MAX  19
#define SOCKETIO_NAMESPACE_MAX   128

struct slice {
    const char *text; /* not zero-terminated; NULL only where said */
    size_t size;
};

struct socketio_packet {
    enum socketio_type type;
    unsigned attachments; /* binary messages that follow */
    struct slice nsp;     /* "/" when it names none */
    struct slice ack;     /* digits; size 0: none */
    struct slice payload; /* size 0: none */
    struct slice name;    /* of an event: its first item, without quotes when it is a string */
    struct slice args;    /* items of the array (behind the name), with the commas between them */
};

/* Reads the text of a message. False when it is no packet, or its payload has not the shape that its type
 * asks for: an object for CONNECT (or none), none for DISCONNECT, an array that begins with a string or
 * number for events, an array for acks. */
bool socketio_parse(const char *text, size_t size, struct socketio_packet *out);

/* True for names of events that libraries keep for themselves; some of their clients send them all the same.
 */
bool socketio_is_reserved(struct slice name);

/* Appends a packet's text up to its payload. `nsp` "/" is left out; ack may be empty. */
void socketio_put(struct buf *out, enum socketio_type type, unsigned attachments, const char *nsp,
                  struct slice ack);

bool slice_is(struct slice slice, const char *text);

#endif
