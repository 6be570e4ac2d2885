#include "http/health.h"

#include "core/config.h"
#include "core/members.h"
#include "core/queries.h"

#define DATABASE_WAIT_MS 1500 /* a database that takes longer for nothing is not up */

void health_live(struct exchange *x)
{
    static const char body[] = "{\"status\":\"ok\"}";
    exchange_json(x, 200, body, sizeof body - 1);
}

/* Whether the mirror of who is in which room is loaded and current. */
static const char *members_state(const struct exchange *x)
{
    int64_t fresh_ns = members_fresh_ns(x->ports->members);
    if (fresh_ns == 0)
        return "loading";
    int64_t age_ns = x->ports->clock->mono_ns(x->ports->clock) - fresh_ns;
    return age_ns > x->ports->config->members_stale_s * 1000000000 ? "stale" : "up";
}

static void answer_ready(struct exchange *x, bool database_up)
{
    bool broker_up = x->ports->broker->ready(x->ports->broker);
    const char *members = members_state(x);
    bool ready = database_up && broker_up && members[0] == 'u';
    buf_printf(
        &x->text, "{\"status\":\"%s\",\"parts\":{\"database\":\"%s\",\"broker\":\"%s\",\"members\":\"%s\"}}",
        ready ? "ready" : "not_ready", database_up ? "up" : "down", broker_up ? "up" : "down", members);
    if (!ready)
        exchange_header(x, "Retry-After", "1");
    exchange_json(x, ready ? 200 : 503, x->text.data, x->text.size);
}

static void on_database(struct exchange *x, const struct db_answer *answer)
{
    answer_ready(x, answer->ok);
}

static void on_no_answer(struct exchange *x)
{
    answer_ready(x, false);
}

void health_ready(struct exchange *x)
{
    exchange_timer(x, DATABASE_WAIT_MS, on_no_answer);
    exchange_query(x, QUERY_ALIVE, 0, NULL, on_database);
}
