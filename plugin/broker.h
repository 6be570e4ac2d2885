/* The broker's plugin interface: the one place that includes Mosquitto's headers.
 *
 * Debian's mosquitto-dev has the plugin's headers but not the client library's mosquitto.h, where the return
 * codes, log levels and functions for properties are; the few that we use are fixed by the plugin interface,
 * version 5, and named here.
 *
 * Thread: every mosquitto_* function is for the broker's thread alone. */
#ifndef PARLOR_PLUGIN_BROKER_H
#define PARLOR_PLUGIN_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

enum broker_code {
    BROKER_OK = 0,
    BROKER_NOMEM = 1,
    BROKER_INVAL = 3,
    BROKER_AUTH = 11,   /* CONNACK: not authorized */
    BROKER_DENIED = 12, /* this topic is denied: v5 gets 0x87, the connection stays */
    BROKER_DEFER = 17   /* the next plugin, or the broker's own files, decide */
};

/* Exported by the broker to its plugins; leaves NULL behind. */
void mosquitto_property_free_all(mosquitto_property **properties);

enum broker_log { BROKER_LOG_INFO = 1, BROKER_LOG_WARNING = 4, BROKER_LOG_ERR = 8, BROKER_LOG_DEBUG = 16 };

#endif
