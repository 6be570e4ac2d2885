/* What the plugin counts, and its page of metrics for the parlords.
 *
 * Flow:   fanout and ingress -> tally_result, tally_rejected; tick -> tally_tick -> METRICS to every node.
 * Thread: the broker's.
 * Owns:   its counters, inside struct plugin. */
#ifndef PARLOR_PLUGIN_TALLY_H
#define PARLOR_PLUGIN_TALLY_H

#include "core/metrics.h"
#include "plugin/item.h"

#define TALLY_EVERY_NS INT64_C(5000000000)

struct plugin;

struct tally {
    struct metric_counter stored_mqtt, stored_service, replayed, receipts;
    struct metric_words rejected, receipts_rejected; /* by the error's word */
    struct metric_histogram fanout_lag;
    int64_t told_ns;
};

/* A result on its way out; call it when what it says was handed to the broker. */
void tally_result(struct tally *t, const struct result *result);
/* A refusal that did not pass the writer. */
void tally_rejected(struct tally *t, enum item_kind kind, const char *word);

/* Every TALLY_EVERY_NS, the page to all nodes; to a node that has just said HELLO at once. */
void tally_tick(struct plugin *p);

#endif
