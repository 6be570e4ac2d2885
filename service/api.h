/* REST over MQTT: a request of the `api` topic becomes a struct request for the same router, its answer a
 * reply.
 *
 * The payload is {"method","path","query"?,"body"?,"idempotencyKey"?}: `path` with or without /api/v1,
 * its escapes decoded as in a URL, `query` an object of strings and numbers or the text behind the question
 * mark, `body` any JSON. The plugin
 * has checked who asks; a reply that is lost with the link is asked for again by the client.
 *
 * Flow:   broker -> api_on_record -> http_request -> request_ops.answer -> broker_reply.
 * Thread: the service's loop.
 * Owns:   requests under way, until they are answered. */
#ifndef PARLOR_SERVICE_API_H
#define PARLOR_SERVICE_API_H

#include "core/wire.h"
#include "http/http.h"
#include "service/broker.h"

struct api;

struct api *api_create(struct broker *broker, struct http *http, const struct ports *ports);
/* Before the broker goes: answers go nowhere from now on. NULL is fine. */
void api_detach(struct api *api);
void api_destroy(struct api **api); /* after http, which has answered all */

/* Takes a record WIRE_API; `context` is the struct api. */
void api_on_record(void *context, const struct wire_record *record);

#endif
