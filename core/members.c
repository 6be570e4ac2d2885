/* Three arrays of entries named by 32-bit numbers: users, rooms, and pairs of the two. A pair is a link in
 * two lists, that of its room and that of its user, so that both can be walked and a pair leaves both at
 * once. 0 is nobody: entry 0 of each array is never used. Freed entries are chained and used again.
 *
 * Each array has an index: linear hashing with chains. It grows by one bucket at a time, so that the broker's
 * loop never stalls while a million entries are hashed again. */
#include "core/members.h"

#include "core/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ROLE_BITS 3
#define USER_MAX  (1U << (32 - ROLE_BITS))

struct user {
    uint32_t text;  /* where its id is in the arena, in blocks */
    uint32_t first; /* pair */
    uint32_t count;
    uint32_t size;
};

struct room {
    struct uuid id;
    uint32_t first; /* pair */
    uint32_t count;
    uint16_t type;    /* enum room_type */
    uint16_t limited; /* somebody in it has, or had, a limited history */
};

struct pair {
    uint32_t room;
    uint32_t user_role; /* user << ROLE_BITS | role */
    uint32_t room_next, room_previous;
    uint32_t user_next, user_previous;
};

/* Of a member whose history is limited. */
struct limit {
    uint32_t pair;
    int64_t history_seq;
};

struct index {
    uint32_t *heads; /* first entry of each bucket */
    uint32_t *next;  /* of each entry: the next one in its bucket; of a free entry: the next free one */
    uint32_t buckets, heads_capacity;
    uint32_t used;  /* entries ever used, with entry 0 */
    uint32_t count; /* entries in use */
    uint32_t free;
    uint32_t capacity; /* of the entries' array and of next */
};

/* Users' ids, in blocks of 8 bytes with a zero byte behind each; freed ones are chained by their size. */
#define BLOCK        8
#define BLOCKS_MAX   ((USER_ID_MAX + 1 + BLOCK - 1) / BLOCK)
#define BUCKETS_MIN  64U
#define CAPACITY_MIN 64U

struct members {
    struct index user_index, room_index, pair_index, limit_index;
    struct user *users;
    struct room *rooms;
    struct pair *pairs;
    struct limit *limits;
    char *arena;
    uint32_t arena_blocks, arena_capacity; /* block 0 is nobody's */
    uint32_t arena_free[BLOCKS_MAX + 1];
    int64_t version, fresh_ns;
};

/* ---- Hashes ---- */

static uint64_t hash_pair(uint32_t room, uint32_t user)
{
    uint64_t x = (uint64_t)room << 32 | user;
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdU;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53U;
    return x ^ x >> 33;
}

static const char *user_text(const struct members *m, uint32_t user)
{
    return m->arena + (size_t)m->users[user].text * BLOCK;
}

static uint32_t pair_user(const struct pair *pair)
{
    return pair->user_role >> ROLE_BITS;
}

static enum member_role pair_role(const struct pair *pair)
{
    return (enum member_role)(pair->user_role & ((1U << ROLE_BITS) - 1));
}

/* ---- The index ---- */

static uint32_t bucket_of(const struct index *x, uint64_t hash)
{
    /* The smallest power of two that holds all buckets; the ones not yet there are folded into their lower
     * half. */
    uint32_t mask = UINT32_MAX >> __builtin_clz((x->buckets - 1) | 1);
    uint32_t bucket = (uint32_t)hash & mask;
    return bucket < x->buckets ? bucket : bucket & mask >> 1;
}

static uint32_t grown(uint32_t capacity)
{
    assert(capacity < UINT32_MAX / 2);
    return capacity < CAPACITY_MIN ? CAPACITY_MIN : capacity + capacity / 8;
}

static uint64_t entry_hash(const struct members *m, const struct index *x, uint32_t entry)
{
    if (x == &m->pair_index)
        return hash_pair(m->pairs[entry].room, pair_user(&m->pairs[entry]));
    if (x == &m->room_index)
        return uuid_hash(&m->rooms[entry].id);
    if (x == &m->limit_index)
        return hash_pair(0, m->limits[entry].pair);
    return bytes_hash(user_text(m, entry), m->users[entry].size);
}

