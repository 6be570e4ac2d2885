/* Rooms that somebody here listens to: who does, and their messages in the order of their numbers.
 *
 * A room is watched at the broker while it has a listener. Its first number comes from the database, read
 * after the broker said that it is watched: from there on each message is passed on once and in order. At a
 * gap, and when messages may have been lost, what is missing is read from the database before anything newer
 * passes.
 *
 * Flow:   link -> broker_events -> audience -> on_message -> each listener of the room; a person and its
 * rooms come and go by audience_enter, audience_join, audience_leave and audience_quit. Thread: the service's
 * loop. Owns:   persons, rooms and their index. What waits for an answer of the database when it is destroyed
 * frees itself then. */
#ifndef PARLOR_BRIDGE_AUDIENCE_H
#define PARLOR_BRIDGE_AUDIENCE_H

#include "core/members.h"
#include "core/ports.h"

#include <stdbool.h>
#include <stdint.h>

struct audience;
struct room;
struct person;

/* One end of the pair of a room and a person in it; `peer` is the place of the other end. */
struct room_link {
    struct room *room;
    uint32_t peer;
};
struct person_link {
    struct person *person;
    uint32_t peer;
};

/* A user with at least one socket here. */
struct person {
    struct person *next; /* in the table of names */
    void *sockets;       /* the holder's */
    unsigned socket_count;
    uint32_t room_count, room_capacity;
    struct room_link *rooms;
    uint32_t unready;   /* of its rooms, those that can't pass messages yet */
    uint32_t announced; /* number of the last presence that it was told */
    int64_t full_ns;    /* rate of its events: when its bucket is full again */
    size_t name_size;
    char name[];
};

struct audience_handlers {
    void *self;
    /* The room's next message. Nobody may be put in or taken out of rooms before it returns. */
    void (*on_message)(void *self, struct room *room, int64_t seq, const char *json, size_t size);
    /* Messages of all rooms of the person now pass. */
    void (*on_ready)(void *self, struct person *person);
};

struct audience_stats {
    size_t rooms, persons, links;
    uint64_t passed;  /* messages, once a room */
    uint64_t doubled; /* came again and were dropped */
    uint64_t fills;   /* reads of missing messages */
    uint64_t filled;  /* messages that came by them */
};

struct audience *audience_create(const struct ports *ports, const struct audience_handlers *handlers);
/* All persons must have left. */
void audience_destroy(struct audience **audience);
const struct audience_stats *audience_stats(const struct audience *audience);

/* The person, made with all rooms that the mirror has for it if it isn't here yet. */
struct person *audience_enter(struct audience *audience, const char *user, size_t user_size);
struct person *audience_person(struct audience *audience, const char *user,
                               size_t user_size);                     /* NULL: not here */
void audience_quit(struct audience *audience, struct person *person); /* frees it */

/* The mirror changed; nothing happens when it is so already. */
void audience_join(struct audience *audience, struct person *person, const struct uuid *id);
void audience_leave(struct audience *audience, struct person *person, const struct uuid *id);
/* All rooms of everybody are compared with the mirror. */
void audience_reset(struct audience *audience);

struct room *audience_find(struct audience *audience, const struct uuid *id); /* NULL: nobody listens */
const struct uuid *room_id(const struct room *room);
int64_t room_passed(const struct room *room); /* number of the last message that was passed on */
bool room_is_ready(const struct room *room);
size_t room_persons(const struct room *room, const struct person_link **out);

/* What the link tells. */
void audience_on_watched(void *audience, const struct uuid *id);
void audience_on_message(void *audience, const struct uuid *id, int64_t seq, const char *json, size_t size);
void audience_on_lost(void *audience);

#endif
