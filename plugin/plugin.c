/* The door to the broker: loading, options, what is refused at start, and its callbacks.
 *
 * The broker calls everything here on its one thread, and its loop stands still meanwhile: nothing below
 * waits for a disk, a network or a lock that is held across either, but for mosquitto_plugin_init and
 * mosquitto_plugin_cleanup, which run before and after the loop. */
#include "plugin/plugin.h"

#include "core/clock.h"
#include "plugin/acl.h"
#include "plugin/api.h"
#include "plugin/auth.h"
#include "plugin/fanout.h"
#include "plugin/inboxes.h"
#include "plugin/ingress.h"
#include "plugin/item.h"
#include "plugin/live.h"
#include "plugin/logs.h"
#include "plugin/membership.h"
#include "plugin/refusals.h"

#include <stdlib.h>
#include <string.h>

#define DATABASE_START_MS 2000
#define MEMBERS_START_MS  5000
#define FLUSH_MS          5000
#define SEND_BUCKETS      65536
#define CONNECT_BUCKETS   16384
#define STALLS_EVERY_NS   (60 * PLUGIN_NS_PER_S)

#define EXPORT __attribute__((visibility("default")))

EXPORT int mosquitto_plugin_version(int count, const int *versions);
EXPORT int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **user_data, struct mosquitto_opt *options,
                                 int option_count);
EXPORT int mosquitto_plugin_cleanup(void *user_data, struct mosquitto_opt *options, int option_count);

static void publish(struct plugin *p, const char *topic, const void *payload, size_t size, int qos,
                    bool retained)
{
    void *copy = mosquitto_malloc(size + 1); /* the broker frees it */
    if (copy == NULL)
        return;
    memcpy(copy, payload, size);
    ((char *)copy)[size] = '\0';
    if (mosquitto_broker_publish(NULL, topic, (int)size, copy, qos, retained, NULL) != BROKER_OK)
        mosquitto_free(copy);
    p->published = true;
}

void plugin_publish(struct plugin *p, const char *topic, const void *payload, size_t size, int qos)
{
    publish(p, topic, payload, size, qos, false);
}

void plugin_publish_retained(struct plugin *p, const char *topic, const void *payload, size_t size)
{
    publish(p, topic, payload, size, 1, true);
}

struct grounds plugin_grounds(const struct plugin *p)
{
    return (struct grounds){.members = p->members,
                            .stale = p->stale,
                            .presence_room_max = (size_t)p->config->presence_room_max,
                            .unread = !p->loaded};
}

const struct topic *plugin_topic(struct plugin *p, const char *text)
{
    size_t size = strlen(text) + 1;
    if (size > sizeof p->name_text) { /* longer than any of ours */
        p->name_text[0] = '\0';
        p->name = topic_parse(p->config->prefix, text);
    } else if (memcmp(p->name_text, text, size) != 0) {
        memcpy(p->name_text, text, size);
        p->name = topic_parse(p->config->prefix, p->name_text);
    }
    return &p->name;
}

/* Callbacks. */

static int on_acl_check(int event, void *data, void *context)
{
    (void)event;
    return acl_check(context, data);
}

static int on_message(int event, void *data, void *context)
{
    (void)event;
    struct plugin *p = context;
    int64_t from_ns = clock_mono_ns();
    int code = ingress_message(p, data);
    stalls_note(&p->stalls, clock_mono_ns() - from_ns);
    return code;
}

static int on_basic_auth(int event, void *data, void *context)
{
    (void)event;
    struct plugin *p = context;
    struct mosquitto_evt_basic_auth *auth = data;
    int64_t from_ns = clock_mono_ns();
    int code = auth_connect(p, auth->client, auth->username, auth->password);
    stalls_note(&p->stalls, clock_mono_ns() - from_ns);
    return code;
}

