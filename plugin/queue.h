/* A queue between two threads, bounded by count and by bytes; the lock is held for pointer swaps only.
 *
 * What was taken goes on counting until it is released, so that the bound covers what is being worked on.
 *
 * Flow:   ingress -> queue -> writer, and writer or membership -> queue -> fanout.
 * Thread: any may push, one takes.
 * Owns:   nothing but itself: nodes are their pushers' until taken, then the taker's. */
#ifndef PARLOR_PLUGIN_QUEUE_H
#define PARLOR_PLUGIN_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue_node {
    struct queue_node *next;
    size_t bytes; /* what it counts for */
};

struct queue;

/* Limits of 0: none. */
struct queue *queue_create(size_t count_max, size_t bytes_max);
void queue_destroy(struct queue **q); /* must be empty */

/* False when it is full or closed: the node stays the caller's. The taker sleeps on until queue_wake, so that
 * what is pushed in one go wakes it once. */
bool queue_push(struct queue *q, struct queue_node *node);

/* Pushes a chain of nodes in order, whatever the limits. */
void queue_push_all(struct queue *q, struct queue_node *first);

/* Ends the taker's queue_wait when something is there; costs next to nothing when there isn't. */
void queue_wake(struct queue *q);

/* Everything that waits, oldest first, without waiting; NULL when there is nothing. */
struct queue_node *queue_take(struct queue *q);

/* Waits until something is there and queue_wake was called, the queue is closed or until_ns (clock_mono_ns)
 * has come. */
void queue_wait(struct queue *q, int64_t until_ns);

/* Says that something taken is done with. */
void queue_release(struct queue *q, size_t count, size_t bytes);

void queue_close(struct queue *q); /* no more pushes; ends queue_wait */
bool queue_closed(struct queue *q);
bool queue_empty(struct queue *q); /* cheap: a hint without the lock */
size_t queue_count(struct queue *q);

#endif
