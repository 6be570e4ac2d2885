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

/* At the broker's start, before its loop: waits for the first batch, which the first tick applies. */
void membership_await(struct plugin *p, int64_t until_ns);

/* Applies the batch, publishes its events and gives it back to the follower. */
void membership_apply(struct plugin *p, struct memberlog_batch **batch);

/* Notes a subscription that was granted before the members were read, to be judged when they are: a client
 * that holds one that isn't its own is disconnected then, so that it asks again and is told. False: too many.
 */
bool membership_credit(struct plugin *p, const char *client_id, const char *filter);

/* Forgets what was noted, judged or not. */
void membership_settle(struct plugin *p, bool judge);

/* Looks whether the mirror has become too old for new grants; once a second. When it is current again,
 * clients whose subscription was refused meanwhile are disconnected, so that they ask again. */
void membership_check(struct plugin *p);

#endif
