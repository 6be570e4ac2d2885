/* How long a connection may take over a request: one that is not whole in time is cut off, so that nobody
 * keeps a place by sending half of one, however slowly.
 *
 * Flow:   listener -> patience_begin, patience_rest -> patience_end_late, once a second.
 * Thread: the listener's.
 * Owns:   nothing; a wait is part of its connection and is taken out by patience_stop. */
#ifndef PARLOR_HTTP_PATIENCE_H
#define PARLOR_HTTP_PATIENCE_H

#include <stdint.h>

struct wait {
    struct wait *next, *previous; /* NULL when it is on no list */
    int64_t until_ns;             /* INT64_MAX: it does not wait for its client */
    int fd;
};

struct patience {
    struct wait all; /* the list's head */
    int64_t request_ns, idle_ns;
    int64_t looked_ns;
    uint64_t cut; /* connections, ever */
};

/* A request must be whole request_ms after it began; between two of them idle_ms may pass besides. */
void patience_init(struct patience *patience, int64_t request_ms, int64_t idle_ms);

void patience_add(struct patience *patience, struct wait *wait,
                  int fd); /* a new connection, whose request begins */
void patience_begin(struct patience *patience, struct wait *wait); /* a request's line is there */
void patience_rest(struct wait *wait);                             /* the request is whole */
void patience_idle(struct patience *patience, struct wait *wait);  /* it was answered */
void patience_stop(struct wait *wait);                             /* the connection goes */

/* Shuts the sockets of those that took too long; looks at most once a second. */
void patience_end_late(struct patience *patience);

#endif
