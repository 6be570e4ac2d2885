/* A pair of person and room stands in two arrays, each end with the place of the other, so that either side
 * is taken out in one step and walked without a look-up. */
#include "bridge/audience.h"

#include "bridge/room.h"
#include "core/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_MIN 64

/* ---- Tables. ---- */

static struct room **room_place(struct audience *r, const struct uuid *id)
{
    struct room **place = &r->table[uuid_hash(id) & (r->table_size - 1)];

    while (*place != NULL && !uuid_equal(&(*place)->id, id))
        place = &(*place)->next;
    return place;
}

static struct person **person_place(struct audience *r, const char *user, size_t size)
{
    struct person **place = &r->names[bytes_hash(user, size) & (r->names_size - 1)];

    while (*place != NULL && ((*place)->name_size != size || memcmp((*place)->name, user, size) != 0))
        place = &(*place)->next;
    return place;
}

static void table_grow(struct audience *r)
{
    struct room **old = r->table;
    size_t old_size = r->table_size;

    r->table_size *= 2;
    r->table = mem_zalloc(r->table_size, sizeof(struct room *));
    for (size_t i = 0; i < old_size; i++) {
        for (struct room *room = old[i], *next; room != NULL; room = next) {
            struct room **place = &r->table[uuid_hash(&room->id) & (r->table_size - 1)];

            next = room->next;
            room->next = *place;
            *place = room;
        }
    }
    free(old);
}

static void names_grow(struct audience *r)
{
    struct person **old = r->names;
    size_t old_size = r->names_size;

    r->names_size *= 2;
    r->names = mem_zalloc(r->names_size, sizeof(struct person *));
    for (size_t i = 0; i < old_size; i++) {
        for (struct person *p = old[i], *next; p != NULL; p = next) {
            struct person **place = &r->names[bytes_hash(p->name, p->name_size) & (r->names_size - 1)];

            next = p->next;
            p->next = *place;
            *place = p;
        }
    }
    free(old);
}

struct room *audience_find(struct audience *r, const struct uuid *id)
{
    return *room_place(r, id);
}

struct person *audience_person(struct audience *r, const char *user, size_t size)
{
    return *person_place(r, user, size);
}

/* ---- Life. ---- */

struct audience *audience_create(const struct ports *ports, const struct audience_handlers *handlers)
{
    struct audience *r = mem_zalloc(1, sizeof *r);

    r->ports = *ports;
    r->handlers = *handlers;
    r->table_size = r->names_size = TABLE_MIN;
    r->table = mem_zalloc(r->table_size, sizeof(struct room *));
    r->names = mem_zalloc(r->names_size, sizeof(struct person *));
    r->filler = filler_create(r);
    return r;
}

void audience_destroy(struct audience **audience)
{
    struct audience *r = *audience;

    if (r == NULL)
        return;
    assert(r->stats.persons == 0 && r->stats.rooms == 0);
    filler_destroy(&r->filler);
    free(r->table);
    free(r->names);
    free(r);
    *audience = NULL;
}

const struct audience_stats *audience_stats(const struct audience *r)
{
    return &r->stats;
}

/* ---- Rooms. ---- */

static struct room *room_open(struct audience *r, const struct uuid *id)
{
    struct room *room = mem_zalloc(1, sizeof *room), **place;

    if (r->stats.rooms >= r->table_size)
        table_grow(r);
    place = room_place(r, id);
    room->id = *id;
    room->generation = ++r->generation;
    *place = room;
    r->stats.rooms++;
    r->ports.broker->watch(r->ports.broker, id);
    return room;
}

static void room_close(struct audience *r, struct room *room)
{
    *room_place(r, &room->id) = room->next;
    r->stats.rooms--;
    r->ports.broker->unwatch(r->ports.broker, &room->id);
    filler_forget(room);
    free(room->persons);
    free(room);
}

const struct uuid *room_id(const struct room *room)
{
    return &room->id;
}

int64_t room_passed(const struct room *room)
{
    return room->passed;
}

bool room_is_ready(const struct room *room)
{
    return room->state == ROOM_READY;
}

size_t room_persons(const struct room *room, const struct person_link **out)
{
    *out = room->persons;
    return room->person_count;
}

void room_ready(struct audience *r, struct room *room)
{
    for (uint32_t i = 0; i < room->person_count; i++) {
        struct person *p = room->persons[i].person;

        if (--p->unready == 0)
            r->handlers.on_ready(r->handlers.self, p);
    }
}

/* ---- Pairs. ---- */

static void *grown(void *array, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity == 0 ? 2 : *capacity * 2;
    return mem_realloc(array, *capacity * size);
}

