#include "service/scrape.h"

#include "core/metrics.h"

static void put_link(struct buf *out, const struct broker *broker)
{
    metrics_single(out, "parlor_link_up", METRIC_GAUGE, "1 while the plugin answers this parlord.",
                   broker_linked(broker));
    metrics_single(out, "parlor_link_sends", METRIC_GAUGE,
                   "Sends and marks that wait for the plugin's answer.", broker_unanswered(broker));
}

static void put_pool(struct buf *out, const struct pool *pool)
{
    size_t waiting = pool_waiting(pool);
    metrics_single(out, "parlor_database_connections", METRIC_GAUGE,
                   "Connections of the pool that work, of pool_size.", pool_connected(pool));
    metrics_single(out, "parlor_database_queries", METRIC_GAUGE, "Queries under way and waiting.",
                   pool_unanswered(pool));
    metrics_single(out, "parlor_database_queries_waiting", METRIC_GAUGE,
                   "Queries waiting for a place on a connection.", waiting);
}

void scrape_print(const struct scrape *s, struct buf *out)
{
    put_link(out, s->broker);
    put_pool(out, s->pool);
    metrics_single(out, "parlor_http_requests_under_way", METRIC_GAUGE,
                   "Requests of the public port, held polls among them, without an answer yet.",
                   listener_unanswered(s->listener));
    metrics_single(out, "parlor_http_connections_cut_total", METRIC_COUNTER,
                   "Connections of the public port cut off since a request was not whole in time.",
                   listener_cut(s->listener));
    if (s->bridge != NULL)
        bridge_metrics(s->bridge, out);
    if (broker_linked(s->broker)) /* else they are of a plugin that may be gone */
        buf_put_text(out, broker_plugin_metrics(s->broker));
}
