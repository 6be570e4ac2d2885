/* What a store has seen of its database, held against what the database says after each connecting, also that
 * of an earlier process: a file (`past_file`) keeps it.
 *
 * Flow:   store_create -> store_past_load; store_connect -> store_past_compare; store -> store_past_keep.
 * Thread: the writer's, but for store_past_load; only plugin/store.c may include this.
 * Owns:   nothing: it is all the store's. */
#ifndef PARLOR_PLUGIN_STORE_PAST_H
#define PARLOR_PLUGIN_STORE_PAST_H

#include "plugin/store_run.h"

/* Reads past_file, if the configuration names one. A file that can't be read or understood counts as none. */
void store_past_load(struct store *store);

/* Notes what was stored: the room's newest number. */
void store_past_note(struct store *store, const struct uuid *room, int64_t seq);

/* Has the database, which is the one of that identity, forgotten what it once committed, or is it another
 * one? Then all rooms begin a new epoch. 0 when they have, or nothing is missing. -1 with UNAVAILABLE
 * `gone_back` when there are more rooms than the deadline allows: the next call goes on from there; or -1 as
 * store_run_alone. */
int store_past_compare(struct store *store, const char *identity, int64_t deadline_ns, struct error *e);

/* Writes past_file when something has changed and the last write was a second ago or more, or `at_once`. */
void store_past_keep(struct store *store, bool at_once);

#endif
