/* The broker runs BASIC_AUTH for each CONNECT and, on SIGHUP, once more for every session that it has, with
 * the password that it first came with. A connection that we know must survive the second kind even when
 * that first token has expired since: it may have been renewed. Connected clients are told by their pointer,
 * which is theirs until DISCONNECT. An offline session's pointer may have been freed and given to a new
 * connection, so it is trusted only in the turn of the reload, in which no CONNECT over TCP is read (packets
 * are read before it) and websockets, which are served after it, show as such.
 *
 * An offline session that we don't know (MQTT 5 keeps them under ids without a colon too) is let be then,
 * also when its token has expired: it has no rights here, it is no connection to note, and one that is
 * refused is disconnected a second time, after which Mosquitto 2.0.11 frees it twice. */
#include "plugin/auth.h"

#include "core/clock.h"
#include "core/json.h"
#include "plugin/api.h"
#include "plugin/inbox.h"
#include "plugin/live.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUTH_LINES_PER_S 10
#define CONNECTS_BURST   5 /* seconds' worth: clients come back together after a restart */
#define RENEWALS_PER_S   1 /* of a user: each has a signature to be checked on the broker's thread */
#define RENEWALS_BURST   10
#define SERVICE_ID       "$parlord:"

__attribute__((format(printf, 3, 4))) static int refuse(struct plugin *p, const struct mosquitto *client,
                                                        const char *format, ...)
{
    unsigned held;
    char why[ERROR_TEXT_MAX];
    if (!log_limit_pass(&p->auth_lines, AUTH_LINES_PER_S, clock_mono_ns(), &held))
        return BROKER_AUTH;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    const char *address = mosquitto_client_address(client), *id = mosquitto_client_id(client);
    log_warn("auth", "refused a connection client=%s address=%s why=%s held=%u", id == NULL ? "" : id,
             address == NULL ? "" : address, why, held);
    return BROKER_AUTH;
}

/* Does the id begin with the name of a user, who may have a session by it? Others have ids with colons too,
 * as hardware addresses. */
static bool names_a_user(const struct plugin *p, const char *id)
{
    const char *colon = strchr(id, ':');
    return colon != NULL &&
           (clients_knows(p->clients, id) || members_user_rooms(p->members, id, (size_t)(colon - id)) > 0);
}

/* A client of some other authentication. Its id is noted, so that no token takes it over. */
static int connect_foreign(struct plugin *p, struct mosquitto *client, const char *id)
{
    const struct client *holder = clients_holder(p->clients, id);
    if (holder != NULL && holder->person != NULL)
        return refuse(p, client, "the client id belongs to a connected client of user %s",
                      holder->person->user);
    if (strcmp(id, WAKE_USER) == 0 || strncmp(id, SERVICE_ID, strlen(SERVICE_ID)) == 0)
        return refuse(p, client, "client ids that begin with %s or %s are the service's", SERVICE_ID,
                      WAKE_USER);
    if (names_a_user(p, id))
        return refuse(p, client,
                      "the client id begins with the name of a user, whose sessions are not for "
                      "clients without a token");
    clients_add(p->clients, client, id, NULL, mosquitto_client_protocol(client) == mp_websockets);
    return BROKER_DEFER;
}

static int check_service(struct plugin *p, struct mosquitto *client, const char *id)
{
    const char *address = mosquitto_client_address(client);
    if (address == NULL || !token_service_address(p->config, address))
        return refuse(p, client, "a service token from an address that service_addresses does not name");
    if (strncmp(id, SERVICE_ID, strlen(SERVICE_ID)) != 0)
        return refuse(p, client, "the service's client ids begin with %s", SERVICE_ID);
    return BROKER_OK;
}

