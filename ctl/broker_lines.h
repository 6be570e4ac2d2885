/* What Mosquitto itself refuses in mosquitto.conf, line by line, before any plugin is asked.
 *
 * Flow:   parlorctl check -> broker_findings -> here -> findings.
 * Thread: one; pure but for asking whether the named files are there.
 * Owns:   nothing. */
#ifndef PARLOR_CTL_BROKER_LINES_H
#define PARLOR_CTL_BROKER_LINES_H

#include "core/brokerconf.h"
#include "ctl/findings.h"

/* Where a line stands, for texts. */
#define AT_FORMAT   "%s:%u: "
#define AT_LINE(at) (at)->file, (at)->line

void broker_lines(const struct brokerconf *conf, struct findings *f);

/* True for the lines that load a plugin. */
bool broker_line_is_plugin(const struct brokerconf_line *line);

/* What stands behind plugin_opt_ or auth_opt_; NULL when the line is no plugin's option. */
const char *broker_line_option(const struct brokerconf_line *line);

/* False also for a relative path: it is seen from the broker's folder, which nobody knows here. */
bool broker_file_missing(const char *path);

#endif
