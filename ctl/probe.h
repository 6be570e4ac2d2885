/* Is somebody there: a TCP connection, and one HTTP request, each within a time limit.
 *
 * Flow:   status and check -> here -> sockets.
 * Thread: one; waits.
 * Owns:   nothing. */
#ifndef PARLOR_CTL_PROBE_H
#define PARLOR_CTL_PROBE_H

#include "core/buf.h"
#include "core/error.h"

#include <stdint.h>

/* 0 when something accepts connections there, or -1 with UNAVAILABLE `no_answer`. */
int probe_tcp(const char *host, int64_t port, int64_t timeout_ms, struct error *e);

/* GET path; appends the body (at most 64 KiB). The status code, or -1 with UNAVAILABLE `no_answer`. */
int probe_http(const char *host, int64_t port, const char *path, int64_t timeout_ms, struct buf *body,
               struct error *e);

/* Where to reach what listens on `address`: itself, or the loopback for "all addresses". */
const char *probe_reachable(const char *address);

#endif
