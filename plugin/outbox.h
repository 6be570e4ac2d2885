/* What the outbox of events makes known: published to rooms and users, and to the service.
 *
 * Flow:   memberlog's batch -> membership -> outbox_publish -> broker -> subscribers; and -> nodes.
 * Thread: the broker's, in the tick, after the batch's changes are applied. */
#ifndef PARLOR_PLUGIN_OUTBOX_H
#define PARLOR_PLUGIN_OUTBOX_H

#include "plugin/plugin.h"

void outbox_publish(struct plugin *p, const struct memberlog_batch *batch);

#endif
