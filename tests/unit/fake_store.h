/* A store without a database, for tests of the writer: as long as the test holds it, a batch waits to be
 * executed, or its commit to be complete, or a chore to be done; then it follows the script. What the writer
 * may not ask for (a step out of its turn, anything beside a commit) ends the test.
 *
 * Included by one test program, after cmocka.h. */
#ifndef PARLOR_TESTS_FAKE_STORE_H
#define PARLOR_TESTS_FAKE_STORE_H

#include "plugin/store.h"
#include "plugin/store_attendance.h"
#include "plugin/store_marks.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum answer { ANSWER_OK, ANSWER_AWAY, ANSWER_UNCERTAIN, ANSWER_UNCERTAIN_BUT_STORED };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool held, commit_held, chore_held;
    unsigned calls;   /* of store_begin and store_marks */
    unsigned chores;  /* begun: of store_connect, store_attendance and store_marks */
    unsigned commits; /* under way, and complete: of store_execute */
    bool begun, committing;
    enum answer fate; /* of the commit under way */
    enum answer answer;
    bool probe_away;         /* when it is asked which rooms are locked */
    bool begin_held;         /* one that has to reconnect first waits for that */
    unsigned begins_waiting; /* so */
    unsigned away_at;        /* from this call on it is away; 0: never */
    char poison[32];         /* content that the server refuses */
    bool locked[256];        /* rooms by their first byte */
    int64_t last_seq;
    char kept[64][CLIENT_MESSAGE_ID_MAX + 1]; /* clientMessageIds stored, with their seqs 1, 2, ... */
    const char *connect_word;
    char attended[128];
    unsigned nobody, nobody_before; /* calls of store_nobody that did it */
    size_t marks_rows;              /* of the last call */
    int64_t read_of[256];           /* by the room's first byte: one user's watermark */
} db = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

struct store *store_create(const struct config *config)
{
    (void)config;
    return (struct store *)&db;
}

void store_end(struct store *store)
{
    (void)store;
}

void store_destroy(struct store **store)
{
    *store = NULL;
}

bool store_connected(const struct store *store)
{
    (void)store;
    pthread_mutex_lock(&db.lock);
    bool connected = db.connect_word == NULL;
    pthread_mutex_unlock(&db.lock);
    return connected;
}

void store_disconnect(struct store *store)
{
    (void)store;
}

int store_flush(struct store *store, int64_t deadline_ns, struct error *e)
{
    (void)store;
    (void)deadline_ns;
    (void)e;
    pthread_mutex_lock(&db.lock);
    assert(!db.committing && !db.begun);
    pthread_mutex_unlock(&db.lock);
    return 0;
}

static int64_t seq_of(const char *client_message_id)
{
    for (int64_t i = 0; i < db.last_seq; i++)
        if (strcmp(db.kept[i], client_message_id) == 0)
            return i + 1;
    return 0;
}

static void keep(struct store_item *item)
{
    int64_t seq = seq_of(item->draft->client_message_id);
    item->outcome = seq == 0 ? STORE_STORED : STORE_REPLAYED;
    if (seq == 0) {
        seq = ++db.last_seq;
        snprintf(db.kept[seq - 1], sizeof db.kept[0], "%s", item->draft->client_message_id);
    }
    item->message = (struct message){.id = item->id,
                                     .room = item->room,
                                     .seq = seq,
                                     .sender = item->user,
                                     .client_message_id = item->draft->client_message_id,
                                     .type = "text",
                                     .mentions = "[]",
                                     .attachments = "[]"};
}

static bool any_poison(const struct store_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (db.poison[0] != '\0' && strcmp(items[i].draft->content, db.poison) == 0)
            return true;
    return false;
}

static bool any_locked(const struct store_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (db.locked[items[i].room.bytes[0]])
            return true;
    return false;
}

static void count_call(unsigned *calls)
{
    ++*calls;
    pthread_cond_broadcast(&db.changed);
}

/* Locked. */
static void do_chore(void)
{
    count_call(&db.chores);
    while (db.chore_held)
        pthread_cond_wait(&db.changed, &db.lock);
}

int store_connect(struct store *store, int64_t deadline_ns, struct error *e)
{
    (void)store, (void)deadline_ns;
    pthread_mutex_lock(&db.lock);
    assert(!db.committing && !db.begun);
    do_chore();
    const char *word = db.connect_word;
    pthread_mutex_unlock(&db.lock);
    return word == NULL ? 0 : error_set(e, ERROR_UNAVAILABLE, word, "a reason");
}

