/* The mirror's feed: batches of the membership log, carried to the broker's thread in the results' queue.
 *
 * A batch goes through the same queue as the messages, so that what was stored before a change is published
 * by the members before it, and what comes later by those after it.
 *
 * Flow:   memberlog's thread -> results -> fanout -> membership_apply.
 * Thread: start, stop and apply are the broker's. */
#ifndef PARLOR_PLUGIN_MEMBERSHIP_H
#define PARLOR_PLUGIN_MEMBERSHIP_H

#include "plugin/plugin.h"

int membership_start(struct plugin *p, struct error *e);
void membership_stop(struct plugin *p);

/* Applies the batch, publishes its events and gives it back to the follower. */
void membership_apply(struct plugin *p, struct memberlog_batch **batch);

/* Looks whether the mirror has become too old for new grants; once a second. */
void membership_check(struct plugin *p);

#endif