static void pair(struct audience *r, struct person *p, struct room *room)
{
    p->rooms = grown(p->rooms, p->room_count, &p->room_capacity, sizeof *p->rooms);
    room->persons = grown(room->persons, room->person_count, &room->person_capacity, sizeof *room->persons);
    p->rooms[p->room_count] = (struct room_link){room, room->person_count};
    room->persons[room->person_count] = (struct person_link){p, p->room_count};
    p->room_count++;
    room->person_count++;
    p->unready += room->state != ROOM_READY;
    r->stats.links++;
}

/* Takes out the pair at the person's `place`, and the room with its last one. */
static void unpair(struct audience *r, struct person *p, uint32_t place)
{
    struct room *room = p->rooms[place].room;
    uint32_t peer = p->rooms[place].peer;

    p->rooms[place] = p->rooms[--p->room_count];
    if (place < p->room_count)
        p->rooms[place].room->persons[p->rooms[place].peer].peer = place;
    room->persons[peer] = room->persons[--room->person_count];
    if (peer < room->person_count)
        room->persons[peer].person->rooms[room->persons[peer].peer].peer = peer;
    p->unready -= room->state != ROOM_READY;
    r->stats.links--;
    if (room->person_count == 0)
        room_close(r, room);
}

/* Walks the shorter side. True and *place_out in the person's rooms. */
static bool paired(const struct person *p, const struct room *room, uint32_t *place_out)
{
    if (p->room_count <= room->person_count) {
        for (uint32_t i = 0; i < p->room_count; i++) {
            if (p->rooms[i].room == room) {
                *place_out = i;
                return true;
            }
        }
        return false;
    }
    for (uint32_t i = 0; i < room->person_count; i++) {
        if (room->persons[i].person == p) {
            *place_out = room->persons[i].peer;
            return true;
        }
    }
    return false;
}

void audience_join(struct audience *r, struct person *p, const struct uuid *id)
{
    struct room *room = audience_find(r, id);
    uint32_t place;

    if (room == NULL)
        room = room_open(r, id);
    else if (paired(p, room, &place))
        return;
    pair(r, p, room);
}

void audience_leave(struct audience *r, struct person *p, const struct uuid *id)
{
    struct room *room = audience_find(r, id);
    uint32_t place, unready = p->unready;

    if (room == NULL || !paired(p, room, &place))
        return;
    unpair(r, p, place);
    if (unready > 0 && p->unready == 0)
        r->handlers.on_ready(r->handlers.self, p);
}

/* ---- Persons. ---- */

struct entering {
    struct audience *audience;
    struct person *person;
};

static void on_room(void *context, const struct uuid *id, enum room_type type, enum member_role role)
{
    struct entering *e = context;

    (void)type, (void)role;
    audience_join(e->audience, e->person, id);
}

struct person *audience_enter(struct audience *r, const char *user, size_t size)
{
    struct person **place = person_place(r, user, size), *p = *place;

    if (p != NULL)
        return p;
    if (r->stats.persons >= r->names_size) {
        names_grow(r);
        place = person_place(r, user, size);
    }
    p = mem_zalloc(1, sizeof *p + size + 1);
    p->name_size = size;
    memcpy(p->name, user, size);
    *place = p;
    r->stats.persons++;
    members_each_room(r->ports.members, user, size, on_room, &(struct entering){r, p});
    return p;
}

void audience_quit(struct audience *r, struct person *p)
{
    while (p->room_count > 0)
        unpair(r, p, p->room_count - 1);
    *person_place(r, p->name, p->name_size) = p->next;
    r->stats.persons--;
    free(p->rooms);
    free(p);
}

void audience_reset(struct audience *r)
{
    for (size_t i = 0; i < r->names_size; i++) {
        for (struct person *p = r->names[i]; p != NULL; p = p->next) {
            uint32_t unready = p->unready;

            for (uint32_t n = p->room_count; n-- > 0;) {
                if (members_role(r->ports.members, &p->rooms[n].room->id, p->name, p->name_size, NULL) ==
                    MEMBER_NONE)
                    unpair(r, p, n);
            }
            members_each_room(r->ports.members, p->name, p->name_size, on_room, &(struct entering){r, p});
            if (unready > 0 && p->unready == 0)
                r->handlers.on_ready(r->handlers.self, p);
        }
    }
}

/* ---- The link. ---- */

void audience_on_watched(void *audience, const struct uuid *id)
{
    struct audience *r = audience;
    struct room *room = audience_find(r, id);

    if (room != NULL)
        filler_watched(r->filler, room);
}

void audience_on_message(void *audience, const struct uuid *id, int64_t seq, const char *json, size_t size)
{
    struct audience *r = audience;
    struct room *room = audience_find(r, id);

    if (room != NULL)
        filler_message(r->filler, room, seq, json, size);
}

void audience_on_lost(void *audience)
{
    filler_lost(((struct audience *)audience)->filler);
}
