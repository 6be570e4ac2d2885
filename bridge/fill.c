/* The order of a room's messages. A message whose turn it is passes at once; one that is early waits while
 * the database is asked for what is before it. A message is announced only after its commit and numbers rise
 * in the order of commits, so whatever is missing below a number that was heard of is there to be read.
 *
 * Where no number is known (a room newly watched) or messages may be lost without one (the link was down),
 * the last numbers of all such rooms are asked for together, once a turn of the loop. */
#include "bridge/room.h"
#include "core/log.h"
#include "core/queries.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILL_ROWS "200" /* messages in one read */
#define HEADS_MAX 500   /* rooms in one question for last numbers */
#define EARLY_MAX 256   /* messages of a room that wait; past it they are read from the database */
#define RETRY_MS  250   /* after the database failed to answer */

struct heads {
    struct filler *filler; /* NULL: it went */
    struct heads *next;
    unsigned count;
    struct uuid ids[HEADS_MAX];
};

struct fill {
    struct filler *filler; /* NULL: it went */
    struct fill *next, *previous;
    struct uuid id;
    uint32_t generation;
};

struct filler {
    struct audience *audience;
    struct heads *asked; /* under way; one at a time */
    struct fill *fills;  /* under way */
    struct timer *turn, *retry;
    struct uuid *unsure; /* rooms to be asked for; some may be gone or asked for already */
    size_t unsure_count, unsure_capacity;
};

static void fill(struct filler *f, struct room *room);

struct filler *filler_create(struct audience *audience)
{
    struct filler *f = mem_zalloc(1, sizeof *f);

    f->audience = audience;
    return f;
}

void filler_destroy(struct filler **filler)
{
    struct filler *f = *filler;

    if (f == NULL)
        return;
    if (f->asked != NULL)
        f->asked->filler = NULL;
    for (struct fill *fill = f->fills; fill != NULL; fill = fill->next)
        fill->filler = NULL;
    f->audience->ports.clock->cancel(f->audience->ports.clock, &f->turn);
    f->audience->ports.clock->cancel(f->audience->ports.clock, &f->retry);
    free(f->unsure);
    free(f);
    *filler = NULL;
}

static void drop_early(struct room *room, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        shared_drop(room->early[i].json);
    room->early_count -= count;
    if (room->early_count > 0) {
        memmove(room->early, room->early + count, room->early_count * sizeof *room->early);
        return;
    }
    free(room->early);
    room->early = NULL;
    room->early_capacity = 0;
}

void filler_forget(struct room *room)
{
    if (room->early != NULL)
        drop_early(room, room->early_count);
}

/* ---- Passing on. ---- */

static void pass(struct filler *f, struct room *room, int64_t seq, const char *json, size_t size)
{
    struct audience *r = f->audience;

    room->passed = seq;
    r->stats.passed++;
    r->handlers.on_message(r->handlers.self, room, seq, json, size);
}

static void keep_early(struct room *room, int64_t seq, const char *json, size_t size)
{
    if (room->early_count == EARLY_MAX)
        drop_early(room, room->early_count);
    if (room->early_count == room->early_capacity) {
        room->early_capacity = room->early_capacity == 0 ? 8 : room->early_capacity * 2;
        room->early = mem_realloc(room->early, room->early_capacity * sizeof *room->early);
    }
    room->early[room->early_count++] = (struct early){seq, shared_make(json, size)};
}

/* Passes on those whose turn it is, then asks for what is still missing. They wait in rising order, but for
 * repetitions. */
static void go_on(struct filler *f, struct room *room)
{
    uint32_t done = 0;

    while (done < room->early_count && room->early[done].seq <= room->passed + 1) {
        struct early *e = &room->early[done++];

        if (e->seq == room->passed + 1)
            pass(f, room, e->seq, e->json->data, e->json->size);
    }
    if (room->early != NULL)
        drop_early(room, done);
    if (room->known > room->passed && !room->filling && !room->stuck)
        fill(f, room);
}

