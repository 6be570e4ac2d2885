/* What audience.c (who listens) and fill.c (the order of messages) both know of a room.
 *
 * Thread: the service's loop.
 * Owns:   a room its early messages. */
#ifndef PARLOR_BRIDGE_ROOM_H
#define PARLOR_BRIDGE_ROOM_H

#include "bridge/audience.h"

enum room_state {
    ROOM_WATCHING, /* the broker was asked */
    ROOM_BASELINE, /* watched; the database is asked for the last number */
    ROOM_READY
};

/* A message that came before its turn. */
struct early {
    int64_t seq;
    struct shared *json;
};

struct heads; /* one question for the last numbers of many rooms */

struct room {
    struct uuid id;
    struct room *next; /* in the table */
    struct person_link *persons;
    uint32_t person_count, person_capacity;
    enum room_state state;
    int64_t passed;     /* the last number passed on */
    int64_t known;      /* the highest number heard of */
    int64_t asked_from; /* `passed` when the last number was asked for */
    struct early *early;
    uint32_t early_count, early_capacity;
    uint32_t generation; /* tells it from an earlier room with the same id */
    struct heads *heads; /* the question that it is in */
    bool unsure;         /* its last number is to be asked for (again) */
    bool filling;        /* missing messages are being read */
    bool stuck;          /* ... which failed, and is tried again */
};

struct audience {
    struct ports ports;
    struct audience_handlers handlers;
    struct audience_stats stats;
    struct room **table;
    struct person **names;
    size_t table_size, names_size; /* powers of two */
    uint32_t generation;
    struct filler *filler;
};

/* audience.c */
void room_ready(struct audience *audience, struct room *room); /* tells its persons */

/* fill.c */
struct filler *filler_create(struct audience *audience);
void filler_destroy(struct filler **filler);
void filler_watched(struct filler *filler, struct room *room);
void filler_message(struct filler *filler, struct room *room, int64_t seq, const char *json, size_t size);
void filler_lost(struct filler *filler);
void filler_forget(struct room *room); /* frees what fill.c keeps of it */

#endif
