/* The broker's end of the service: broker_port over one link, with records of core/wire.h.
 *
 * What a turn of the loop gathers goes out as one packet. Whenever the link comes up, or a packet from the
 * plugin is missing, everything begins anew: HELLO, all watches, all sends without an answer in their first
 * order and with their first fallback ids, so that a resend is stored once. For one record that is a message
 * and an answer, on_message is told before done. Who is online is compared over such a new beginning: a
 * change is told once.
 *
 * Flow:   http, bridge -> broker_port -> link -> plugin; plugin -> link -> broker_events, done.
 * Thread: the loop's.
 * Owns:   the link, sends without an answer, watches and barriers. */
#ifndef PARLOR_SERVICE_BROKER_H
#define PARLOR_SERVICE_BROKER_H

#include "core/config.h"
#include "core/members.h"
#include "core/ports.h"
#include "core/wire.h"
#include "service/loop.h"

#include <stdbool.h>
#include <stddef.h>

#define BROKER_SENDS_MAX 10000 /* without an answer: then UNAVAILABLE `busy` */
#define BROKER_SILENT_MS 3000  /* the plugin speaks once a second: silent for so long, it is not ready */

struct broker;

/* `config`, `tokens` (NULL: no password) and `members` outlive it; `node` names this process among the
 * broker's. */
int broker_create(struct loop *loop, const struct config *config, struct token_keys *tokens,
                  const struct members *members, const char *node, struct broker **out, struct error *e);

/* Answers what is left with UNCERTAIN or UNAVAILABLE and barriers with false. */
void broker_destroy(struct broker **broker);

struct broker_port *broker_port(struct broker *broker);

/* Who hears of messages from now on; NULL: nobody. `events` outlives it. */
void broker_listen(struct broker *broker, const struct broker_events *events);

/* The mirror has a new version, and the sockets know. */
void broker_members_applied(struct broker *broker);

/* It was read anew, maybe from another database: events may be numbered from the beginning. */
void broker_members_reset(struct broker *broker);

/* Who gets the requests of the `api` topic, as records that live until fn returns. The reply to one goes by
 * broker_reply, to the same user under the same requestId; it is lost when the link is down. */
typedef void (*broker_api_fn)(void *context, const struct wire_record *record);
void broker_on_api(struct broker *broker, broker_api_fn fn, void *context);
void broker_reply(struct broker *broker, const char *user, const char *request_id, const char *payload,
                  size_t size);

/* The plugin's metrics as Prometheus text, as it told them last; "" before. Lives until the next turn. */
const char *broker_plugin_metrics(const struct broker *broker);
size_t broker_online(const struct broker *broker); /* users at any door */

size_t broker_unanswered(const struct broker *broker);

/* True once the plugin has answered on the present connection. */
bool broker_linked(const struct broker *broker);

#endif
