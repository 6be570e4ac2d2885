#include "http/traffic.h"

#include "core/metrics.h"

#include <stdio.h>
#include <stdlib.h>

#define STATUS_MIN    100
#define STATUS_MAX    599
#define STATUSES_KEPT 16 /* more than a route has */

struct lane {
    struct metric_counter statuses[STATUSES_KEPT];
    int codes[STATUSES_KEPT]; /* 0: not used yet */
    struct metric_histogram duration;
};

struct traffic {
    const struct route *routes;
    size_t count;
    struct lane lanes[]; /* one for each route, and the last for what matched none */
};

struct traffic *traffic_create(const struct route *routes)
{
    size_t count = 0;
    while (routes[count].method != NULL)
        count++;
    struct traffic *t = mem_zalloc(1, sizeof *t + (count + 1) * sizeof t->lanes[0]);
    t->routes = routes;
    t->count = count;
    return t;
}

void traffic_destroy(struct traffic **traffic)
{
    if (traffic == NULL || *traffic == NULL)
        return;
    free(*traffic);
    *traffic = NULL;
}

void traffic_note(struct traffic *t, const struct route *route, int status, int64_t duration_ns)
{
    if (t == NULL || status < STATUS_MIN || status > STATUS_MAX)
        return;
    struct lane *lane = &t->lanes[route != NULL ? (size_t)(route - t->routes) : t->count];
    metric_note(&lane->duration, &metric_seconds, duration_ns);
    for (size_t i = 0; i < STATUSES_KEPT; i++) {
        if (lane->codes[i] == 0)
            lane->codes[i] = status;
        if (lane->codes[i] == status) {
            metric_add(&lane->statuses[i], 1);
            return;
        }
    }
}

static void put_labels(struct buf *labels, const struct traffic *t, size_t at)
{
    buf_clear(labels);
    metrics_label(labels, "method", at < t->count ? t->routes[at].method : "other");
    metrics_label(labels, "route", at < t->count ? t->routes[at].pattern : "none");
}

static void put_statuses(struct buf *out, const char *name, struct buf *labels, const struct lane *lane)
{
    size_t size = labels->size;
    char status[16];
    for (size_t i = 0; i < STATUSES_KEPT && lane->codes[i] != 0; i++) {
        snprintf(status, sizeof status, "%d", lane->codes[i]);
        metrics_label(labels, "status", status);
        metrics_line(out, name, labels->data, metric_read(&lane->statuses[i]));
        labels->size = size; /* the next label is written over this one */
    }
}

void traffic_print(const struct traffic *t, struct buf *out)
{
    struct buf labels = {0};
    metrics_family(out, "parlor_http_requests_total", METRIC_COUNTER,
                   "REST requests answered, by route and status.");
    for (size_t i = 0; i <= t->count; i++) {
        put_labels(&labels, t, i);
        put_statuses(out, "parlor_http_requests_total", &labels, &t->lanes[i]);
    }
    metrics_family(out, "parlor_http_request_duration_seconds", METRIC_HISTOGRAM,
                   "Time from a whole REST request to its answer, by route.");
    for (size_t i = 0; i <= t->count; i++) {
        if (t->lanes[i].codes[0] == 0)
            continue;
        put_labels(&labels, t, i);
        metrics_histogram(out, "parlor_http_request_duration_seconds", labels.data, &metric_seconds,
                          &t->lanes[i].duration);
    }
    buf_finish(&labels);
}
