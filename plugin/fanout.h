/* What leaves: stored messages to their rooms, acks to their senders, records to the service.
 *
 * Flow:   results -> fanout -> broker -> subscribers; and -> nodes -> service/out/{node}.
 * Thread: the broker's, in the tick. No JSON is made here: the writer's thread has printed it. */
#ifndef PARLOR_PLUGIN_FANOUT_H
#define PARLOR_PLUGIN_FANOUT_H

#include "plugin/plugin.h"

/* Publishes what waits, in order, as much as fits a turn of the loop; then the service's packets. */
void fanout_drain(struct plugin *p);

/* nodes_send_fn: context is the plugin. */
void fanout_packet(void *context, const char *name, const char *packet, size_t size);

/* Frees what can't be published any more. */
void fanout_discard(struct plugin *p);

#endif
