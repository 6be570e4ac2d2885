#include "plugin/membership.h"

#include "plugin/item.h"
#include "plugin/live.h"
#include "plugin/outbox.h"

/* On the follower's thread. */
static void on_batch(void *context, struct memberlog_batch *batch)
{
    struct plugin *p = context;
    queue_push_all(p->results, &result_make_members(batch)->node);
    wake_loop(p->wake);
}

int membership_start(struct plugin *p, struct error *e)
{
    return memberlog_start(p->config, "parlor membership", true, on_batch, p, &p->memberlog, e);
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
    if (memberlog_batch_is_reset(*batch))
        live_members_loaded(p);
    if (memberlog_batch_is_reset(*batch))
        log_info("membership", "loaded %zu memberships, %zu KiB, version %lld", members_pairs(p->members),
                 members_bytes(p->members) / 1024, (long long)members_version(p->members));
    p->loaded = true;
    membership_check(p);
    outbox_publish(p, *batch);
    memberlog_done(p->memberlog, batch);
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
    p->stale = stale;
}