/* One bucket more: it takes its share of the entries of the bucket that it was folded into. */
static void add_bucket(const struct members *m, struct index *x)
{
    if (x->buckets == x->heads_capacity) {
        x->heads_capacity = grown(x->heads_capacity);
        x->heads = mem_realloc(x->heads, (size_t)x->heads_capacity * sizeof(*x->heads));
    }
    uint32_t added = x->buckets++;
    uint32_t split = added & UINT32_MAX >> __builtin_clz(added | 1) >> 1;
    uint32_t entry = added != 0 ? x->heads[split] : 0;
    x->heads[added] = x->heads[split] = 0;
    while (entry != 0) {
        uint32_t next = x->next[entry];
        uint32_t *head = &x->heads[bucket_of(x, entry_hash(m, x, entry))];
        x->next[entry] = *head;
        *head = entry;
        entry = next;
    }
}

/* A free entry for the caller to fill and link. `entries` is the index's array. */
static uint32_t take_entry(struct index *x, void **entries, size_t entry_size)
{
    uint32_t entry = x->free;
    x->count++;
    if (entry != 0) {
        x->free = x->next[entry];
        return entry;
    }
    if (x->used >= x->capacity) {
        x->capacity = grown(x->capacity);
        *entries = mem_realloc(*entries, x->capacity * entry_size);
        x->next = mem_realloc(x->next, (size_t)x->capacity * sizeof(*x->next));
    }
    return x->used++;
}

static void link_entry(const struct members *m, struct index *x, uint32_t entry, uint64_t hash)
{
    while (x->count > x->buckets || x->buckets < BUCKETS_MIN)
        add_bucket(m, x);
    uint32_t *head = &x->heads[bucket_of(x, hash)];
    x->next[entry] = *head;
    *head = entry;
}

/* Unlinks the entry, which must still have its key, and keeps it for the next one. */
static void drop_entry(const struct members *m, struct index *x, uint32_t entry)
{
    uint32_t *at = &x->heads[bucket_of(x, entry_hash(m, x, entry))];
    while (*at != entry)
        at = &x->next[*at];
    *at = x->next[entry];
    x->next[entry] = x->free;
    x->free = entry;
    x->count--;
}

static void index_init(struct index *x)
{
    *x = (struct index){.used = 1};
}

static void index_finish(struct index *x)
{
    free(x->heads);
    free(x->next);
}

/* ---- Users, rooms, pairs ---- */

static uint32_t find_user(const struct members *m, const char *user, size_t size)
{
    const struct index *x = &m->user_index;
    if (x->count == 0)
        return 0;
    uint32_t at = x->heads[bucket_of(x, bytes_hash(user, size))];
    while (at != 0 && (m->users[at].size != size || memcmp(user_text(m, at), user, size) != 0))
        at = x->next[at];
    return at;
}

static uint32_t find_room(const struct members *m, const struct uuid *room)
{
    const struct index *x = &m->room_index;
    if (x->count == 0)
        return 0;
    uint32_t at = x->heads[bucket_of(x, uuid_hash(room))];
    while (at != 0 && memcmp(&m->rooms[at].id, room, sizeof(*room)) != 0)
        at = x->next[at];
    return at;
}

static uint32_t find_pair(const struct members *m, uint32_t room, uint32_t user)
{
    const struct index *x = &m->pair_index;
    if (room == 0 || user == 0)
        return 0;
    uint32_t at = x->heads[bucket_of(x, hash_pair(room, user))];
    while (at != 0 && (m->pairs[at].room != room || pair_user(&m->pairs[at]) != user))
        at = x->next[at];
    return at;
}

static uint32_t find_limit(const struct members *m, uint32_t pair)
{
    const struct index *x = &m->limit_index;
    if (x->count == 0)
        return 0;
    uint32_t at = x->heads[bucket_of(x, hash_pair(0, pair))];
    while (at != 0 && m->limits[at].pair != pair)
        at = x->next[at];
    return at;
}

