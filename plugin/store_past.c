/* The file is replaced as a whole and never forced to the disk. It holds only what the database has
 * committed, and so forced to its own disk before: a file that a power cut takes away, empties or leaves old
 * names less than the database has, and nothing is suspected wrongly.
 *
 * A new epoch goes through the rooms in slices, each a transaction of its own within the writer's time
 * limits. Until the last one is done the store neither stores nor forgets: the next connection finds the same
 * loss and goes on behind the last slice, the next process finds it too and goes through all again. A room
 * that gets two new epochs for one loss has not been harmed. */
#include "plugin/store_past.h"

#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "plugin/past.h"

#include <string.h>

#define KEEP_INTERVAL_NS     INT64_C(1000000000)
#define COMPLAIN_INTERVAL_NS INT64_C(60000000000)
#define SLICE_TIME_NS        INT64_C(500000000) /* less than that left: no slice is begun */

_Static_assert(PAST_IDENTITY_SIZE == DB_IDENTITY_SIZE, "one identity is the other");
_Static_assert(PAST_ROOMS_MAX == SEEN_MAX, "a file has room for all that was seen");

void store_past_load(struct store *store)
{
    const char *path = store->config->past_file;
    struct buf text = {0};
    struct error e = {0};
    if (path == NULL) {
        return;
    }
    int ok = file_read(path, PAST_BYTES_MAX, &text, &e);
    if (ok == 0) {
        ok = past_parse(text.data, text.size, store->identity, store->seen, &e);
    }
    if (ok == 0) {
        log_info("store", "%s knows the newest messages of %zu rooms", path, watermarks_count(store->seen));
    } else if (e.code == ERROR_NOT_FOUND) {
        log_info("store", "there is no %s yet: it is not known what the database should have", path);
    } else {
        log_warn("store", "past_file %s counts as none, so it is not known what the database should have: %s",
                 path, e.text);
    }
    buf_finish(&text);
}

void store_past_note(struct store *store, const struct uuid *room, int64_t seq)
{
    /* When there are too many, those of now are enough: a database that goes back loses the newest first. */
    if (!watermarks_raise(store->seen, room, "", seq)) {
        watermarks_clear(store->seen);
        watermarks_raise(store->seen, room, "", seq);
    }
    store->past_changed = true;
}

/* The same cluster: everything before the slash of an identity. */
static bool same_system(const char *a, const char *b)
{
    size_t size = strcspn(a, "/");
    return strcspn(b, "/") == size && memcmp(a, b, size) == 0;
}

static int count_lost(struct store *store, int64_t deadline_ns, int *lost_out, struct error *e)
{
    struct store_answer answer;
    *lost_out = 0;
    if (watermarks_count(store->seen) == 0) {
        return 0;
    }
    store_fill_watermarks(&store->batch.items, store->seen, false);
    int ok = store_run_alone(store, "lost", &store->batch.items, deadline_ns, &answer, e);
    if (ok == 0) {
        *lost_out = PQntuples(answer.results[0]);
    }
    store_answer_clear(&answer);
    return ok;
}

/* The next rooms behind store->renewed begin a new epoch. */
static int renew_slice(struct store *store, int64_t deadline_ns, bool *done_out, struct error *e)
{
    struct store_answer answer;
    struct params *p = &store->batch.items;
    params_clear(p);
    params_begin(p, PARAMS_UUID, 1);
    params_add_uuid(p, &store->renewed);
    int ok = store_run_alone(store, "new_epoch", p, deadline_ns, &answer, e);
    if (ok == 0) {
        *done_out = PQntuples(answer.results[0]) == 0;
    }
    if (ok == 0 && !*done_out) {
        memcpy(&store->renewed, PQgetvalue(answer.results[0], 0, 0), sizeof(store->renewed));
        store->renewed_count += (size_t)params_read_int(PQgetvalue(answer.results[0], 0, 1));
    }
    store_answer_clear(&answer);
    return ok;
}

/* All rooms: those that are not remembered here may have lost as much as those that are. */
static int renew_epochs(struct store *store, int64_t deadline_ns, struct error *e)
{
    bool done = false;
    do {
        if (renew_slice(store, deadline_ns, &done, e) != 0) {
            return -1;
        }
    } while (!done && clock_mono_ns() + SLICE_TIME_NS < deadline_ns);
    if (done) {
        return 0;
    }
    return error_set(e, ERROR_UNAVAILABLE, "gone_back",
                     "the database has gone back, and %zu rooms have begun a new epoch so far",
                     store->renewed_count);
}

static void forget_renewal(struct store *store)
{
    store->renewed = (struct uuid){0};
    store->renewed_count = 0;
}

int store_past_compare(struct store *store, const char *identity, int64_t deadline_ns, struct error *e)
{
    int lost;
    if (count_lost(store, deadline_ns, &lost, e) != 0) {
        return -1;
    }
    bool other = store->identity[0] != '\0' && !same_system(store->identity, identity);
    if (lost > 0 || other) {
        if (renew_epochs(store, deadline_ns, e) != 0) {
            return -1;
        }
        log_error(
            "store",
            "the database has gone back (was %s, is %s; %d of %zu rooms have lost messages): every room "
            "begins a new epoch (%zu of them), and clients start over",
            store->identity, identity, lost, watermarks_count(store->seen), store->renewed_count);
        watermarks_clear(store->seen);
        watermarks_clear(store->own_reads);
    }
    store->past_changed |= lost > 0 || strcmp(store->identity, identity) != 0;
    memcpy(store->identity, identity, sizeof(store->identity));
    forget_renewal(store);
    return 0;
}

static void complain(struct store *store, const struct error *e)
{
    int64_t now_ns = clock_mono_ns();
    if (store->complained_ns == 0 || now_ns - store->complained_ns >= COMPLAIN_INTERVAL_NS) {
        store->complained_ns = now_ns;
        log_warn("store", "past_file can't be kept, a restored backup may go unnoticed: %s", e->text);
    }
}

void store_past_keep(struct store *store, bool at_once)
{
    const char *path = store->config->past_file;
    int64_t now_ns = clock_mono_ns();
    struct buf text = {0};
    struct error e;
    if (path == NULL || !store->past_changed || (!at_once && now_ns - store->kept_ns < KEEP_INTERVAL_NS)) {
        return;
    }
    store->kept_ns = now_ns;
    past_print(&text, store->identity, store->seen);
    if (file_replace(path, text.data, text.size, &e) == 0) {
        store->past_changed = false;
    } else {
        complain(store, &e);
    }
    buf_finish(&text);
}