static int on_disconnect(int event, void *data, void *context)
{
    (void)event;
    auth_disconnect(context, ((struct mosquitto_evt_disconnect *)data)->client);
    return BROKER_OK;
}

static int on_reload(int event, void *data, void *context)
{
    (void)event;
    (void)data;
    ((struct plugin *)context)->reloading = true;
    return BROKER_DEFER; /* other plugins are asked too */
}

static void log_stalls(struct plugin *p)
{
    p->stalls_ns = p->now_ns;
    log_debug("plugin", "time in callbacks count=%llu p99_us=%lld p999_us=%lld longest_us=%lld clients=%zu",
              (unsigned long long)p->stalls.total, (long long)stalls_percentile_ns(&p->stalls, 0.99) / 1000,
              (long long)stalls_percentile_ns(&p->stalls, 0.999) / 1000,
              (long long)p->stalls.longest_ns / 1000, clients_count(p->clients));
    p->stalls = (struct stalls){0};
}

static void each_second(struct plugin *p, int64_t now_s)
{
    p->now_s = now_s;
    auth_expire(p);
    api_tick(p);
    membership_check(p);
    if (p->now_ns - p->stalls_ns >= STALLS_EVERY_NS)
        log_stalls(p);
}

static int on_tick(int event, void *data, void *context)
{
    (void)event;
    (void)data;
    struct plugin *p = context;
    wake_ticked(p->wake);
    p->now_ns = clock_mono_ns();
    p->reloading = false;
    live_tick(p);
    writer_wake(p->writer);
    fanout_drain(p);
    int64_t now_s = clock_wall_ms() / 1000;
    if (now_s != p->now_s)
        each_second(p, now_s);
    if (p->published && clients_websockets(p->clients) > 0)
        wake_again(p->wake);
    p->published = false;
    stalls_note(&p->stalls, clock_mono_ns() - p->now_ns);
    return BROKER_OK;
}

static const struct {
    int event;
    MOSQ_FUNC_generic_callback call;
} callbacks[] = {{MOSQ_EVT_BASIC_AUTH, on_basic_auth}, {MOSQ_EVT_ACL_CHECK, on_acl_check},
                 {MOSQ_EVT_MESSAGE, on_message},       {MOSQ_EVT_DISCONNECT, on_disconnect},
                 {MOSQ_EVT_RELOAD, on_reload},         {MOSQ_EVT_TICK, on_tick}};

/* Start and end. */

static int read_options(const struct mosquitto_opt *options, int count, const char **path_out,
                        struct error *e)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(options[i].key, "config") != 0)
            return error_set(e, ERROR_INVALID, "bad_option",
                             "plugin_opt_%s is no option of Parlor's: the one there is is `plugin_opt_config "
                             "FILE`, all else is in that file",
                             options[i].key);
        *path_out = options[i].value;
    }
    if (*path_out == NULL)
        return error_set(e, ERROR_INVALID, "bad_option",
                         "the line `plugin_opt_config FILE` is missing in mosquitto.conf, below the line "
                         "`plugin .../mosquitto_parlor.so`: FILE is parlor.conf");
    return 0;
}

static void on_written(void *context)
{
    wake_loop(((struct plugin *)context)->wake);
}

static void make_parts(struct plugin *p)
{
    random_bytes(&p->boot, sizeof p->boot);
    request_ids_init(&p->requests);
    p->members = members_create();
    p->clients = clients_create(CLIENTS_OFFLINE_MAX);
    p->inboxes = inboxes_create();
    p->sends = rates_create(SEND_BUCKETS);
    p->marks = rates_create(SEND_BUCKETS);
    live_create(p);
    p->connects = rates_create(CONNECT_BUCKETS);
    p->renewals = rates_create(CONNECT_BUCKETS);
    p->results = queue_create(0, 0); /* bounded by what ingress lets in */
    p->unsent_end = &p->unsent;
    nodes_init(&p->nodes, fanout_packet, p);
    p->now_ns = p->stalls_ns = clock_mono_ns();
    p->now_s = clock_wall_ms() / 1000;
    p->stale = true;
}