static uint32_t blocks_for(size_t size)
{
    return (uint32_t)((size + 1 + BLOCK - 1) / BLOCK);
}

static uint32_t store_text(struct members *m, const char *text, size_t size)
{
    uint32_t blocks = blocks_for(size);
    uint32_t at = m->arena_free[blocks];
    if (at != 0) {
        memcpy(&m->arena_free[blocks], m->arena + (size_t)at * BLOCK, sizeof(at));
    } else {
        if (m->arena_blocks + blocks > m->arena_capacity) {
            m->arena_capacity = grown(m->arena_capacity + blocks);
            m->arena = mem_realloc(m->arena, (size_t)m->arena_capacity * BLOCK);
        }
        at = m->arena_blocks;
        m->arena_blocks += blocks;
    }
    char *out = m->arena + (size_t)at * BLOCK;
    memcpy(out, text, size);
    out[size] = '\0';
    return at;
}

static void drop_text(struct members *m, uint32_t at, size_t size)
{
    uint32_t blocks = blocks_for(size);
    memcpy(m->arena + (size_t)at * BLOCK, &m->arena_free[blocks], sizeof(at));
    m->arena_free[blocks] = at;
}

static uint32_t intern_user(struct members *m, const char *user, size_t size)
{
    uint32_t entry = find_user(m, user, size);
    if (entry != 0)
        return entry;
    entry = take_entry(&m->user_index, (void **)&m->users, sizeof(*m->users));
    assert(entry < USER_MAX);
    m->users[entry] = (struct user){.text = store_text(m, user, size), .size = (uint32_t)size};
    link_entry(m, &m->user_index, entry, bytes_hash(user, size));
    return entry;
}

static uint32_t intern_room(struct members *m, const struct uuid *room)
{
    uint32_t entry = find_room(m, room);
    if (entry != 0)
        return entry;
    entry = take_entry(&m->room_index, (void **)&m->rooms, sizeof(*m->rooms));
    m->rooms[entry] = (struct room){.id = *room};
    link_entry(m, &m->room_index, entry, uuid_hash(room));
    return entry;
}

static void add_pair(struct members *m, uint32_t room, uint32_t user, enum member_role role)
{
    uint32_t entry = take_entry(&m->pair_index, (void **)&m->pairs, sizeof(*m->pairs));
    struct room *r = &m->rooms[room];
    struct user *u = &m->users[user];
    m->pairs[entry] = (struct pair){.room = room,
                                    .user_role = user << ROLE_BITS | (uint32_t)role,
                                    .room_next = r->first,
                                    .user_next = u->first};
    if (r->first != 0)
        m->pairs[r->first].room_previous = entry;
    if (u->first != 0)
        m->pairs[u->first].user_previous = entry;
    r->first = u->first = entry;
    r->count++;
    u->count++;
    link_entry(m, &m->pair_index, entry, hash_pair(room, user));
}

static void leave_room(struct members *m, const struct pair *pair)
{
    struct room *room = &m->rooms[pair->room];
    if (pair->room_previous != 0)
        m->pairs[pair->room_previous].room_next = pair->room_next;
    else
        room->first = pair->room_next;
    if (pair->room_next != 0)
        m->pairs[pair->room_next].room_previous = pair->room_previous;
    if (--room->count == 0)
        drop_entry(m, &m->room_index, pair->room);
}

static void leave_user(struct members *m, const struct pair *pair)
{
    struct user *user = &m->users[pair_user(pair)];
    if (pair->user_previous != 0)
        m->pairs[pair->user_previous].user_next = pair->user_next;
    else
        user->first = pair->user_next;
    if (pair->user_next != 0)
        m->pairs[pair->user_next].user_previous = pair->user_previous;
    if (--user->count == 0) {
        drop_entry(m, &m->user_index, pair_user(pair));
        drop_text(m, user->text, user->size);
    }
}

static void drop_limit(struct members *m, uint32_t pair)
{
    uint32_t entry = find_limit(m, pair);
    if (entry != 0)
        drop_entry(m, &m->limit_index, entry);
}