void filler_message(struct filler *f, struct room *room, int64_t seq, const char *json, size_t size)
{
    if (room->state == ROOM_READY && seq <= room->passed) {
        f->audience->stats.doubled++;
        return;
    }
    if (seq > room->known)
        room->known = seq;
    if (room->state == ROOM_READY && seq == room->passed + 1 && !room->filling) {
        pass(f, room, seq, json, size);
        if (room->known > room->passed)
            go_on(f, room);
        return;
    }
    keep_early(room, seq, json, size);
    if (room->state == ROOM_READY)
        go_on(f, room);
}

/* ---- Trying again. ---- */

static void ask_heads(void *context);

static void on_retry(void *context)
{
    struct filler *f = context;
    struct audience *r = f->audience;

    f->retry = NULL;
    for (size_t i = 0; i < r->table_size; i++) {
        for (struct room *room = r->table[i]; room != NULL; room = room->next) {
            if (room->stuck) {
                room->stuck = false;
                go_on(f, room);
            }
        }
    }
    if (f->unsure_count > 0 && f->asked == NULL && f->turn == NULL)
        ask_heads(f);
}

static void retry_later(struct filler *f)
{
    struct clock_port *clock = f->audience->ports.clock;

    if (f->retry == NULL)
        f->retry = clock->start(clock, RETRY_MS, on_retry, f);
}

/* ---- Reading what is missing. ---- */

static void take_rows(struct filler *f, struct room *room, const struct db_answer *answer)
{
    for (int i = 0; i < answer->rows; i++) {
        int64_t seq = strtoll(answer->cell(answer, i, 0), NULL, 10);

        if (seq <= room->passed)
            continue;
        f->audience->stats.filled++;
        pass(f, room, seq, answer->cell(answer, i, 1), answer->cell_size(answer, i, 1));
    }
    if (room->known < room->passed)
        room->known = room->passed;
}

static void on_filled(void *context, const struct db_answer *answer)
{
    struct fill *fill = context;
    struct filler *f = fill->filler;
    struct room *room;

    if (f != NULL) {
        if (fill->previous != NULL)
            fill->previous->next = fill->next;
        else
            f->fills = fill->next;
        if (fill->next != NULL)
            fill->next->previous = fill->previous;
        room = audience_find(f->audience, &fill->id);
        if (room != NULL && room->generation == fill->generation) {
            room->filling = false;
            if (answer->ok)
                take_rows(f, room, answer);
            if (!answer->ok || (answer->rows == 0 && room->known > room->passed)) {
                room->stuck = true;
                retry_later(f);
            }
            go_on(f, room);
        }
    }
    free(fill);
}

static void fill(struct filler *f, struct room *room)
{
    struct db_port *db = f->audience->ports.db;
    struct fill *fill = mem_zalloc(1, sizeof *fill);
    char id[UUID_TEXT_SIZE], after[24];

    room->filling = true;
    f->audience->stats.fills++;
    fill->filler = f;
    fill->id = room->id;
    fill->generation = room->generation;
    fill->next = f->fills;
    if (fill->next != NULL)
        fill->next->previous = fill;
    f->fills = fill;
    uuid_format(&room->id, id);
    snprintf(after, sizeof after, "%lld", (long long)room->passed);
    db->query(db, QUERY_MESSAGES_AFTER, 3, (const char *const[]){id, after, FILL_ROWS}, on_filled, fill);
}

/* ---- Last numbers. ---- */

static void be_unsure(struct filler *f, struct room *room)
{
    struct clock_port *clock = f->audience->ports.clock;

    if (room->unsure)
        return;
    room->unsure = true;
    if (f->unsure_count == f->unsure_capacity) {
        f->unsure_capacity = f->unsure_capacity == 0 ? 16 : f->unsure_capacity * 2;
        f->unsure = mem_realloc(f->unsure, f->unsure_capacity * sizeof *f->unsure);
    }
    f->unsure[f->unsure_count++] = room->id;
    if (f->asked == NULL && f->turn == NULL)
        f->turn = clock->start(clock, 0, ask_heads, f);
}

