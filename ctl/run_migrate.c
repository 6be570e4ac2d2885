#include "ctl/ctl.h"

#include "core/db.h"
#include "core/json.h"
#include "core/migrate.h"

#include <string.h>

static void print_json(struct buf *out, int count, bool dry_run, const char *report)
{
    buf_printf(out, "{\"ok\":true,\"dryRun\":%s,\"count\":%d,\"version\":%d,\"migrations\":[",
               dry_run ? "true" : "false", count, migrate_newest());
    for (const char *at = report; at != NULL && *at != '\0';) {
        size_t size = strcspn(at, "\n");
        if (at != report)
            buf_put_byte(out, ',');
        json_put_string(out, at, size);
        at += size + (at[size] == '\n');
    }
    buf_put_text(out, "]}\n");
}

int run_migrate(struct ctl *ctl, struct error *e)
{
    bool dry_run = (ctl->options->given & OPTION_DRY_RUN) != 0;
    if (ctl->config->database_url == NULL)
        return error_set(e, ERROR_INVALID, "bad_option",
                         "database_url is not set (in parlor.conf or PARLOR_DATABASE_URL)");
    PGconn *conn = db_connect(ctl->config->database_url, CTL_NAME, CTL_DATABASE_TIMEOUT_MS, e);
    if (conn == NULL)
        return -1;
    struct buf report = {0};
    int count = migrate_run(conn, dry_run, &report, e);
    PQfinish(conn);
    if (count >= 0 && ctl_json(ctl)) {
        print_json(&ctl->out, count, dry_run, report.data);
    } else {
        /* What was applied before a failure stays applied: it is said in any case. */
        if (report.size != 0)
            buf_put(&ctl->out, report.data, report.size);
        if (count == 0)
            buf_printf(&ctl->out, "the schema is at version %d, nothing to do\n", migrate_newest());
    }
    buf_finish(&report);
    return count < 0 ? -1 : 0;
}
