/* The mirror against a plain matrix: random changes, both directions walked, memory that comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/members.h"

#define ROOMS 70
#define USERS 150

static uint64_t random_state = 88172645463325252U;

static unsigned pick(unsigned below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)((random_state >> 16) % below);
}

static struct uuid room_id(unsigned n)
{
    struct uuid id = {{0}};
    memcpy(id.bytes + 12, &n, sizeof(n));
    return id;
}

/* Ids of every length up to the longest, none a prefix that could be taken for another. */
static size_t user_id(unsigned n, char out[USER_ID_MAX + 1])
{
    int size = snprintf(out, USER_ID_MAX + 1, "u%u", n);
    size_t whole = n % 3 == 0 ? (size_t)size : (size_t)size + n % (unsigned)(USER_ID_MAX - size + 1);
    memset(out + size, 'x', whole - (size_t)size);
    out[whole] = '\0';
    return whole;
}

struct model {
    struct members *members;
    enum member_role roles[ROOMS][USERS];
    size_t pairs;
};

static enum room_type type_of(unsigned room)
{
    return (enum room_type)(ROOM_DIRECT + room % 3);
}

static void change(struct model *m, unsigned room, unsigned user, enum member_role role)
{
    char text[USER_ID_MAX + 1];
    size_t size = user_id(user, text);
    struct uuid id = room_id(room);
    members_apply(m->members, &id, type_of(room), text, size, role);
    m->pairs += role != MEMBER_NONE;
    m->pairs -= m->roles[room][user] != MEMBER_NONE;
    m->roles[room][user] = role;
}

static void count_room(void *context, const struct uuid *room, enum room_type type, enum member_role role)
{
    unsigned n, *seen = context;
    memcpy(&n, room->bytes + 12, sizeof(n));
    assert_true(n < ROOMS && type == type_of(n) && role != MEMBER_NONE);
    seen[n] += role;
}

static void count_user(void *context, const char *user, enum member_role role)
{
    unsigned *seen = context;
    unsigned long n = strtoul(user + 1, NULL, 10);
    char text[USER_ID_MAX + 1];
    assert_true(n < USERS);
    user_id((unsigned)n, text);
    assert_string_equal(user, text);
    seen[n] += role;
}

static void check_user(const struct model *m, unsigned user)
{
    char text[USER_ID_MAX + 1];
    size_t size = user_id(user, text), expected = 0;
    unsigned seen[ROOMS] = {0};
    size_t count = members_each_room(m->members, text, size, count_room, seen);
    for (unsigned room = 0; room < ROOMS; room++) {
        struct uuid id = room_id(room);
        enum room_type type = ROOM_DIRECT;
        assert_int_equal(members_role(m->members, &id, text, size, &type), m->roles[room][user]);
        if (m->roles[room][user] != MEMBER_NONE)
            assert_int_equal(type, type_of(room));
        assert_int_equal(seen[room], m->roles[room][user]);
        expected += m->roles[room][user] != MEMBER_NONE;
    }
    assert_int_equal(count, expected);
}

static void check_all(const struct model *m)
{
    assert_int_equal(members_pairs(m->members), m->pairs);
    for (unsigned user = 0; user < USERS; user++)
        check_user(m, user);
    for (unsigned room = 0; room < ROOMS; room++) {
        struct uuid id = room_id(room);
        unsigned seen[USERS] = {0};
        members_each_user(m->members, &id, count_user, seen);
        for (unsigned user = 0; user < USERS; user++)
            assert_int_equal(seen[user], m->roles[room][user]);
    }
}

static void check_company(const struct model *m, unsigned user, size_t size_max)
{
    char text[USER_ID_MAX + 1];
    size_t size = user_id(user, text);
    bool expected = false;
    for (unsigned room = 0; room < ROOMS; room++) {
        size_t count = 0;
        for (unsigned other = 0; other < USERS; other++)
            count += m->roles[room][other] != MEMBER_NONE;
        expected = expected || (m->roles[room][user] != MEMBER_NONE && count > 1 && count <= size_max);
    }
    assert_int_equal(members_has_company(m->members, text, size, size_max), expected);
}