static void drop_pair(struct members *m, uint32_t entry)
{
    drop_limit(m, entry);
    drop_entry(m, &m->pair_index, entry);
    leave_room(m, &m->pairs[entry]);
    leave_user(m, &m->pairs[entry]);
}

/* ---- The mirror ---- */

static void start_empty(struct members *m)
{
    index_init(&m->user_index);
    index_init(&m->room_index);
    index_init(&m->pair_index);
    index_init(&m->limit_index);
    m->users = NULL;
    m->rooms = NULL;
    m->pairs = NULL;
    m->limits = NULL;
    m->arena = NULL;
    m->arena_blocks = 1;
    m->arena_capacity = 0;
    memset(m->arena_free, 0, sizeof(m->arena_free));
}

static void free_all(struct members *m)
{
    index_finish(&m->user_index);
    index_finish(&m->room_index);
    index_finish(&m->pair_index);
    index_finish(&m->limit_index);
    free(m->users);
    free(m->rooms);
    free(m->pairs);
    free(m->limits);
    free(m->arena);
}

struct members *members_create(void)
{
    struct members *m = mem_zalloc(1, sizeof(*m));
    start_empty(m);
    return m;
}

void members_destroy(struct members **m)
{
    if (m == NULL || *m == NULL)
        return;
    free_all(*m);
    free(*m);
    *m = NULL;
}

void members_clear(struct members *m)
{
    free_all(m);
    start_empty(m);
}

void members_swap(struct members *a, struct members *b)
{
    struct members held = *a;
    *a = *b;
    *b = held;
}

void members_apply(struct members *m, const struct uuid *room, enum room_type type, const char *user,
                   size_t user_size, enum member_role role)
{
    assert(user_size <= USER_ID_MAX);
    uint32_t r = find_room(m, room), u = find_user(m, user, user_size);
    uint32_t pair = find_pair(m, r, u);
    if (role == MEMBER_NONE) {
        if (pair != 0)
            drop_pair(m, pair);
        return;
    }
    if (pair != 0) {
        m->pairs[pair].user_role = u << ROLE_BITS | (uint32_t)role;
    } else {
        r = intern_room(m, room);
        u = intern_user(m, user, user_size);
        add_pair(m, r, u, role);
    }
    m->rooms[r].type = (uint16_t)type;
}

void members_set_history(struct members *m, const struct uuid *room, const char *user, size_t user_size,
                         int64_t history_seq)
{
    uint32_t r = find_room(m, room);
    uint32_t pair = r != 0 ? find_pair(m, r, find_user(m, user, user_size)) : 0;
    if (pair == 0)
        return;
    drop_limit(m, pair);
    if (history_seq <= 0)
        return;
    uint32_t entry = take_entry(&m->limit_index, (void **)&m->limits, sizeof(*m->limits));
    m->limits[entry] = (struct limit){.pair = pair, .history_seq = history_seq};
    link_entry(m, &m->limit_index, entry, hash_pair(0, pair));
    m->rooms[r].limited = true;
}

bool members_sees(const struct members *m, const struct uuid *room, const char *user, size_t user_size,
                  int64_t seq)
{
    uint32_t r = find_room(m, room);
    uint32_t pair = r != 0 ? find_pair(m, r, find_user(m, user, user_size)) : 0;
    if (pair == 0)
        return false;
    uint32_t limit = find_limit(m, pair);
    return limit == 0 || seq > m->limits[limit].history_seq;
}

bool members_room_limited(const struct members *m, const struct uuid *room)
{
    uint32_t r = m->limit_index.count > 0 ? find_room(m, room) : 0;
    return r != 0 && m->rooms[r].limited != 0;
}

enum member_role members_role(const struct members *m, const struct uuid *room, const char *user,
                              size_t user_size, enum room_type *type_out)
{
    uint32_t r = find_room(m, room);
    uint32_t pair = r != 0 ? find_pair(m, r, find_user(m, user, user_size)) : 0;
    if (pair == 0)
        return MEMBER_NONE;
    if (type_out != NULL)
        *type_out = (enum room_type)m->rooms[r].type;
    return pair_role(&m->pairs[pair]);
}