static int check_user(struct plugin *p, struct mosquitto *client, const char *id, const char *user,
                      const struct token *token)
{
    size_t size = strlen(token->user);
    bool own = strncmp(id, token->user, size) == 0 && id[size] == ':';
    if (user != NULL && strcmp(user, token->user) != 0 && strcmp(user, "jwt") != 0)
        return refuse(p, client, "the user name must be the token's subject (%s), `jwt`, or none",
                      token->user);
    if (id[0] == '$')
        return refuse(p, client, "client ids that begin with $ are the service's");
    if (strchr(id, ':') != NULL && !own)
        return refuse(p, client, "a client id with a colon must begin with %s:", token->user);
    if (!own && !mosquitto_client_clean_session(client))
        return refuse(p, client, "a persistent session needs a client id that begins with %s:", token->user);
    const struct client *holder = clients_holder(p->clients, id);
    bool same = holder != NULL && holder->person != NULL && strcmp(holder->person->user, token->user) == 0;
    if (holder != NULL && !same)
        return refuse(p, client, "the client id belongs to a connected client of another user");
    if (p->config->limits && !same &&
        clients_connected(p->clients, token->user) >= (unsigned)p->config->connections_user_max)
        return refuse(p, client, "user %s has %lld connections already (connections_user_max)", token->user,
                      (long long)p->config->connections_user_max);
    return BROKER_OK;
}

static bool too_fast(struct plugin *p, const char *address)
{
    if (!p->config->limits || address == NULL || token_service_address(p->config, address))
        return false;
    int64_t per_s = p->config->connects_per_s;
    return !rates_take(p->connects, bytes_hash(address, strlen(address)), per_s, per_s * CONNECTS_BURST,
                       clock_mono_ns());
}

/* The pointer may have stood for a connection of another user, whose end nobody told. */
static void add_user(struct plugin *p, struct mosquitto *client, const char *id, const struct token *token)
{
    const struct client *before = clients_find(p->clients, client);
    char *other = before != NULL && before->person != NULL ? mem_strdup(before->person->user) : NULL;
    inbox_connecting(p, client, id, token->user);
    clients_add(p->clients, client, id, token, mosquitto_client_protocol(client) == mp_websockets);
    live_user_changed(p, token->user);
    if (other != NULL)
        live_user_changed(p, other);
    free(other);
}

static int connect_token(struct plugin *p, struct mosquitto *client, const char *id, const char *user,
                         const char *text)
{
    struct token token;
    struct error e;
    const char *address = mosquitto_client_address(client);
    if (too_fast(p, address))
        return refuse(p, client, "too many connections from this address (connects_per_s)");
    if (token_verify(p->keys, text, strlen(text), clock_wall_ms() / 1000, &token, &e) != 0)
        return refuse(p, client, "%s: %s", e.word, e.text);
    int code =
        token.role == ROLE_SERVICE ? check_service(p, client, id) : check_user(p, client, id, user, &token);
    if (code != BROKER_OK)
        return code;
    if (mosquitto_set_username(client, token.user) != BROKER_OK)
        return BROKER_AUTH;
    add_user(p, client, id, &token);
    return BROKER_OK;
}

/* The next two are true when the broker asks again for a session that it has (see above). */
static bool asked_on_reload(const struct plugin *p, const struct mosquitto *client)
{
    return p->reloading && mosquitto_client_protocol(client) != mp_websockets;
}

static bool asked_again(const struct plugin *p, const struct mosquitto *client, const struct client *known,
                        const char *id)
{
    if (known == NULL || strcmp(known->id, id) != 0 || known->replaced)
        return false;
    return known->connected || asked_on_reload(p, client);
}

/* A session that we don't know, on a reload. */
static int keep_session(struct plugin *p, const struct mosquitto *client, const char *text)
{
    struct token token;
    struct error e;
    if (token_verify(p->keys, text, strlen(text), clock_wall_ms() / 1000, &token, &e) != 0 &&
        strcmp(e.word, "token_expired") != 0)
        return refuse(p, client, "%s: %s", e.word, e.text);
    return BROKER_OK;
}

int auth_connect(struct plugin *p, struct mosquitto *client, const char *user, const char *password)
{
    const char *id = mosquitto_client_id(client);
    if (id == NULL)
        return BROKER_AUTH;
    const struct client *known = clients_find(p->clients, client);
    if (asked_again(p, client, known, id))
        return known->person == NULL ? BROKER_DEFER : BROKER_OK;
    if (strcmp(id, WAKE_USER) == 0 && wake_is_password(p->wake, user, password))
        return BROKER_OK;
    bool foreign = password == NULL || !token_looks_like(password, strlen(password));
    if (asked_on_reload(p, client))
        return foreign ? BROKER_DEFER : keep_session(p, client, password);
    if (foreign)
        return connect_foreign(p, client, id);
    return connect_token(p, client, id, user, password);
}

