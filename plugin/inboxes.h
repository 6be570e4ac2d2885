/* Which users' inboxes somebody listens to, by the client ids of those who do.
 *
 * Flow:   inbox -> inboxes_add, inboxes_remove, inboxes_forget; inboxes_count, inboxes_has, inboxes_each.
 * Thread: the broker's.
 * Owns:   everything in it. */
#ifndef PARLOR_PLUGIN_INBOXES_H
#define PARLOR_PLUGIN_INBOXES_H

#include <stdbool.h>
#include <stddef.h>

struct inboxes;

struct inboxes *inboxes_create(void);
void inboxes_destroy(struct inboxes **x);

/* A subscription of the client covers the user's inbox. `shape` is one bit, different for each filter that a
 * client may hold beside others. */
void inboxes_add(struct inboxes *x, const char *client_id, const char *user, size_t user_size,
                 unsigned shape);
void inboxes_remove(struct inboxes *x, const char *client_id, const char *user, size_t user_size,
                    unsigned shape);
void inboxes_forget(struct inboxes *x, const char *client_id); /* the session is gone, with all of them */

/* Does the client listen to the user's inbox? */
bool inboxes_holds(const struct inboxes *x, const char *client_id, const char *user, size_t user_size);

size_t inboxes_count(const struct inboxes *x); /* users */
bool inboxes_has(const struct inboxes *x, const char *user);

typedef void (*inboxes_fn)(void *context, const char *user, size_t user_size);
void inboxes_each(const struct inboxes *x, inboxes_fn fn, void *context); /* fn must not change it */

#endif