static void check_sharing(const struct model *m)
{
    for (unsigned i = 0; i < 500; i++) {
        unsigned a = pick(USERS), b = pick(USERS);
        char a_text[USER_ID_MAX + 1], b_text[USER_ID_MAX + 1];
        size_t a_size = user_id(a, a_text), b_size = user_id(b, b_text);
        bool expected = false;
        for (unsigned room = 0; room < ROOMS; room++)
            expected = expected || (m->roles[room][a] != MEMBER_NONE && m->roles[room][b] != MEMBER_NONE);
        assert_int_equal(members_share_room(m->members, a_text, a_size, b_text, b_size, USERS), expected);
        assert_false(members_share_room(m->members, a_text, a_size, b_text, b_size, 0));
        check_company(m, a, pick(USERS));
    }
}

static void test_against_matrix(void **state)
{
    (void)state;
    struct model *m = calloc(1, sizeof(*m));
    m->members = members_create();
    check_all(m);
    for (unsigned round = 0; round < 12; round++) {
        /* Rounds that fill and rounds that empty, so that sharing is now rare, now common. */
        unsigned none_of = round % 2 == 0 ? 6 : 20;
        for (unsigned i = 0; i < 4000; i++) {
            unsigned role = pick(none_of);
            change(m, pick(ROOMS), pick(USERS), role <= MEMBER_OWNER ? (enum member_role)role : MEMBER_NONE);
        }
        check_all(m);
        check_sharing(m);
    }
    for (unsigned user = 0; user < USERS; user += 2) {
        char text[USER_ID_MAX + 1];
        members_forget_user(m->members, text, user_id(user, text));
        for (unsigned room = 0; room < ROOMS; room++) {
            m->pairs -= m->roles[room][user] != MEMBER_NONE;
            m->roles[room][user] = MEMBER_NONE;
        }
    }
    check_all(m);
    members_clear(m->members);
    memset(m->roles, 0, sizeof(m->roles));
    m->pairs = 0;
    check_all(m);
    change(m, 1, 1, MEMBER_OWNER);
    check_all(m);
    members_destroy(&m->members);
    assert_null(m->members);
    members_destroy(&m->members);
    free(m);
}

/* What is removed makes room for what comes: no change of the same size may grow the mirror for ever. */
static void test_recycles(void **state)
{
    (void)state;
    struct members *m = members_create();
    size_t bytes_after_first = 0;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 2000; i++) {
            char text[USER_ID_MAX + 1];
            struct uuid id = room_id(round * 2000 + i);
            size_t size = (size_t)snprintf(text, sizeof(text), "user-%06u", round * 2000 + i);
            members_apply(m, &id, ROOM_GROUP, text, size, MEMBER_MEMBER);
        }
        assert_int_equal(members_pairs(m), 2000);
        if (round == 0)
            bytes_after_first = members_bytes(m);
        for (unsigned i = 0; i < 2000; i++) {
            char text[USER_ID_MAX + 1];
            struct uuid id = room_id(round * 2000 + i);
            size_t size = (size_t)snprintf(text, sizeof(text), "user-%06u", round * 2000 + i);
            members_apply(m, &id, ROOM_GROUP, text, size, MEMBER_NONE);
        }
        assert_int_equal(members_pairs(m), 0);
    }
    assert_int_equal(members_bytes(m), bytes_after_first);
    members_destroy(&m);
}

/* A limited history ends with the membership, stays over a change of role, and leaves no trace in the memory.
 */