void auth_disconnect(struct plugin *p, const struct mosquitto *client)
{
    const struct client *known = clients_find(p->clients, client);
    char *user = known != NULL && known->person != NULL ? mem_strdup(known->person->user) : NULL;
    inbox_disconnecting(p, client);
    clients_disconnected(p->clients, client);
    if (user != NULL)
        live_user_changed(p, user);
    free(user);
    for (const struct node *node = p->nodes.list; node < p->nodes.list + NODES_MAX; node++)
        if (node->used && node->client == client) {
            live_node_gone(p, node);
            api_node_gone(p, node->link);
        }
    nodes_gone(&p->nodes, client);
}

static void warn(struct plugin *p, const struct client *client)
{
    char topic[TOPIC_TEXT_MAX], when[CLOCK_TEXT_SIZE], event[128];
    if (client->role == ROLE_SERVICE)
        return;
    topic_format_user(topic, p->config->prefix, client->person->user, TOPIC_USER_EVENTS, NULL);
    clock_format(client->expires_at_s * 1000, when);
    int size = snprintf(event, sizeof event, "{\"event\":\"token_expiring\",\"expiresAt\":\"%s\"}", when);
    plugin_publish(p, topic, event, (size_t)size, 1);
}

void auth_subscribed(struct plugin *p, struct client *client, const struct topic *filter)
{
    if (filter->kind == TOPIC_USER_EVENTS && client->connected && client->warned)
        clients_renew(p->clients, client, client->expires_at_s);
}

/* A connection ends with its will: outside the prefix others wait for it; below it says nothing. */
void auth_expire(struct plugin *p)
{
    enum client_due due;
    struct client *client;
    while ((client = clients_due(p->clients, p->now_s, &due)) != NULL) {
        if (due == CLIENT_EXPIRING) {
            warn(p, client);
            continue;
        }
        log_info("auth", "the token of user %s has expired: disconnecting client %s", client->person->user,
                 client->id);
        char *id = mem_strdup(client->id); /* the record goes away in the call */
        mosquitto_kick_client_by_clientid(id, true);
        free(id);
    }
}

static void renew_ack(struct plugin *p, const struct client *client, const char *json, size_t size)
{
    char topic[TOPIC_TEXT_MAX];
    topic_format_user(topic, p->config->prefix, client->person->user, TOPIC_USER_ACKS, NULL);
    plugin_publish(p, topic, json, size, 1);
}

static void renew_refuse(struct plugin *p, const struct client *client, const char *word, const char *text)
{
    char json[256];
    int size = snprintf(
        json, sizeof json,
        "{\"clientMessageId\":null,\"status\":\"rejected\",\"code\":\"%s\",\"message\":\"%s\"}", word, text);
    renew_ack(p, client, json, (size_t)size);
}

void auth_renew(struct plugin *p, struct client *client, const void *payload, size_t size)
{
    struct token token;
    struct error e;
    const char *user = client->person->user;
    if (p->config->limits && !rates_take(p->renewals, bytes_hash(user, strlen(user)), RENEWALS_PER_S,
                                         RENEWALS_BURST, clock_mono_ns())) {
        renew_refuse(p, client, "rate_limited", "too many renewals; send it again in a while");
        return;
    }
    if (token_verify(p->keys, payload, size, clock_wall_ms() / 1000, &token, &e) != 0) {
        log_warn("auth", "user %s: a token for renewal was refused: %s: %s", user, e.word, e.text);
        renew_refuse(p, client, e.word, "the token is not valid; the connection keeps the one it has");
        return;
    }
    if (token.role == ROLE_SERVICE || strcmp(token.user, user) != 0) {
        renew_refuse(p, client, "invalid_token", "the token is another user's");
        return;
    }
    client->role = token.role;
    clients_renew(p->clients, client, token.expires_at_s);
    char json[128], when[CLOCK_TEXT_SIZE];
    clock_format(token.expires_at_s * 1000, when);
    int length = snprintf(json, sizeof json, "{\"status\":\"renewed\",\"expiresAt\":\"%s\"}", when);
    renew_ack(p, client, json, (size_t)length);
}
