/* Who is online: a user while any of its connections lives, on MQTT or at a parlord, and for a short grace
 * after the last one, so that a reconnect is no change.
 *
 * Flow:   auth (CONNECT, DISCONNECT), ingress (ONLINE) and nodes that went -> presence_set; tick ->
 * presence_due -> the owner's function: topic, nodes, row.
 * Thread: the broker's.
 * Owns:   an entry for each user who is online or in its grace, and what is kept of PRESENCE_KEPT_MAX others.
 */
#ifndef PARLOR_PLUGIN_PRESENCE_H
#define PARLOR_PLUGIN_PRESENCE_H

#include "core/ids.h"

#include <stdbool.h>
#include <stddef.h>

#define PRESENCE_KEPT_MAX 10000 /* users who went offline unseen; the oldest are forgotten */
#define PRESENCE_MQTT     31    /* the source that MQTT connections are; nodes are those below */

struct presence;

/* `since_ms`: of now, or, when offline, of when the last connection went (1970). */
typedef void (*presence_fn)(void *context, const char *user, bool online, int64_t since_ms);

struct presence *presence_create(int64_t grace_ms, presence_fn on_changed, void *context);
void presence_destroy(struct presence **p);

/* The user has connections by this source (0 to 31), or has none left. */
void presence_set(struct presence *p, const char *user, size_t size, unsigned source, bool here,
                  int64_t now_ns, int64_t wall_ms);
/* Nobody has connections by this source any more. */
void presence_drop_source(struct presence *p, unsigned source, int64_t now_ns, int64_t wall_ms);
/* Tells those whose grace is over. */
void presence_due(struct presence *p, int64_t now_ns);

/* Was the user's status shown to others? True once, with its `since_ms`, for one who is online and was not.
 */
bool presence_take_unshown(struct presence *p, const char *user, size_t size, int64_t *since_ms_out);
bool presence_is_shown(const struct presence *p, const char *user, size_t size);

/* The user goes offline while nobody may see it: since when is kept for whoever comes to share a room with
 * it. To be called by on_changed alone. */
void presence_keep(struct presence *p, const char *user, size_t size, int64_t since_ms);
/* True once for a user of whom it is kept, and who has not come since. */
bool presence_take_kept(struct presence *p, const char *user, size_t size, int64_t *since_ms_out);

/* Calls the function for each who is online (or in its grace), with its `since_ms`. */
void presence_each(const struct presence *p, presence_fn fn, void *context);
size_t presence_count(const struct presence *p);

#endif
