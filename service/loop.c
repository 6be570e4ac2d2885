/* libuv's order in a turn is timers, pending, prepare, poll, closing. The hooks run in prepare: whatever a
 * timer or an event queued has gone out before the loop sleeps again. */
#include "service/loop.h"

#include "core/buf.h"
#include "core/clock.h"
#include "service/timers.h"

#include <stdlib.h>

#define HOOK_ROUNDS_MAX 8 /* then events are looked at before the rest goes out */
#define NS_PER_MS       1000000

struct loop {
    struct clock_port clock; /* first: the port is the loop */
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_timer_t alarm; /* rings when the first of `timers` is due */
    int64_t alarm_ns; /* when it will; -1: not set */
    uv_idle_t busy;   /* active: don't sleep, hooks have more to do */
    struct timers timers;
    struct loop_hook *hooks;
};

/* ---- The clock. ---- */

static int64_t on_wall_ms(struct clock_port *port)
{
    (void)port;
    return clock_wall_ms();
}

static int64_t on_mono_ns(struct clock_port *port)
{
    (void)port;
    return clock_mono_ns();
}

static struct timer *on_start(struct clock_port *port, int64_t delay_ms, timer_fn fn, void *context)
{
    struct loop *loop = (struct loop *)port;
    return timers_start(&loop->timers, clock_mono_ns() + (delay_ms > 0 ? delay_ms : 0) * NS_PER_MS, fn,
                        context);
}

static void on_cancel(struct clock_port *port, struct timer **timer)
{
    timers_cancel(&((struct loop *)port)->timers, timer);
}

static void on_alarm(uv_timer_t *handle)
{
    struct loop *loop = handle->data;
    loop->alarm_ns = -1;
    timers_run(&loop->timers, clock_mono_ns());
}

static void set_alarm(struct loop *loop)
{
    int64_t due_ns = timers_due_ns(&loop->timers);
    if (due_ns == loop->alarm_ns)
        return;
    loop->alarm_ns = due_ns;
    if (due_ns < 0) {
        uv_timer_stop(&loop->alarm);
        return;
    }
    uv_update_time(&loop->uv);
    int64_t left_ns = due_ns - clock_mono_ns();
    uint64_t left_ms = left_ns > 0 ? (uint64_t)((left_ns + NS_PER_MS - 1) / NS_PER_MS) : 0;
    uv_timer_start(&loop->alarm, on_alarm, left_ms, 0);
}

/* ---- The turn's end. ---- */

static void on_busy(uv_idle_t *handle)
{
    uv_idle_stop(handle);
}

static void on_prepare(uv_prepare_t *handle)
{
    struct loop *loop = handle->data;
    bool again = true;
    for (int round = 0; again && round < HOOK_ROUNDS_MAX; round++) {
        again = false;
        struct loop_hook *next;
        for (struct loop_hook *hook = loop->hooks; hook; hook = next) {
            next = hook->next;
            again = hook->fn(hook->context) || again;
        }
    }
    if (again)
        uv_idle_start(&loop->busy, on_busy);
    set_alarm(loop);
}

void loop_add_hook(struct loop *loop, struct loop_hook *hook)
{
    struct loop_hook **at = &loop->hooks;
    while (*at)
        at = &(*at)->next;
    hook->next = NULL;
    *at = hook;
}

void loop_remove_hook(struct loop *loop, struct loop_hook *hook)
{
    for (struct loop_hook **at = &loop->hooks; *at; at = &(*at)->next) {
        if (*at != hook)
            continue;
        *at = hook->next;
        return;
    }
}

/* ---- The loop. ---- */

int loop_create(struct loop **out, struct error *e)
{
    struct loop *loop = mem_zalloc(1, sizeof *loop);
    int rc = uv_loop_init(&loop->uv);
    if (rc != 0) {
        free(loop);
        return error_set(e, ERROR_INTERNAL, "loop", "no event loop: %s", uv_strerror(rc));
    }
    loop->clock = (struct clock_port){
        .wall_ms = on_wall_ms, .mono_ns = on_mono_ns, .start = on_start, .cancel = on_cancel};
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_timer_init(&loop->uv, &loop->alarm);
    uv_idle_init(&loop->uv, &loop->busy);
    loop->prepare.data = loop->alarm.data = loop;
    loop->alarm_ns = -1;
    uv_prepare_start(&loop->prepare, on_prepare);
    *out = loop;
    return 0;
}

void loop_destroy(struct loop **loop)
{
    struct loop *l = *loop;
    if (!l)
        return;
    *loop = NULL;
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->alarm, NULL);
    uv_close((uv_handle_t *)&l->busy, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    int rc = uv_loop_close(&l->uv);
    timers_finish(&l->timers);
    if (rc == 0)
        free(l); /* else somebody's handle is still in it */
}

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

struct clock_port *loop_clock(struct loop *loop)
{
    return &loop->clock;
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

void loop_turn(struct loop *loop, bool wait)
{
    uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

void loop_close_and_free(uv_handle_t *handle)
{
    uv_close(handle, on_closed);
}
