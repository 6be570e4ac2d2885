#include "http/patience.h"

#include "core/clock.h"

#include <stddef.h>
#include <sys/socket.h>

#define NS_PER_MS 1000000
#define LOOK_NS   (INT64_C(1000) * NS_PER_MS)

void patience_init(struct patience *p, int64_t request_ms, int64_t idle_ms)
{
    *p = (struct patience){.request_ns = request_ms * NS_PER_MS, .idle_ns = idle_ms * NS_PER_MS};
    p->all.next = p->all.previous = &p->all;
}

void patience_add(struct patience *p, struct wait *wait, int fd)
{
    *wait = (struct wait){.next = p->all.next, .previous = &p->all, .fd = fd};
    wait->next->previous = wait;
    p->all.next = wait;
    patience_begin(p, wait);
}

void patience_begin(struct patience *p, struct wait *wait)
{
    wait->until_ns = clock_mono_ns() + p->request_ns;
}

void patience_rest(struct wait *wait)
{
    wait->until_ns = INT64_MAX;
}

void patience_idle(struct patience *p, struct wait *wait)
{
    wait->until_ns = clock_mono_ns() + p->idle_ns + p->request_ns;
}

void patience_stop(struct wait *wait)
{
    if (wait->next == NULL)
        return;
    wait->next->previous = wait->previous;
    wait->previous->next = wait->next;
    wait->next = wait->previous = NULL;
}

void patience_end_late(struct patience *p)
{
    int64_t now = clock_mono_ns();

    if (now - p->looked_ns < LOOK_NS)
        return;
    p->looked_ns = now;
    for (struct wait *wait = p->all.next; wait != &p->all; wait = wait->next) {
        if (wait->until_ns > now)
            continue;
        wait->until_ns = INT64_MAX;
        shutdown(wait->fd, SHUT_RDWR);
        p->cut++;
    }
}
