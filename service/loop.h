/* The service's loop: libuv, a clock, and the end of a turn, at which what was gathered goes out.
 *
 * Flow:   events -> handlers, which queue -> the turn's end -> hooks, which send -> sleep.
 * Thread: one; only uv_async_send is for others.
 * Owns:   the uv loop and its timers. */
#ifndef PARLOR_SERVICE_LOOP_H
#define PARLOR_SERVICE_LOOP_H

#include "core/error.h"
#include "core/ports.h"

#include <stdbool.h>
#include <uv.h>

struct loop;

/* Sends what is ready; true when it did something that may have given other hooks work. */
typedef bool (*loop_hook_fn)(void *context);

/* Owned by who registers it, who unregisters it before it goes. */
struct loop_hook {
    loop_hook_fn fn;
    void *context;
    struct loop_hook *next; /* the loop's */
};

int loop_create(struct loop **out, struct error *e);
/* All handles and hooks of others must be gone or closing; timers that are left don't run any more. */
void loop_destroy(struct loop **loop);

uv_loop_t *loop_uv(struct loop *loop);
struct clock_port *loop_clock(struct loop *loop);

/* Hooks run at each turn's end in the order of registration, again while any of them says true. */
void loop_add_hook(struct loop *loop, struct loop_hook *hook);
void loop_remove_hook(struct loop *loop, struct loop_hook *hook);

/* Runs until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Runs one turn, waiting for events if `wait`; for tests. */
void loop_turn(struct loop *loop, bool wait);

/* Closes a handle that has a block of its own, and frees that block. */
void loop_close_and_free(uv_handle_t *handle);

#endif
