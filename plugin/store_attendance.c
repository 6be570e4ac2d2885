#include "plugin/store_attendance.h"

#include "plugin/store_run.h"

#include <string.h>

static void fill(struct params *p, const struct store_attendee *attendees, size_t count)
{
    params_begin(p, PARAMS_TEXT, count);
    for (size_t i = 0; i < count; i++)
        params_add_text(p, attendees[i].user, strlen(attendees[i].user));
    params_begin(p, PARAMS_INT8, count);
    for (size_t i = 0; i < count; i++)
        params_add_int(p, attendees[i].online);
    params_begin(p, PARAMS_TIME, count);
    for (size_t i = 0; i < count; i++)
        params_add_time(p, attendees[i].since_ms);
}

static int run(struct store *store, const char *name, struct params *p, int64_t deadline_ns, struct error *e)
{
    struct store_answer answer = {0};
    int ok = store_connect(store, deadline_ns, e);
    if (ok == 0)
        ok = store_run_alone(store, name, p, deadline_ns, &answer, e);
    store_answer_clear(&answer);
    params_finish(p);
    return ok;
}

int store_attendance(struct store *store, const struct store_attendee *attendees, size_t count,
                     int64_t deadline_ns, struct error *e)
{
    struct params p = {0};
    fill(&p, attendees, count);
    return run(store, "attendance", &p, deadline_ns, e);
}

int store_nobody(struct store *store, int64_t deadline_ns, struct error *e)
{
    struct params none = {0};
    return run(store, "nobody", &none, deadline_ns, e);
}
