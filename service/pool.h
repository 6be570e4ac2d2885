/* The database's end of the service: a few pipelined connections in the loop, filling db_port.
 *
 * A query goes to the connection with the least under way and is followed by its own sync, so that one that
 * fails costs its neighbours nothing. Connecting and checking wait, and so happen in libuv's thread pool, one
 * connection at a time.
 *
 * Flow:   http, bridge -> db_port.query -> connection -> PostgreSQL -> done, in the loop.
 * Thread: the loop's.
 * Owns:   connections and queries, until their done was called. */
#ifndef PARLOR_SERVICE_POOL_H
#define PARLOR_SERVICE_POOL_H

#include "core/config.h"
#include "core/ports.h"
#include "service/loop.h"

#include <stdbool.h>
#include <stddef.h>

#define POOL_WAITING_MAX   10000 /* queries waiting for a place on a connection: then UNAVAILABLE `busy` */
#define POOL_PIPELINED_MAX 64    /* queries under way on one connection */
#define POOL_DEADLINE_MS   5000  /* a query's; its connection is dropped when it passes under way */

struct pool;

/* Begins to connect config->pool_size times to config->database_url (config outlives the pool). */
int pool_create(struct loop *loop, const struct config *config, struct pool **out, struct error *e);

/* Fails what is under way, waits for a connection attempt to end, frees all. */
void pool_destroy(struct pool **pool);

struct db_port *pool_port(struct pool *pool);

/* Connections that work now. */
unsigned pool_connected(const struct pool *pool);

/* Queries under way and waiting. */
size_t pool_unanswered(const struct pool *pool);

/* Of them, those that wait for a place on a connection. */
size_t pool_waiting(const struct pool *pool);

/* Why the last attempt to connect failed; NULL when it did not. */
const struct error *pool_error(const struct pool *pool);

#endif
