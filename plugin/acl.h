/* Who may say and hear what: the broker's ACL question, put to core/access.
 *
 * Flow:   broker (ACL_CHECK) -> acl -> access -> broker code; a refused publish also -> writer -> ack.
 * Thread: the broker's; called for every publish, every subscription and every delivery. */
#ifndef PARLOR_PLUGIN_ACL_H
#define PARLOR_PLUGIN_ACL_H

#include "plugin/plugin.h"

/* A broker_code: OK, DENIED, or DEFER outside the prefix. */
int acl_check(struct plugin *p, const struct mosquitto_evt_acl_check *event);

struct subject acl_subject(const struct plugin *p, const struct client *client);

/* The refusal that a rule means to a client: code, word and text (static). */
struct acl_refusal {
    enum error_code code;
    const char *word, *text;
};
struct acl_refusal acl_refusal(const struct plugin *p, enum rule rule);

/* Logs a refusal with who, what and rule, so many a second. `trace`: of a publish; NULL: it is none. */
void acl_log(struct plugin *p, const char *user, const char *client_id, const char *what, const char *topic,
             const char *rule, const struct trace *trace);

#endif
