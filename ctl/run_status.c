#include "ctl/ctl.h"

#include "core/db.h"
#include "core/json.h"
#include "ctl/printable.h"
#include "ctl/probe.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

#define PROBE_TIMEOUT_MS 3000

struct part {
    const char *name;
    bool up;
    struct buf text;  /* for people */
    struct buf facts; /* members of a JSON object, each begun by a comma */
};

static void say_error(struct part *part, const struct error *e)
{
    printable_put(&part->text, e->text);
    buf_put_text(&part->facts, ",\"code\":");
    json_put_text(&part->facts, e->word);
    buf_put_text(&part->facts, ",\"message\":");
    printable_put_json(&part->facts, e->text);
}

static int count_rows(PGconn *conn, struct part *part, struct error *e)
{
    PGresult *rows =
        db_exec(conn,
                "select (select count(*) from chat_rooms), (select count(*) from chat_participants), "
                "(select version from chat_membership_head), (select coalesce(max(version), 0) from "
                "schema_migrations)",
                0, NULL, CTL_DATABASE_TIMEOUT_MS, e);
    if (rows == NULL)
        return -1;
    const char *rooms = PQgetvalue(rows, 0, 0), *pairs = PQgetvalue(rows, 0, 1),
               *version = PQgetvalue(rows, 0, 2), *schema = PQgetvalue(rows, 0, 3);
    buf_printf(&part->text, "schema %s, %s rooms, %s members in them, membership version %s", schema, rooms,
               pairs, version);
    buf_printf(&part->facts, ",\"schema\":%s,\"rooms\":%s,\"members\":%s,\"membershipVersion\":%s", schema,
               rooms, pairs, version);
    PQclear(rows);
    return 0;
}

static void ask_database(const struct config *config, struct part *part)
{
    struct error e = {0};
    if (config->database_url == NULL) {
        error_set(&e, ERROR_INVALID, "bad_option", "database_url is not set");
        say_error(part, &e);
        return;
    }
    PGconn *conn = db_connect(config->database_url, CTL_NAME, CTL_DATABASE_TIMEOUT_MS, &e);
    part->up = conn != NULL && db_check(conn, DB_CHECK_MS, &e) == 0 && count_rows(conn, part, &e) == 0;
    if (!part->up)
        say_error(part, &e);
    PQfinish(conn);
}

static void ask_broker(const struct config *config, struct part *part)
{
    struct error e = {0};
    part->up = probe_tcp(config->broker_address, config->broker_port, PROBE_TIMEOUT_MS, &e) == 0;
    if (!part->up) {
        say_error(part, &e);
        return;
    }
    buf_printf(&part->text, "accepts connections on %s port %" PRId64, config->broker_address,
               config->broker_port);
}

static void ask_service(const struct config *config, struct part *part)
{
    struct error e = {0};
    struct buf body = {0};
    int status = probe_http(probe_reachable(config->http_address), config->http_port, "/readyz",
                            PROBE_TIMEOUT_MS, &body, &e);
    part->up = status == 200;
    if (status < 0) {
        say_error(part, &e);
    } else {
        buf_printf(&part->text, "%s on %s port %" PRId64 ": ", part->up ? "ready" : "not ready",
                   config->http_address, config->http_port);
        bool is_json = json_check(body.data, body.size, NULL) == 0;
        buf_put_text(&part->text, is_json ? body.data : "an answer that is not parlord's");
        buf_printf(&part->facts, ",\"httpStatus\":%d,\"readyz\":%s", status, is_json ? body.data : "null");
    }
    buf_finish(&body);
}

static void print(struct ctl *ctl, struct part *parts, size_t count, bool all_up)
{
    if (ctl_json(ctl))
        buf_printf(&ctl->out, "{\"ok\":%s", all_up ? "true" : "false");
    for (size_t i = 0; i < count; i++) {
        if (ctl_json(ctl)) {
            buf_printf(&ctl->out, ",\"%s\":{\"up\":%s", parts[i].name, parts[i].up ? "true" : "false");
            buf_put(&ctl->out, parts[i].facts.data, parts[i].facts.size);
            buf_put_byte(&ctl->out, '}');
        } else {
            buf_printf(&ctl->out, "%-8s  %-4s  ", parts[i].name, parts[i].up ? "up" : "DOWN");
            buf_put(&ctl->out, parts[i].text.data, parts[i].text.size);
            buf_put_byte(&ctl->out, '\n');
        }
        buf_finish(&parts[i].text);
        buf_finish(&parts[i].facts);
    }
    if (ctl_json(ctl))
        buf_put_text(&ctl->out, "}\n");
}

int run_status(struct ctl *ctl, struct error *e)
{
    (void)e;
    struct part parts[] = {{.name = "database"}, {.name = "broker"}, {.name = "parlord"}};
    ask_database(ctl->config, &parts[0]);
    ask_broker(ctl->config, &parts[1]);
    ask_service(ctl->config, &parts[2]);
    bool all_up = parts[0].up && parts[1].up && parts[2].up;
    print(ctl, parts, sizeof parts / sizeof parts[0], all_up);
    return all_up ? 0 : EX_UNAVAILABLE;
}
