/* The last words of sessions by polling that ended while no poll was held: the next poll gets them, within
 * FAREWELL_MS, instead of an unknown id.
 *
 * Flow:   session_end -> farewells_keep; a GET with the id -> farewells_take -> its answer.
 * Thread: the service's loop.
 * Owns:   the words until they are taken, too old or too many (the oldest go first). */
#ifndef PARLOR_BRIDGE_FAREWELLS_H
#define PARLOR_BRIDGE_FAREWELLS_H

#include "bridge/deadlines.h"
#include "core/buf.h"

#define FAREWELL_MS         30000
#define FAREWELLS_MAX       1024
#define FAREWELLS_BYTES_MAX (1024 * 1024) /* of all; one that is larger by itself is not kept */

struct farewells;

struct farewells *farewells_create(struct clock_port *clock, size_t id_size);
void farewells_destroy(struct farewells **farewells);

/* Takes the words over; the buffer is empty then. */
void farewells_keep(struct farewells *farewells, const char *id, struct buf *words);

/* True when there are words of that id: they are the caller's then, for buf_finish. */
bool farewells_take(struct farewells *farewells, const char *id, size_t size, struct buf *out);

#endif
