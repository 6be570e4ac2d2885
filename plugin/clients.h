/* Who is behind each connection of the broker: token identity, client id and expiry, found by the broker's
 * pointer.
 *
 * Three kinds of record: a connected client with a token; a connected one without (a `foreign` client of some
 * other authentication, known only so that its id is not taken from it); and an offline one, the remembered
 * identity of a client whose persistent session the broker may go on queueing for. An offline record's
 * pointer may be stale: it counts only together with the id and user name that the broker gives for it.
 *
 * Flow:   auth adds, renews and removes; acl and ingress look up.
 * Thread: the broker's.
 * Owns:   its records; a struct client * is good until the next call that may remove it. */
#ifndef PARLOR_PLUGIN_CLIENTS_H
#define PARLOR_PLUGIN_CLIENTS_H

#include "core/table.h"
#include "core/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENTS_OFFLINE_MAX 100000 /* offline records kept; the oldest are forgotten */
#define EXPIRY_WARNING_S    60

/* A user with at least one record. */
struct person {
    struct table_link link;
    unsigned records, connected;
    size_t size;
    char user[];
};

struct client {
    struct table_link by_handle, by_id;
    const void *handle;
    struct person *person; /* NULL: foreign */
    enum role role;
    bool connected, warned, replaced, websocket;
    bool unheard; /* a subscription was refused because memberships could not be read */
    int64_t expires_at_s;
    size_t heap_index;            /* SIZE_MAX: in no heap */
    struct client *older, *newer; /* among the offline ones */
    char id[];
};

struct clients;

struct clients *clients_create(size_t offline_max);
void clients_destroy(struct clients **c);

/* The record of the broker's pointer; NULL when there is none. */
struct client *clients_find(const struct clients *c, const void *handle);

/* A connected client with this client id; NULL when there is none. */
struct client *clients_holder(const struct clients *c, const char *id);

/* Has a user an offline record with this client id, or a connection? */
bool clients_knows(const struct clients *c, const char *id);

/* A new record; whatever the pointer stood for before is removed. With a token: older records of the same id
 * are marked as replaced (they say nothing more, and their disconnect removes them). token NULL: foreign. */
struct client *clients_add(struct clients *c, const void *handle, const char *id, const struct token *token,
                           bool websocket);

/* The broker may keep a session for the client: its id is `{user}:...`. */
bool client_may_have_session(const struct client *client);

/* The connection ended; may come twice, and for pointers never added. A client with a token and an id of
 * `{user}:...` becomes an offline record, anything else is removed. */
void clients_disconnected(struct clients *c, const void *handle);

/* A new expiry for a connected client, which will be warned again. */
void clients_renew(struct clients *c, struct client *client, int64_t expires_at_s);

/* How many connections the user has. */
unsigned clients_connected(const struct clients *c, const char *user);
size_t clients_online(const struct clients *c);     /* connected ones with tokens */
size_t clients_websockets(const struct clients *c); /* of them, those by WebSocket */
size_t clients_count(const struct clients *c);      /* all records */

/* The ids of connected clients that were marked `unheard`, which they are no longer; NULL when there are
 * none. The array and each id are the caller's, for free. */
char **clients_take_unheard(struct clients *c, size_t *count_out);

enum client_due { CLIENT_EXPIRING, CLIENT_EXPIRED };

/* The next client that must be warned or has expired at now_s (1970); NULL when none. Each answer is given
 * once: a warned client comes again when it has expired, an expired one doesn't come again. */
struct client *clients_due(struct clients *c, int64_t now_s, enum client_due *due_out);

#endif