int store_begin(struct store *store, struct store_item *items, size_t count, int64_t deadline_ns,
                struct error *e)
{
    (void)store, (void)items, (void)count, (void)deadline_ns;
    pthread_mutex_lock(&db.lock);
    assert(!db.begun);
    count_call(&db.calls);
    if (db.away_at != 0 && db.calls == db.away_at)
        db.answer = ANSWER_AWAY;
    if (!db.committing && db.begin_held)
        count_call(&db.begins_waiting);
    while (!db.committing && db.begin_held)
        pthread_cond_wait(&db.changed, &db.lock);
    int ok = db.answer == ANSWER_AWAY ? error_set(e, ERROR_UNAVAILABLE, "database_unavailable", "away") : 0;
    db.begun = ok == 0;
    pthread_mutex_unlock(&db.lock);
    return ok;
}

int store_execute(struct store *store, struct store_item *items, size_t count, int64_t deadline_ns,
                  struct error *e)
{
    (void)store, (void)deadline_ns;
    pthread_mutex_lock(&db.lock);
    assert(db.begun && !db.committing);
    db.begun = false;
    while (db.held)
        pthread_cond_wait(&db.changed, &db.lock);
    int ok = 0;
    if (db.answer == ANSWER_AWAY)
        ok = error_set(e, ERROR_UNAVAILABLE, "database_unavailable", "away");
    else if (any_poison(items, count))
        ok = error_set(e, ERROR_INVALID, "poison", "bad data");
    else if (any_locked(items, count))
        ok = error_set(e, ERROR_UNAVAILABLE, "busy", "locked");
    db.committing = ok == 0;
    if (ok == 0) {
        db.fate = db.answer;
        count_call(&db.commits);
    }
    pthread_mutex_unlock(&db.lock);
    return ok;
}

int store_complete(struct store *store, struct store_item *items, size_t count, int64_t deadline_ns,
                   struct error *e)
{
    (void)store, (void)deadline_ns;
    pthread_mutex_lock(&db.lock);
    assert(db.committing);
    while (db.commit_held)
        pthread_cond_wait(&db.changed, &db.lock);
    db.committing = false;
    for (size_t i = 0; db.fate != ANSWER_UNCERTAIN && i < count; i++)
        keep(&items[i]);
    int ok = db.fate == ANSWER_OK ? 0 : error_set(e, ERROR_UNCERTAIN, "uncertain", "no answer");
    db.begun &= ok == 0; /* the connection is gone, with what was begun on it */
    pthread_mutex_unlock(&db.lock);
    return ok;
}

int store_batch(struct store *store, struct store_item *items, size_t count, int64_t deadline_ns,
                struct error *e)
{
    return store_begin(store, items, count, deadline_ns, e) == 0 &&
                   store_execute(store, items, count, deadline_ns, e) == 0
               ? store_complete(store, items, count, deadline_ns, e)
               : -1;
}

bool store_flush_due(const struct store *store)
{
    (void)store;
    return false;
}

bool store_ready(struct store *store)
{
    (void)store;
    pthread_mutex_lock(&db.lock);
    assert(!db.committing && !db.begun);
    bool ready = !db.begin_held;
    pthread_mutex_unlock(&db.lock);
    return ready;
}

int store_locked(struct store *store, const struct uuid *rooms, size_t count, bool *locked_out,
                 int64_t deadline_ns, struct error *e)
{
    (void)store, (void)deadline_ns;
    pthread_mutex_lock(&db.lock);
    assert(!db.committing && !db.begun);
    bool away = db.probe_away || db.answer == ANSWER_AWAY;
    int ok = away ? error_set(e, ERROR_UNAVAILABLE, "database_unavailable", "away") : 0;
    for (size_t i = 0; ok == 0 && i < count; i++)
        locked_out[i] = db.locked[rooms[i].bytes[0]];
    pthread_mutex_unlock(&db.lock);
    return ok;
}

/* Rooms 100 and up have no such user; a message's id is one of 7 messages by its first byte. */
int store_nobody(struct store *store, int64_t deadline_ns, struct error *e)
{
    (void)store, (void)deadline_ns;
    pthread_mutex_lock(&db.lock);
    assert(!db.committing && !db.begun);
    int ok = db.answer == ANSWER_AWAY ? error_set(e, ERROR_UNAVAILABLE, "database_unavailable", "away") : 0;
    if (ok == 0)
        count_call(&db.nobody);
    pthread_mutex_unlock(&db.lock);
    return ok;
}

