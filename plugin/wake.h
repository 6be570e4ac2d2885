/* Wakes the broker's loop from other threads: a PINGREQ on a raw MQTT connection of our own to the broker's
 * private unix listener.
 *
 * The plugin interface has no way to wake the loop, which otherwise sleeps up to 100 ms (or, in newer
 * versions, until something happens). A packet on any connection ends that sleep, and a tick follows it.
 *
 * Flow:   writer or membership -> wake_loop -> broker -> tick -> wake_ticked, wake_again.
 * Thread: wake_loop from any; wake_ticked and wake_again from the broker's; a thread of its own keeps the
 *         connection.
 * Owns:   its socket and thread. */
#ifndef PARLOR_PLUGIN_WAKE_H
#define PARLOR_PLUGIN_WAKE_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>

#define WAKE_USER "$wake" /* its client id and user name */

struct wake;

/* For the listener at `path`; not connected yet: until then wake_loop does nothing. 0, or -1. */
int wake_create(const char *path, struct wake **out, struct error *e);

/* Starts the thread, which connects as soon as the broker's loop runs, and again whenever the connection
 * ends. 0, or -1. */
int wake_start(struct wake *wake, struct error *e);

void wake_stop(struct wake *wake);     /* ends the connection, joins the thread */
void wake_destroy(struct wake **wake); /* when no other thread can call wake_loop any more */

/* True when the credentials are those of our own connection. */
bool wake_is_password(const struct wake *wake, const char *user, const char *password);

/* Wakes the loop; never waits. One PINGREQ is under way at a time: a tick that has not begun yet will see
 * all that was queued before this call. */
void wake_loop(struct wake *wake);

/* The tick has begun: what is queued from here on needs a new PINGREQ. */
void wake_ticked(struct wake *wake);

/* One more turn of the loop: for what this tick left to do, and for what it publishes to websocket clients
 * (libwebsockets writes only in the turn after). */
void wake_again(struct wake *wake);

bool wake_connected(const struct wake *wake);

#endif
