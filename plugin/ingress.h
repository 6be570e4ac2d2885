/* What clients say: taken out of the broker's hands and handed to the writer, or let through.
 *
 * Flow:   broker (MESSAGE) -> ingress -> writer; service packets -> nodes and writer.
 * Thread: the broker's: nothing is parsed here but topics and the service's packets. */
#ifndef PARLOR_PLUGIN_INGRESS_H
#define PARLOR_PLUGIN_INGRESS_H

#include "plugin/acl.h"
#include "plugin/plugin.h"

#define RECEIPT_BYTES_MAX 1024

/* A broker_code. The event is changed in place when the message is consumed. */
int ingress_message(struct plugin *p, struct mosquitto_evt_message *event);

/* Answers a publish that is refused on the sender's acks topic, with its clientMessageId when the payload has
 * one (which the writer's thread finds out). The log has its line already, under that number. */
void ingress_refuse_told(struct plugin *p, const struct client *client, const struct topic *topic,
                         const void *payload, size_t size, const struct acl_refusal *refusal,
                         struct request_number number);

#endif
