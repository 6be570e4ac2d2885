#include "service/door.h"

#include "core/buf.h"

#include <stdlib.h>

#define HOUSEKEEPING_MS 1000

struct door {
    struct loop *loop;
    struct listener *listener;
    uv_poll_t *poll;
    struct loop_hook hook;
    struct timer *timer;
};

static void on_ready(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    struct door *door = handle->data;
    listener_run(door->listener);
}

static bool on_turn_end(void *context)
{
    struct door *door = context;
    if (!listener_dirty(door->listener))
        return false;
    listener_run(door->listener);
    return true;
}

static void on_housekeeping(void *context)
{
    struct door *door = context;
    struct clock_port *clock = loop_clock(door->loop);
    door->timer = clock->start(clock, HOUSEKEEPING_MS, on_housekeeping, door);
    listener_run(door->listener);
}

int door_open(struct loop *loop, const char *address, int port, const struct listener_options *options,
              listener_request_fn on_request, void *context, struct door **out, struct error *e)
{
    struct listener *listener;
    if (listener_create(address, port, options, on_request, context, &listener, e) != 0)
        return -1;
    struct door *door = mem_zalloc(1, sizeof *door);
    door->loop = loop;
    door->listener = listener;
    door->poll = mem_zalloc(1, sizeof *door->poll);
    uv_poll_init(loop_uv(loop), door->poll, listener_fd(listener));
    door->poll->data = door;
    uv_poll_start(door->poll, UV_READABLE, on_ready);
    door->hook = (struct loop_hook){.fn = on_turn_end, .context = door};
    loop_add_hook(loop, &door->hook);
    struct clock_port *clock = loop_clock(loop);
    door->timer = clock->start(clock, HOUSEKEEPING_MS, on_housekeeping, door);
    *out = door;
    return 0;
}

void door_close(struct door **door)
{
    struct door *d = *door;
    if (!d)
        return;
    *door = NULL;
    struct clock_port *clock = loop_clock(d->loop);
    clock->cancel(clock, &d->timer);
    loop_remove_hook(d->loop, &d->hook);
    uv_poll_stop(d->poll);
    loop_close_and_free((uv_handle_t *)d->poll);
    listener_destroy(&d->listener);
    free(d);
}

struct listener *door_listener(struct door *door)
{
    return door->listener;
}
