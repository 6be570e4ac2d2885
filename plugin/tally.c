#include "plugin/tally.h"

#include "core/clock.h"
#include "plugin/plugin.h"

void tally_rejected(struct tally *t, enum item_kind kind, const char *word)
{
    bool mark = kind == ITEM_READ || kind == ITEM_DELIVERED;
    metric_add_word(mark ? &t->receipts_rejected : &t->rejected, word);
}

void tally_result(struct tally *t, const struct result *result)
{
    switch (result->kind) {
    case RESULT_STORED:
        metric_add(result->link == LINK_NONE ? &t->stored_mqtt : &t->stored_service, 1);
        metric_note(&t->fanout_lag, &metric_seconds, clock_mono_ns() - result->committed_ns);
        break;
    case RESULT_REPLAYED:
        metric_add(&t->replayed, 1);
        break;
    case RESULT_REJECTED:
        tally_rejected(t, result->item_kind, result->word);
        break;
    case RESULT_RECEIPT:
        metric_add(&t->receipts, 1);
        break;
    case RESULT_MARKED:
    case RESULT_MEMBERS:
        break;
    }
}

/* The page. */

static void put_messages(struct buf *out, const struct tally *t)
{
    metrics_family(out, "parlor_messages_stored_total", METRIC_COUNTER,
                   "Messages committed and published, by the door they came by.");
    metrics_line(out, "parlor_messages_stored_total", "door=\"mqtt\"", metric_read(&t->stored_mqtt));
    metrics_line(out, "parlor_messages_stored_total", "door=\"service\"", metric_read(&t->stored_service));
    metrics_single(out, "parlor_messages_replayed_total", METRIC_COUNTER,
                   "Sends that had been stored before, answered again.", metric_read(&t->replayed));
    metrics_family(out, "parlor_messages_rejected_total", METRIC_COUNTER,
                   "Sends and other publishes refused, by the code their sender was told.");
    metrics_words(out, "parlor_messages_rejected_total", "reason", &t->rejected);
    metrics_single(out, "parlor_receipts_total", METRIC_COUNTER,
                   "Read and delivered watermarks that moved and were published.", metric_read(&t->receipts));
    metrics_family(out, "parlor_receipts_rejected_total", METRIC_COUNTER,
                   "Read and delivered marks refused, by the code their sender was told.");
    metrics_words(out, "parlor_receipts_rejected_total", "reason", &t->receipts_rejected);
}

static void put_writer(struct buf *out, const struct plugin *p)
{
    const struct writer_stats *stats = writer_stats(p->writer);
    metrics_single(out, "parlor_writer_database_up", METRIC_GAUGE,
                   "1 while the writer's database answers and is fit for use.",
                   writer_database_up(p->writer));
    metrics_single(out, "parlor_queue_messages", METRIC_GAUGE,
                   "What waits for the writer or is being stored: messages, marks and changes of presence.",
                   writer_queued(p->writer));
    metrics_family(out, "parlor_batch_messages", METRIC_HISTOGRAM, "Messages of a committed batch.");
    metrics_histogram(out, "parlor_batch_messages", NULL, &metric_sizes, &stats->batch);
    metrics_family(out, "parlor_commit_duration_seconds", METRIC_HISTOGRAM,
                   "Time from the start of a batch's transaction to its commit.");
    metrics_histogram(out, "parlor_commit_duration_seconds", NULL, &metric_seconds, &stats->commit);
    metrics_single(out, "parlor_commits_failed_total", METRIC_COUNTER,
                   "Tries to store a batch that ended without a commit.", metric_read(&stats->failed));
    metrics_family(out, "parlor_fanout_lag_seconds", METRIC_HISTOGRAM,
                   "Time from a message's commit until it was handed to the broker to publish.");
    metrics_histogram(out, "parlor_fanout_lag_seconds", NULL, &metric_seconds, &p->tally.fanout_lag);
}

static void put_clients(struct buf *out, const struct plugin *p)
{
    size_t all = clients_online(p->clients), websockets = clients_websockets(p->clients), nodes = 0;
    for (const struct node *node = p->nodes.list; node < p->nodes.list + NODES_MAX; node++)
        nodes += node->used;
    metrics_family(out, "parlor_mqtt_connections", METRIC_GAUGE,
                   "MQTT connections with a token, the parlords' own among them.");
    metrics_line(out, "parlor_mqtt_connections", "transport=\"tcp\"", all - websockets);
    metrics_line(out, "parlor_mqtt_connections", "transport=\"websocket\"", websockets);
    metrics_single(out, "parlor_nodes", METRIC_GAUGE, "parlords linked to the broker.", nodes);
    metrics_single(out, "parlor_users_online", METRIC_GAUGE,
                   "Users online by any door, or gone for less than their grace.",
                   presence_count(p->presence));
}

static void tell(struct plugin *p, struct node *node, struct buf *page)
{
    if (page->size == 0) {
        put_messages(page, &p->tally);
        put_writer(page, p);
        put_clients(page, p);
    }
    struct wire_record record = {.type = WIRE_METRICS, .payload = page->data, .payload_size = page->size};
    nodes_put(&p->nodes, node, &record);
}

void tally_tick(struct plugin *p)
{
    struct buf page = {0};
    bool due = p->now_ns - p->tally.told_ns >= TALLY_EVERY_NS;
    for (struct node *node = p->nodes.list; node < p->nodes.list + NODES_MAX; node++)
        if (node->used && (due || node->greeted))
            tell(p, node, &page);
    if (due)
        p->tally.told_ns = p->now_ns;
    buf_finish(&page);
}
