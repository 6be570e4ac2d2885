/* The broker's end of the service: broker_port over one link, with records of core/wire.h.
 *
 * What a turn of the loop gathers goes out as one packet. Whenever the link comes up, or a packet from the
 * plugin is missing, everything begins anew: HELLO, all watches, all sends without an answer in their first
 * order and with their first fallback ids, so that a resend is stored once. For one record that is a message
 * and an answer, on_message is told before done.
 *
 * Flow:   http, bridge -> broker_port -> link -> plugin; plugin -> link -> broker_events, done.
 * Thread: the loop's.
 * Owns:   the link, sends without an answer, watches and barriers. */
#ifndef PARLOR_SERVICE_BROKER_H
#define PARLOR_SERVICE_BROKER_H

#include "core/config.h"
#include "core/members.h"
#include "core/ports.h"
#include "service/loop.h"

#include <stdbool.h>
#include <stddef.h>

#define BROKER_SENDS_MAX 10000 /* without an answer: then UNAVAILABLE `busy` */
#define BROKER_AWAY_MS   2000  /* a send that could not be sent for so long fails */
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

size_t broker_unanswered(const struct broker *broker);

/* True once the plugin has answered on the present connection. */
bool broker_linked(const struct broker *broker);

#endif
