/* What mosquitto.conf means for Parlor, and what Parlor changes for the broker's other clients.
 *
 * Flow:   parlorctl check -> here -> findings.
 * Thread: one; pure but for asking whether the named plugin file is there.
 * Owns:   nothing. */
#ifndef PARLOR_CTL_BROKER_FINDINGS_H
#define PARLOR_CTL_BROKER_FINDINGS_H

#include "core/brokerconf.h"
#include "core/config.h"
#include "ctl/findings.h"

/* `config` may be NULL when parlor.conf could not be read; `config_path` too. */
void broker_findings(const struct brokerconf *conf, const struct config *config, const char *config_path,
                     struct findings *f);

#endif