static int plugin_start(struct plugin *p, const struct mosquitto_opt *options, int option_count,
                        struct error *e)
{
    const char *path = NULL;
    enum log_level level = LOG_LEVEL_INFO;
    if (read_options(options, option_count, &path, e) != 0 ||
        config_load(path, CONFIG_PLUGIN, &p->config, e) != 0)
        return -1;
    log_level_parse(p->config->log_level, &level);
    logs_start(level);
    if (refusals_check(p->config, e) != 0 || token_keys_create(p->config, &p->keys, e) != 0)
        return -1;
    token_keys_spare_memory(p->keys);
    make_parts(p);
    if (wake_create(p->config->wake_socket, &p->wake, e) != 0 ||
        writer_start(p->config, DATABASE_START_MS, p->results, on_written, p, &p->writer, e) != 0 ||
        membership_start(p, e) != 0 || wake_start(p->wake, e) != 0)
        return -1;
    /* Whoever connects at once, as all do after a restart, is to be granted its subscriptions. */
    if (writer_database_up(p->writer))
        membership_await(p, clock_mono_ns() + MEMBERS_START_MS * INT64_C(1000000));
    for (size_t i = 0; i < sizeof callbacks / sizeof callbacks[0]; i++)
        if (mosquitto_callback_register(p->id, callbacks[i].event, callbacks[i].call, NULL, p) != BROKER_OK)
            return error_set(e, ERROR_INTERNAL, "no_callback", "the broker refused callback %d",
                             callbacks[i].event);
    return 0;
}

/* Stores what was accepted; what comes of it can't be published any more: clients see it by seq. */
static void plugin_destroy(struct plugin *p)
{
    for (size_t i = 0; i < sizeof callbacks / sizeof callbacks[0]; i++)
        mosquitto_callback_unregister(p->id, callbacks[i].event, callbacks[i].call, NULL);
    if (p->stalls.total > 0)
        log_stalls(p);
    wake_stop(p->wake);
    membership_stop(p);
    membership_settle(p, false);
    writer_stop(&p->writer, FLUSH_MS);
    wake_destroy(&p->wake);
    if (p->results != NULL)
        fanout_discard(p);
    queue_destroy(&p->results);
    nodes_finish(&p->nodes);
    asked_finish(&p->asked);
    rates_destroy(&p->sends);
    rates_destroy(&p->marks);
    live_destroy(p);
    rates_destroy(&p->connects);
    rates_destroy(&p->renewals);
    inboxes_destroy(&p->inboxes);
    clients_destroy(&p->clients);
    members_destroy(&p->members);
    token_keys_destroy(&p->keys);
    config_destroy(&p->config);
    logs_stop();
    free(p);
}

int mosquitto_plugin_version(int count, const int *versions)
{
    for (int i = 0; i < count; i++)
        if (versions[i] == MOSQ_PLUGIN_VERSION)
            return MOSQ_PLUGIN_VERSION;
    return -1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **user_data, struct mosquitto_opt *options,
                          int option_count)
{
    struct error e = {0};
    struct plugin *p = mem_zalloc(1, sizeof *p);
    p->id = id;
    logs_start(LOG_LEVEL_INFO);
    if (plugin_start(p, options, option_count, &e) != 0) {
        log_error("plugin", "not started: %s", e.text);
        plugin_destroy(p);
        return BROKER_INVAL;
    }
    log_info("plugin", "started prefix=%s", p->config->prefix);
    *user_data = p;
    return BROKER_OK;
}

int mosquitto_plugin_cleanup(void *user_data, struct mosquitto_opt *options, int option_count)
{
    (void)options;
    (void)option_count;
    if (user_data != NULL)
        plugin_destroy(user_data);
    return BROKER_OK;
}