bool members_room_type(const struct members *m, const struct uuid *room, enum room_type *type_out)
{
    uint32_t r = find_room(m, room);
    if (r != 0)
        *type_out = (enum room_type)m->rooms[r].type;
    return r != 0;
}

bool members_share_room(const struct members *m, const char *a, size_t a_size, const char *b, size_t b_size,
                        size_t size_max)
{
    uint32_t walked = find_user(m, a, a_size), other = find_user(m, b, b_size);
    if (walked == 0 || other == 0)
        return false;
    if (m->users[walked].count > m->users[other].count) {
        uint32_t swap = walked;
        walked = other;
        other = swap;
    }
    uint32_t pair = m->users[walked].first;
    while (pair != 0 &&
           (m->rooms[m->pairs[pair].room].count > size_max || find_pair(m, m->pairs[pair].room, other) == 0))
        pair = m->pairs[pair].user_next;
    return pair != 0;
}

bool members_has_company(const struct members *m, const char *user, size_t user_size, size_t size_max)
{
    uint32_t u = find_user(m, user, user_size);
    for (uint32_t at = u != 0 ? m->users[u].first : 0; at != 0; at = m->pairs[at].user_next) {
        uint32_t count = m->rooms[m->pairs[at].room].count;
        if (count > 1 && count <= size_max)
            return true;
    }
    return false;
}

size_t members_each_room(const struct members *m, const char *user, size_t user_size, members_room_fn fn,
                         void *context)
{
    uint32_t u = find_user(m, user, user_size);
    if (u == 0)
        return 0;
    for (uint32_t at = m->users[u].first; at != 0; at = m->pairs[at].user_next) {
        const struct room *room = &m->rooms[m->pairs[at].room];
        fn(context, &room->id, (enum room_type)room->type, pair_role(&m->pairs[at]));
    }
    return m->users[u].count;
}

size_t members_user_rooms(const struct members *m, const char *user, size_t user_size)
{
    uint32_t u = find_user(m, user, user_size);
    return u != 0 ? m->users[u].count : 0;
}

size_t members_each_user(const struct members *m, const struct uuid *room, members_user_fn fn, void *context)
{
    uint32_t r = find_room(m, room);
    if (r == 0)
        return 0;
    for (uint32_t at = m->rooms[r].first; at != 0; at = m->pairs[at].room_next)
        fn(context, user_text(m, pair_user(&m->pairs[at])), pair_role(&m->pairs[at]));
    return m->rooms[r].count;
}

size_t members_room_size(const struct members *m, const struct uuid *room)
{
    uint32_t r = find_room(m, room);
    return r == 0 ? 0 : m->rooms[r].count;
}

void members_forget_user(struct members *m, const char *user, size_t user_size)
{
    uint32_t u = find_user(m, user, user_size);
    if (u == 0)
        return;
    /* The last pair takes the user's entry with it. */
    for (uint32_t left = m->users[u].count; left > 0; left--)
        drop_pair(m, m->users[u].first);
}

size_t members_pairs(const struct members *m)
{
    return m->pair_index.count;
}

static size_t index_bytes(const struct index *x, size_t entry_size)
{
    return (size_t)x->heads_capacity * sizeof(*x->heads) +
           (size_t)x->capacity * (sizeof(*x->next) + entry_size);
}

size_t members_bytes(const struct members *m)
{
    return sizeof(*m) + index_bytes(&m->user_index, sizeof(*m->users)) +
           index_bytes(&m->room_index, sizeof(*m->rooms)) + index_bytes(&m->pair_index, sizeof(*m->pairs)) +
           index_bytes(&m->limit_index, sizeof(*m->limits)) + (size_t)m->arena_capacity * BLOCK;
}

int64_t members_version(const struct members *m)
{
    return m->version;
}

void members_set_version(struct members *m, int64_t version, int64_t now_ns)
{
    m->version = version;
    m->fresh_ns = now_ns;
}

int64_t members_fresh_ns(const struct members *m)
{
    return m->fresh_ns;
}
