/* The REST API: a router over requests and replies, and the handlers behind it.
 *
 * Flow:   http/listener (later also the `api` topic) -> http_request -> router -> handler -> database or
 * broker -> request_ops.answer. Thread: the service's loop. Owns:   requests under way, until they are
 * answered. */
#ifndef PARLOR_HTTP_HTTP_H
#define PARLOR_HTTP_HTTP_H

#include "core/buf.h"
#include "core/ports.h"

struct http;

struct http *http_create(const struct ports *ports);
void http_destroy(struct http **http);

/* Who adds the rest of the process's metrics to the page of GET /metrics. */
typedef void (*http_metrics_fn)(void *context, struct buf *page);
void http_on_metrics(struct http *http, http_metrics_fn fn, void *context);

/* Answers every request, 404 and 405 included. `admin`: it came by the admin listener. */
void http_request(struct http *http, struct request *request, bool admin);

#endif
