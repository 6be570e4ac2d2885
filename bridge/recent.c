/* Each key has one place; who falls on the same place takes it over. */
#include "bridge/recent.h"

#include "core/buf.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGES 16384 /* powers of two */
#define READS    32768

struct message_place {
    struct uuid room, id;
    int64_t seq; /* 0: empty */
};

struct read_place {
    uint64_t key;
    int64_t seq;
};

struct recent {
    struct message_place messages[MESSAGES];
    struct read_place reads[READS];
};

struct recent *recent_create(void)
{
    return mem_zalloc(1, sizeof(struct recent));
}

void recent_destroy(struct recent **recent)
{
    free(*recent);
    *recent = NULL;
}

/* Neighbouring seqs of a room lie side by side. */
static size_t message_at(const struct uuid *room, int64_t seq)
{
    return (size_t)(uuid_hash(room) + (uint64_t)seq) & (MESSAGES - 1);
}

void recent_note_message(struct recent *r, const struct uuid *room, int64_t seq, const char *json,
                         size_t size)
{
    static const char front[] = "{\"id\":\"";
    struct message_place *place = &r->messages[message_at(room, seq)];
    struct uuid id;

    if (size < sizeof front + UUID_TEXT_SIZE || memcmp(json, front, sizeof front - 1) != 0 ||
        !uuid_parse(json + sizeof front - 1, UUID_TEXT_SIZE - 1, &id))
        return;
    *place = (struct message_place){*room, id, seq};
}

bool recent_message(const struct recent *r, const struct uuid *room, int64_t seq, struct uuid *id_out)
{
    const struct message_place *place = &r->messages[message_at(room, seq)];

    if (place->seq != seq || !uuid_equal(&place->room, room))
        return false;
    *id_out = place->id;
    return true;
}

static uint64_t read_key(const struct uuid *room, const char *user)
{
    return uuid_hash(room) ^ bytes_hash(user, strlen(user)) * 31;
}

bool recent_read(struct recent *r, const struct uuid *room, const char *user, int64_t seq)
{
    uint64_t key = read_key(room, user);
    struct read_place *place = &r->reads[key & (READS - 1)];

    if (place->key == key && place->seq >= seq)
        return false;
    *place = (struct read_place){key, seq};
    return true;
}

bool recent_read_past(const struct recent *r, const struct uuid *room, const char *user, int64_t seq)
{
    uint64_t key = read_key(room, user);
    const struct read_place *place = &r->reads[key & (READS - 1)];

    return place->key == key && place->seq > seq;
}
