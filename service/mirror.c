#include "service/mirror.h"

#include "core/buf.h"
#include "core/log.h"

#include <pthread.h>
#include <stdlib.h>

struct arrived {
    struct arrived *next;
    struct memberlog_batch *batch;
};

/* memberlog_apply tells a change before it is made; these wait until all are. */
struct change {
    struct uuid room;
    enum room_type type;
    enum member_role role;
    size_t user_at, user_size; /* in `users` */
};

struct mirror {
    struct members *members;
    struct mirror_events events;
    struct memberlog *log;
    uv_async_t *async;
    pthread_mutex_t lock; /* of the arrived */
    struct arrived *first, **end;
    struct buf changes, users;
};

/* On the follower's thread. */
static void on_batch(void *context, struct memberlog_batch *batch)
{
    struct mirror *m = context;
    struct arrived *a = mem_alloc(sizeof *a);
    *a = (struct arrived){.batch = batch};
    pthread_mutex_lock(&m->lock);
    *m->end = a;
    m->end = &a->next;
    uv_async_send(m->async);
    pthread_mutex_unlock(&m->lock);
}

static struct arrived *take_arrived(struct mirror *m)
{
    pthread_mutex_lock(&m->lock);
    struct arrived *first = m->first;
    m->first = NULL;
    m->end = &m->first;
    pthread_mutex_unlock(&m->lock);
    return first;
}

static void keep_change(void *context, const struct uuid *room, enum room_type type, const char *user,
                        size_t user_size, enum member_role role)
{
    struct mirror *m = context;
    struct change change = {
        .room = *room, .type = type, .role = role, .user_at = m->users.size, .user_size = user_size};
    buf_put(&m->changes, &change, sizeof change);
    buf_put(&m->users, user, user_size);
    buf_put_byte(&m->users, 0);
}

static void tell_changes(struct mirror *m)
{
    const struct change *changes = (const void *)m->changes.data;
    for (size_t i = 0; i < m->changes.size / sizeof *changes; i++)
        m->events.on_changed(m->events.self, &changes[i].room, changes[i].type,
                             m->users.data + changes[i].user_at, changes[i].user_size, changes[i].role);
}

static void apply(struct mirror *m, struct memberlog_batch *batch)
{
    buf_clear(&m->changes);
    buf_clear(&m->users);
    memberlog_apply(batch, m->members, keep_change, m);
    if (memberlog_batch_is_reset(batch)) {
        log_info("mirror", "membership is loaded pairs=%zu version=%lld", members_pairs(m->members),
                 (long long)members_version(m->members));
        m->events.on_reset(m->events.self);
    } else {
        tell_changes(m);
    }
    m->events.on_applied(m->events.self);
}

static void on_async(uv_async_t *handle)
{
    struct mirror *m = handle->data;
    struct arrived *a = take_arrived(m);
    while (a) {
        struct arrived *next = a->next;
        apply(m, a->batch);
        memberlog_done(m->log, &a->batch);
        free(a);
        a = next;
    }
}

int mirror_create(struct loop *loop, const struct config *config, struct members *members,
                  const struct mirror_events *events, struct mirror **out, struct error *e)
{
    struct mirror *m = mem_zalloc(1, sizeof *m);
    m->members = members;
    m->events = *events;
    m->end = &m->first;
    pthread_mutex_init(&m->lock, NULL);
    m->async = mem_zalloc(1, sizeof *m->async);
    uv_async_init(loop_uv(loop), m->async, on_async);
    m->async->data = m;
    if (memberlog_start(config, "parlord members", false, on_batch, m, &m->log, e) != 0) {
        mirror_destroy(&m);
        return -1;
    }
    *out = m;
    return 0;
}

void mirror_destroy(struct mirror **mirror)
{
    struct mirror *m = *mirror;
    if (!m)
        return;
    *mirror = NULL;
    memberlog_stop(&m->log);
    loop_close_and_free((uv_handle_t *)m->async);
    for (struct arrived *a = take_arrived(m), *next; a; a = next) {
        next = a->next;
        memberlog_batch_destroy(&a->batch);
        free(a);
    }
    pthread_mutex_destroy(&m->lock);
    buf_finish(&m->changes);
    buf_finish(&m->users);
    free(m);
}