int store_attendance(struct store *store, const struct store_attendee *attendees, size_t count,
                     int64_t deadline_ns, struct error *e)
{
    (void)store, (void)deadline_ns;
    pthread_mutex_lock(&db.lock);
    assert(!db.committing && !db.begun);
    do_chore();
    int ok = db.answer == ANSWER_AWAY ? error_set(e, ERROR_UNAVAILABLE, "database_unavailable", "away") : 0;
    for (size_t i = 0; ok == 0 && i < count; i++) {
        size_t used = strlen(db.attended);
        snprintf(db.attended + used, sizeof db.attended - used, "%s%d ", attendees[i].user,
                 attendees[i].online);
    }
    db.nobody_before = db.nobody;
    pthread_cond_broadcast(&db.changed);
    pthread_mutex_unlock(&db.lock);
    return ok;
}

int store_marks(struct store *store, struct store_mark *marks, size_t count, int64_t at_ms,
                int64_t deadline_ns, struct error *e)
{
    (void)store;
    (void)at_ms;
    (void)deadline_ns;
    pthread_mutex_lock(&db.lock);
    assert(!db.committing && !db.begun);
    db.marks_rows = count;
    count_call(&db.calls);
    do_chore();
    int ok = db.answer == ANSWER_AWAY ? error_set(e, ERROR_UNAVAILABLE, "database_unavailable", "away") : 0;
    for (size_t i = 0; ok == 0 && i < count; i++)
        if (db.locked[marks[i].room.bytes[0]])
            ok = error_set(e, ERROR_UNAVAILABLE, "busy", "locked");
    for (size_t i = 0; ok == 0 && i < count; i++) {
        int64_t *held = &db.read_of[marks[i].room.bytes[0]], to = marks[i].read.seq;
        marks[i].member = marks[i].room.bytes[0] < 100;
        marks[i].read.missing = marks[i].read.has_message && marks[i].read.message.bytes[0] > 7;
        if (marks[i].read.has_message && !marks[i].read.missing && marks[i].read.message.bytes[0] > to)
            to = marks[i].read.message.bytes[0];
        marks[i].moved = to > *held;
        *held = to > *held ? to : *held;
        marks[i].read_seq = marks[i].delivered_seq = *held;
    }
    if (ok == 0 && db.answer == ANSWER_UNCERTAIN_BUT_STORED)
        ok = error_set(e, ERROR_UNCERTAIN, "uncertain", "no answer");
    pthread_mutex_unlock(&db.lock);
    return ok;
}

static inline void set_away_at(unsigned call)
{
    pthread_mutex_lock(&db.lock);
    db.away_at = call;
    pthread_mutex_unlock(&db.lock);
}

static void db_set(bool held, enum answer answer)
{
    pthread_mutex_lock(&db.lock);
    db.held = held;
    db.answer = answer;
    pthread_cond_broadcast(&db.changed);
    pthread_mutex_unlock(&db.lock);
}

static inline void hold_commits(bool held)
{
    pthread_mutex_lock(&db.lock);
    db.commit_held = held;
    pthread_cond_broadcast(&db.changed);
    pthread_mutex_unlock(&db.lock);
}

/* From now on it is away, beginning with the chores that are held or come next. */
static inline void go_away(bool chore_held)
{
    pthread_mutex_lock(&db.lock);
    db.chore_held = chore_held;
    db.answer = ANSWER_AWAY;
    db.connect_word = "database_unavailable";
    pthread_cond_broadcast(&db.changed);
    pthread_mutex_unlock(&db.lock);
}

static inline void hold_chores(void)
{
    pthread_mutex_lock(&db.lock);
    db.chore_held = true;
    pthread_mutex_unlock(&db.lock);
}

/* Holds nothing, and answers well. */
static void be_well(void)
{
    pthread_mutex_lock(&db.lock);
    db.held = db.commit_held = db.chore_held = db.begin_held = db.probe_away = false;
    db.away_at = 0;
    db.answer = ANSWER_OK;
    db.connect_word = NULL;
    pthread_cond_broadcast(&db.changed);
    pthread_mutex_unlock(&db.lock);
}

static void wait_for(const unsigned *calls, unsigned count)
{
    pthread_mutex_lock(&db.lock);
    while (*calls < count)
        pthread_cond_wait(&db.changed, &db.lock);
    pthread_mutex_unlock(&db.lock);
}

static void wait_for_calls(unsigned calls)
{
    wait_for(&db.calls, calls);
}

#endif
