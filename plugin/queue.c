#include "plugin/queue.h"

#include "core/buf.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_SECOND 1000000000

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct queue_node *first, *last;
    size_t count, bytes, count_max, bytes_max; /* waiting and taken, not yet released */
    atomic_bool waiting;                       /* something is there to take */
    bool closed, sleeping;                     /* somebody is in queue_wait */
};

struct queue *queue_create(size_t count_max, size_t bytes_max)
{
    struct queue *q = mem_zalloc(1, sizeof *q);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&q->arrived, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&q->lock, NULL);
    q->count_max = count_max;
    q->bytes_max = bytes_max;
    return q;
}

void queue_destroy(struct queue **q)
{
    if (q == NULL || *q == NULL)
        return;
    pthread_cond_destroy(&(*q)->arrived);
    pthread_mutex_destroy(&(*q)->lock);
    free(*q);
    *q = NULL;
}

static bool has_room(const struct queue *q, size_t bytes)
{
    return !q->closed && (q->count_max == 0 || q->count < q->count_max) &&
           (q->bytes_max == 0 || (bytes <= q->bytes_max && q->bytes <= q->bytes_max - bytes));
}

static void append(struct queue *q, struct queue_node *first, struct queue_node *last)
{
    if (q->last == NULL)
        q->first = first;
    else
        q->last->next = first;
    q->last = last;
    last->next = NULL;
    atomic_store_explicit(&q->waiting, true, memory_order_release);
}

bool queue_push(struct queue *q, struct queue_node *node)
{
    pthread_mutex_lock(&q->lock);
    bool fits = has_room(q, node->bytes);
    if (fits) {
        append(q, node, node);
        q->count++;
        q->bytes += node->bytes;
    }
    pthread_mutex_unlock(&q->lock);
    return fits;
}

void queue_push_all(struct queue *q, struct queue_node *first)
{
    if (first == NULL)
        return;
    size_t count = 0, bytes = 0;
    struct queue_node *last = first;
    for (struct queue_node *node = first; node != NULL; node = node->next) {
        count++;
        bytes += node->bytes;
        last = node;
    }
    pthread_mutex_lock(&q->lock);
    append(q, first, last);
    q->count += count;
    q->bytes += bytes;
    pthread_mutex_unlock(&q->lock);
}

/* The signal comes after the unlock: the one that wakes would only wait for the lock. */
void queue_wake(struct queue *q)
{
    if (queue_empty(q))
        return;
    pthread_mutex_lock(&q->lock);
    bool sleeping = q->sleeping;
    q->sleeping = false;
    pthread_mutex_unlock(&q->lock);
    if (sleeping)
        pthread_cond_signal(&q->arrived);
}

struct queue_node *queue_take(struct queue *q)
{
    if (queue_empty(q))
        return NULL;
    pthread_mutex_lock(&q->lock);
    struct queue_node *first = q->first;
    q->first = q->last = NULL;
    atomic_store_explicit(&q->waiting, false, memory_order_release);
    pthread_mutex_unlock(&q->lock);
    return first;
}

void queue_wait(struct queue *q, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / NS_PER_SECOND, .tv_nsec = until_ns % NS_PER_SECOND};
    int timed_out = 0;
    pthread_mutex_lock(&q->lock);
    while (q->first == NULL && !q->closed && !timed_out) {
        q->sleeping = true;
        timed_out = pthread_cond_timedwait(&q->arrived, &q->lock, &until);
    }
    q->sleeping = false;
    pthread_mutex_unlock(&q->lock);
}

void queue_release(struct queue *q, size_t count, size_t bytes)
{
    pthread_mutex_lock(&q->lock);
    q->count -= count;
    q->bytes -= bytes;
    pthread_mutex_unlock(&q->lock);
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->arrived);
    pthread_mutex_unlock(&q->lock);
}

bool queue_closed(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    bool closed = q->closed;
    pthread_mutex_unlock(&q->lock);
    return closed;
}

bool queue_empty(struct queue *q)
{
    return !atomic_load_explicit(&q->waiting, memory_order_acquire);
}

size_t queue_count(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    size_t count = q->count;
    pthread_mutex_unlock(&q->lock);
    return count;
}
