/* A listener in the loop: polled, run at each turn's end, and once a second for idle connections.
 *
 * Flow:   loop -> listener_run; requests go to on_request, upgrades to the streams.
 * Thread: the loop's.
 * Owns:   its listener, until door_close. */
#ifndef PARLOR_SERVICE_DOOR_H
#define PARLOR_SERVICE_DOOR_H

#include "http/listener.h"
#include "service/loop.h"

struct door;

/* As listener_create. */
int door_open(struct loop *loop, const char *address, int port, const struct listener_options *options,
              listener_request_fn on_request, void *context, struct door **out, struct error *e);
void door_close(struct door **door);

struct listener *door_listener(struct door *door);

#endif
