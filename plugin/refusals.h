/* What the plugin can't live with in the broker's own configuration, found before anything is started.
 *
 * Flow:   mosquitto_plugin_init -> here -> core/brokerconf.
 * Thread: the broker's, before its loop runs. */
#ifndef PARLOR_PLUGIN_REFUSALS_H
#define PARLOR_PLUGIN_REFUSALS_H

#include "core/config.h"
#include "core/error.h"

/* Reads the file that the broker was started with (none: nothing to refuse). 0, or -1 with INVALID
 * `broker_conf` and a text that says what to do. A wake_socket that no listener serves is only warned of. */
int refusals_check(const struct config *config, struct error *e);

#endif