static void test_histories(void **state)
{
    (void)state;
    struct members *m = members_create();
    struct uuid limited = room_id(1), open = room_id(2);
    char text[USER_ID_MAX + 1];
    size_t bytes = 0;
    members_set_history(m, &limited, "ann", 3, 7); /* nobody yet */
    assert_false(members_room_limited(m, &limited));
    for (unsigned round = 0; round < 50; round++) {
        members_apply(m, &open, ROOM_GROUP, "ann", 3, MEMBER_OWNER);
        members_apply(m, &limited, ROOM_GROUP, "ann", 3, MEMBER_OWNER);
        assert_false(members_room_limited(m, &limited));
        for (unsigned i = 0; i < 100; i++) {
            size_t size = user_id(i, text);
            members_apply(m, &limited, ROOM_GROUP, text, size, MEMBER_MEMBER);
            members_set_history(m, &limited, text, size, (int64_t)i * 3);
            members_apply(m, &limited, ROOM_GROUP, text, size, MEMBER_ADMIN);
        }
        assert_true(members_room_limited(m, &limited));
        assert_false(members_room_limited(m, &open));
        for (unsigned i = 0; i < 100; i++) {
            size_t size = user_id(i, text);
            assert_int_equal(members_sees(m, &limited, text, size, (int64_t)i * 3), i == 0);
            assert_true(members_sees(m, &limited, text, size, (int64_t)i * 3 + 1));
            assert_false(members_sees(m, &open, text, size, 1000));
        }
        assert_true(members_sees(m, &limited, "ann", 3, 0));
        members_set_history(m, &limited, text, user_id(9, text), 0);
        assert_true(members_sees(m, &limited, text, user_id(9, text), 1));
        for (unsigned i = 0; i < 100; i++) {
            size_t size = user_id(i, text);
            members_apply(m, &limited, ROOM_GROUP, text, size, MEMBER_NONE);
            members_apply(m, &limited, ROOM_GROUP, text, size, MEMBER_MEMBER);
            assert_true(members_sees(m, &limited, text, size, 0));
            members_apply(m, &limited, ROOM_GROUP, text, size, MEMBER_NONE);
        }
        members_apply(m, &limited, ROOM_GROUP, "ann", 3, MEMBER_NONE);
        assert_int_equal(members_pairs(m), 1);
        assert_int_equal(members_bytes(m), round == 0 ? members_bytes(m) : bytes);
        bytes = members_bytes(m);
    }
    members_destroy(&m);
}

static void test_version_and_words(void **state)
{
    (void)state;
    struct members *m = members_create();
    assert_int_equal(members_version(m), 0);
    members_set_version(m, 42, 99);
    assert_int_equal(members_version(m), 42);
    assert_int_equal(members_fresh_ns(m), 99);
    members_destroy(&m);
    for (int role = MEMBER_MEMBER; role <= MEMBER_OWNER; role++) {
        enum member_role back;
        assert_true(member_role_parse(member_role_name((enum member_role)role), &back));
        assert_int_equal(back, role);
    }
    for (int type = ROOM_DIRECT; type <= ROOM_SUPPORT; type++) {
        enum room_type back;
        assert_true(room_type_parse(room_type_name((enum room_type)type), &back));
        assert_int_equal(back, type);
    }
    enum member_role role;
    enum room_type type;
    assert_false(member_role_parse("none", &role) || member_role_parse("", &role));
    assert_false(room_type_parse("Group", &type));
}

static void test_swap(void **state)
{
    (void)state;
    struct members *a = members_create(), *b = members_create();
    struct uuid room = {.bytes = {1}};
    members_apply(a, &room, ROOM_GROUP, "ann", 3, MEMBER_OWNER);
    members_apply(b, &room, ROOM_GROUP, "bob", 3, MEMBER_MEMBER);
    members_set_version(b, 7, 8);
    members_swap(a, b);
    assert_int_equal(members_version(a), 7);
    assert_int_equal(members_role(a, &room, "ann", 3, NULL), MEMBER_NONE);
    assert_int_equal(members_role(a, &room, "bob", 3, NULL), MEMBER_MEMBER);
    assert_int_equal(members_role(b, &room, "ann", 3, NULL), MEMBER_OWNER);
    members_destroy(&b);
    members_apply(a, &room, ROOM_GROUP, "cid", 3, MEMBER_MEMBER);
    assert_int_equal(members_pairs(a), 2);
    members_destroy(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_matrix), cmocka_unit_test(test_recycles),
        cmocka_unit_test(test_histories),      cmocka_unit_test(test_version_and_words),
        cmocka_unit_test(test_swap),
    };
    return cmocka_run_group_tests_name("members", tests, NULL, NULL);
}