/* The room's last number when it was asked for, and everything up to it can be read. */
static void on_head(struct filler *f, struct room *room, int64_t head)
{
    if (room->state == ROOM_BASELINE) {
        room->state = ROOM_READY;
        room->passed = head;
        if (room->known < head)
            room->known = head;
        room_ready(f->audience, room);
    } else if (head < room->asked_from) {
        log_warn("rooms", "a room's history went back, a backup was restored head=%lld passed=%lld",
                 (long long)head, (long long)room->passed);
        room->passed = room->known = head;
        drop_early(room, room->early_count);
    } else if (head > room->known) {
        room->known = head;
    }
    go_on(f, room);
}

/* Rooms are found again by their id, since they may have gone; one without a row in the answer has none left.
 */
static void take_heads(struct filler *f, const struct heads *h, const struct db_answer *answer)
{
    for (int i = 0; i < answer->rows; i++) {
        struct uuid id;
        struct room *room = NULL;

        if (uuid_parse(answer->cell(answer, i, 0), answer->cell_size(answer, i, 0), &id))
            room = audience_find(f->audience, &id);
        if (room == NULL || room->heads != h)
            continue;
        room->heads = NULL;
        on_head(f, room, strtoll(answer->cell(answer, i, 1), NULL, 10));
    }
    for (unsigned i = 0; i < h->count; i++) {
        struct room *room = audience_find(f->audience, &h->ids[i]);

        if (room != NULL && room->heads == h) {
            room->heads = NULL;
            on_head(f, room, 0);
        }
    }
}

static void on_heads(void *context, const struct db_answer *answer)
{
    struct heads *h = context;
    struct filler *f = h->filler;

    if (f != NULL) {
        f->asked = NULL;
        if (answer->ok) {
            take_heads(f, h, answer);
            if (f->unsure_count > 0 && f->turn == NULL)
                ask_heads(f);
        } else {
            for (unsigned i = 0; i < h->count; i++) {
                struct room *room = audience_find(f->audience, &h->ids[i]);

                if (room != NULL && room->heads == h) {
                    room->heads = NULL;
                    be_unsure(f, room);
                }
            }
            f->audience->ports.clock->cancel(f->audience->ports.clock, &f->turn);
            retry_later(f);
        }
    }
    free(h);
}

static void ask_heads(void *context)
{
    struct filler *f = context;
    struct db_port *db = f->audience->ports.db;
    struct heads *h = mem_zalloc(1, sizeof *h);
    struct buf ids = {0};

    f->turn = NULL;
    assert(f->asked == NULL);
    h->filler = f;
    while (f->unsure_count > 0 && h->count < HEADS_MAX) {
        struct room *room = audience_find(f->audience, &f->unsure[--f->unsure_count]);
        char id[UUID_TEXT_SIZE];

        if (room == NULL || !room->unsure)
            continue;
        room->unsure = false;
        room->heads = h;
        room->asked_from = room->passed;
        h->ids[h->count++] = room->id;
        uuid_format(&room->id, id);
        buf_put_byte(&ids, h->count == 1 ? '{' : ',');
        buf_put_text(&ids, id);
    }
    if (h->count == 0) {
        free(h);
    } else {
        buf_put_byte(&ids, '}');
        f->asked = h;
        db->query(db, QUERY_ROOM_HEADS, 1, (const char *const[]){ids.data}, on_heads, h);
    }
    buf_finish(&ids);
}

void filler_watched(struct filler *f, struct room *room)
{
    if (room->state == ROOM_WATCHING)
        room->state = ROOM_BASELINE;
    be_unsure(f, room);
}

void filler_lost(struct filler *f)
{
    struct audience *r = f->audience;

    for (size_t i = 0; i < r->table_size; i++) {
        for (struct room *room = r->table[i]; room != NULL; room = room->next) {
            if (room->state == ROOM_READY)
                be_unsure(f, room);
        }
    }
}
