#include "plugin/membership.h"

#include "plugin/acl.h"
#include "plugin/item.h"
#include "plugin/live.h"
#include "plugin/outbox.h"

#include <stdlib.h>
#include <string.h>

#define CREDITS_MAX 65536

/* On the follower's thread. */
static void on_batch(void *context, struct memberlog_batch *batch)
{
    struct plugin *p = context;
    queue_push_all(p->results, &result_make_members(batch)->node);
    queue_wake(p->results);
    wake_loop(p->wake);
}

int membership_start(struct plugin *p, struct error *e)
{
    return memberlog_start(p->config, "parlor membership", true, on_batch, p, &p->memberlog, e);
}

void membership_await(struct plugin *p, int64_t until_ns)
{
    queue_wait(p->results, until_ns);
}

void membership_stop(struct plugin *p)
{
    memberlog_stop(&p->memberlog);
}

static void on_change(void *context, const struct uuid *room, enum room_type type, const char *user,
                      size_t user_size, enum member_role role)
{
    (void)type;
    live_member_changes(context, room, user, user_size, role);
}

void membership_apply(struct plugin *p, struct memberlog_batch **batch)
{
    memberlog_apply(*batch, p->members, on_change, p);
    live_members_changed(p);
    if (memberlog_batch_is_reset(*batch)) {
        live_members_loaded(p);
        nodes_forget_told(&p->nodes);
        log_info("membership", "loaded %zu memberships, %zu KiB, version %lld", members_pairs(p->members),
                 members_bytes(p->members) / 1024, (long long)members_version(p->members));
    }
    p->loaded = true;
    membership_check(p);
    outbox_publish(p, *batch);
    memberlog_done(p->memberlog, batch);
}

struct credit {
    struct credit *next;
    const char *filter; /* behind the id */
    char client_id[];
};

bool membership_credit(struct plugin *p, const char *client_id, const char *filter)
{
    size_t id_size = strlen(client_id) + 1, filter_size = strlen(filter) + 1;
    if (p->credit_count >= CREDITS_MAX)
        return false;
    struct credit *credit = mem_zalloc(1, sizeof *credit + id_size + filter_size);
    memcpy(credit->client_id, client_id, id_size);
    memcpy(credit->client_id + id_size, filter, filter_size);
    credit->filter = credit->client_id + id_size;
    credit->next = p->credits;
    p->credits = credit;
    p->credit_count++;
    return true;
}

static void judge_credit(struct plugin *p, const struct credit *credit)
{
    const struct client *client = clients_holder(p->clients, credit->client_id);
    if (client == NULL || client->person == NULL)
        return;
    struct subject who = acl_subject(p, client);
    struct topic filter = filter_parse(p->config->prefix, credit->filter);
    struct grounds grounds = plugin_grounds(p);
    struct verdict verdict = access_topic(&who, ACCESS_SUBSCRIBE, &filter, &grounds);
    if (verdict.allowed)
        return;
    acl_log(p, client->person->user, client->id, "subscribe", credit->filter, rule_name(verdict.rule), NULL);
    mosquitto_kick_client_by_clientid(credit->client_id, false);
}

void membership_settle(struct plugin *p, bool judge)
{
    struct credit *credit = p->credits;
    p->credits = NULL;
    p->credit_count = 0;
    while (credit != NULL) {
        struct credit *next = credit->next;
        if (judge)
            judge_credit(p, credit);
        free(credit);
        credit = next;
    }
}

/* Those whom the broker could not tell apart from strangers: a client that subscribes when it connects comes
 * back from a disconnection, and is granted what is its own then. */
static void invite_unheard(struct plugin *p)
{
    size_t count;
    char **ids = clients_take_unheard(p->clients, &count);
    for (size_t i = 0; i < count; i++) {
        log_info("membership", "disconnecting client %s, whose subscription was refused: it may ask again",
                 ids[i]);
        mosquitto_kick_client_by_clientid(ids[i], false);
        free(ids[i]);
    }
    free(ids);
}

void membership_check(struct plugin *p)
{
    bool stale =
        !p->loaded || p->now_ns - members_fresh_ns(p->members) > p->config->members_stale_s * PLUGIN_NS_PER_S;
    if (stale != p->stale && p->loaded) {
        if (stale)
            log_error("membership", "not refreshed for %lld s: no new subscriptions are granted",
                      (long long)p->config->members_stale_s);
        else
            log_info("membership", "memberships are current: subscriptions are granted");
    }
    bool fresh = p->stale && !stale;
    p->stale = stale;
    if (fresh) {
        membership_settle(p, true);
        invite_unheard(p);
    }
}
