/* The service's page of metrics: its own numbers, and the plugin's as it told them last.
 *
 * Flow:   GET /metrics on the admin listener -> http -> scrape_print.
 * Thread: the loop's.
 * Owns:   nothing. */
#ifndef PARLOR_SERVICE_SCRAPE_H
#define PARLOR_SERVICE_SCRAPE_H

#include "bridge/bridge.h"
#include "core/buf.h"
#include "http/listener.h"
#include "service/broker.h"
#include "service/pool.h"

/* What is asked; bridge may be NULL. */
struct scrape {
    const struct broker *broker;
    const struct pool *pool;
    const struct bridge *bridge;
    const struct listener *listener;
};

void scrape_print(const struct scrape *s, struct buf *out);

#endif
