/* The doorkeeper against the contract's two tables, transcribed here as words and crossed with everybody who
 * may come; then the rule that is named for each kind of refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/access.h"

#define PREFIX "chat/v1"
#define ROOM   "018f5a00-0000-7000-8000-00000000000a" /* of ann and bob */
#define ALIEN  "018f5a00-0000-7000-8000-00000000000b" /* of sam */

#define PRESENCE_ROOM_MAX 500
#define MEMBERS_OF_ROOM   4 /* guests who are in ROOM */

/* ---- Topics: contract.md 1 ---- */

struct contract_row {
    const char *stem;  /* %s: the room, the call, or the owner */
    bool by_owner;     /* the stem has a user in it */
    bool ends_in_user; /* the speaker follows */
    const char *says, *reads;
};

static const struct contract_row contract[] = {
    {"rooms/%s/send", false, true, "member", "nobody"},
    {"rooms/%s/read", false, true, "member", "nobody"},
    {"rooms/%s/delivered", false, true, "member", "nobody"},
    {"rooms/%s/typing", false, true, "member", "members"},
    {"rooms/%s/messages", false, false, "plugin", "members"},
    {"rooms/%s/receipts", false, false, "plugin", "members"},
    {"rooms/%s/events", false, false, "plugin", "members"},
    {"calls/" ROOM "/signal/%s", true, true, "participant", "participants"},
    {"calls/%s/media", false, true, "participant", "participants"},
    {"calls/%s/events", false, false, "plugin", "participants"},
    {"users/%s/events", true, false, "plugin", "that user"},
    {"users/%s/acks", true, false, "plugin", "that user"},
    {"users/%s/inbox", true, false, "plugin", "that user"},
    {"users/%s/presence", true, false, "plugin", "who share a room"},
    {"users/%s/token", true, true, "itself", "nobody"},
    {"users/%s/api/r1", true, true, "itself", "the service"},
    {"users/%s/replies/r1", true, false, "the service", "that user"},
};

struct guest {
    const char *user;
    enum role role;
    bool in_room; /* of ROOM */
};

static const struct guest guests[] = {
    {"ann", ROLE_USER, true},     {"bob", ROLE_USER, true},
    {"sam", ROLE_USER, false},    {"gus", ROLE_AGENT, false},
    {"bea", ROLE_AGENT, true},    {"opa", ROLE_OPERATOR, false},
    {"oma", ROLE_OPERATOR, true}, {SERVICE_USER, ROLE_SERVICE, false},
};

#define GUESTS (sizeof(guests) / sizeof(guests[0]))

struct question {
    const struct contract_row *row;
    const struct guest *who;
    bool of_room;              /* ROOM, not ALIEN; for topics of rooms and calls */
    const struct guest *owner; /* for topics of users */
    const struct guest *speaker;
    bool connected, stale;
};

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static bool is_member(const struct question *q)
{
    return q->of_room ? q->who->in_room : is(q->who->user, "sam");
}

static bool may_say(const struct question *q)
{
    const char *says = q->row->says;
    if (!q->connected || is(says, "plugin"))
        return false;
    if (is(says, "the service"))
        return q->who->role == ROLE_SERVICE;
    if (is(says, "itself") && q->owner != q->speaker)
        return false;
    if (q->who->role == ROLE_SERVICE)
        return true;
    if (q->speaker != q->who)
        return false;
    return is(says, "itself") || (is(says, "member") && is_member(q));
}

static bool may_hear(const struct question *q)
{
    const char *reads = q->row->reads;
    if (is(reads, "nobody"))
        return false;
    if (q->who->role == ROLE_SERVICE)
        return true;
    if (is(reads, "the service"))
        return false;
    if (q->who->role == ROLE_OPERATOR)
        return true;
    if (is(reads, "members"))
        return is_member(q);
    if (is(reads, "participants"))
        return false;
    if (q->owner == q->who)
        return true;
    return is(reads, "who share a room") && q->owner->in_room && q->who->in_room;
}

static bool may_subscribe(const struct question *q)
{
    bool ordinary = q->who->role == ROLE_USER || q->who->role == ROLE_AGENT;
    bool by_mirror =
        is(q->row->reads, "members") || (is(q->row->reads, "who share a room") && q->owner != q->who);
    if (ordinary && q->stale && by_mirror)
        return false;
    /* Its own signals, before there is a call. */
    if (ordinary && q->row->by_owner && is(q->row->reads, "participants") && q->owner == q->who)
        return true;
    return may_hear(q);
}

static struct members *make_members(void)
{
    struct members *members = members_create();
    struct uuid room, alien;
    uuid_parse(ROOM, strlen(ROOM), &room);
    uuid_parse(ALIEN, strlen(ALIEN), &alien);
    for (size_t i = 0; i < GUESTS; i++)
        if (guests[i].in_room)
            members_apply(members, &room, ROOM_GROUP, guests[i].user, strlen(guests[i].user), MEMBER_MEMBER);
    members_apply(members, &alien, ROOM_GROUP, "sam", 3, MEMBER_OWNER);
    return members;
}

static struct subject subject_of(const struct guest *guest, bool connected)
{
    return (struct subject){guest->user, strlen(guest->user), guest->role, connected};
}

static void ask(const struct question *q, const struct members *members)
{
    char text[TOPIC_TEXT_MAX] = PREFIX "/";
    size_t at = strlen(text);
    const char *place = q->row->by_owner ? q->owner->user : q->of_room ? ROOM : ALIEN;
    at += (size_t)snprintf(text + at, sizeof(text) - at, q->row->stem, place);
    if (q->row->ends_in_user)
        snprintf(text + at, sizeof(text) - at, "/%s", q->speaker->user);
    struct subject who = subject_of(q->who, q->connected);
    struct topic topic = topic_parse(PREFIX, text), filter = filter_parse(PREFIX, text);
    bool expected[] = {
        [ACCESS_READ] = may_hear(q), [ACCESS_WRITE] = may_say(q), [ACCESS_SUBSCRIBE] = may_subscribe(q)};
    for (int access = ACCESS_READ; access <= ACCESS_SUBSCRIBE; access++) {
        struct grounds grounds = {members, q->stale, PRESENCE_ROOM_MAX, false};
        struct verdict v =
            access_topic(&who, (enum access)access, access == ACCESS_SUBSCRIBE ? &filter : &topic, &grounds);
        if (v.allowed != expected[access])
            fail_msg("%s (%s%s%s) %s %s: %s by %s", q->who->user, role_name(q->who->role),
                     q->connected ? "" : ", not connected", q->stale ? ", stale" : "",
                     access == ACCESS_READ    ? "reads"
                     : access == ACCESS_WRITE ? "writes"
                                              : "subscribes",
                     text, v.allowed ? "allowed" : "refused", rule_name(v.rule));
    }
}

/* Every topic of the table x every guest x own room and another's x every owner and speaker x connected x
 * stale. */
static void test_topics(void **state)
{
    (void)state;
    struct members *members = make_members();
    unsigned asked = 0;
    for (size_t row = 0; row < sizeof(contract) / sizeof(contract[0]); row++)
        for (size_t who = 0; who < GUESTS; who++)
            for (size_t owner = 0; owner + 1 < GUESTS; owner++)
                for (size_t speaker = 0; speaker + 1 < GUESTS; speaker++)
                    for (unsigned bits = 0; bits < 8; bits++) {
                        struct question q = {.row = &contract[row],
                                             .who = &guests[who],
                                             .of_room = (bits & 1) != 0,
                                             .owner = &guests[owner],
                                             .speaker = &guests[speaker],
                                             .connected = (bits & 2) != 0,
                                             .stale = (bits & 4) != 0};
                        ask(&q, members);
                        asked++;
                    }
    assert_int_equal(asked, 17 * 8 * 7 * 7 * 8);
    members_destroy(&members);
}

/* ---- Rules by name ---- */

struct rule_case {
    const char *user;
    enum role role;
    enum access access;
    const char *text;
    bool allowed;
    enum rule rule;
};

#define U ROLE_USER
#define R ACCESS_READ
#define W ACCESS_WRITE
#define S ACCESS_SUBSCRIBE

static const struct rule_case cases[] = {
    {"ann", U, W, "devices/lamp", true, RULE_OUTSIDE_PREFIX},
    {"ann", U, S, "devices/#", true, RULE_OUTSIDE_PREFIX},
    {"ann", U, S, "+/+", true, RULE_OUTSIDE_PREFIX},
    {"ann", U, S, "$share/g/devices/#", true, RULE_OUTSIDE_PREFIX},
    {"ann", U, W, PREFIX "/rooms", false, RULE_UNKNOWN_TOPIC},
    {"sam", ROLE_OPERATOR, R, PREFIX "/x", false, RULE_UNKNOWN_TOPIC},
    {"ann", U, W, PREFIX "/rooms/018F5A00-0000-7000-8000-00000000000A/send/ann", false, RULE_UNKNOWN_TOPIC},
    {SERVICE_USER, ROLE_SERVICE, S, PREFIX "/nothing/+", false, RULE_UNKNOWN_TOPIC},
    {"ann", U, W, PREFIX "/rooms/" ROOM "/messages", false, RULE_SYSTEM_SPEAKS},
    {SERVICE_USER, ROLE_SERVICE, W, PREFIX "/users/ann/acks", false, RULE_SYSTEM_SPEAKS},
    {"ann", U, W, "$parlor", false, RULE_SYSTEM_SPEAKS},
    {"ann", U, W, PREFIX "/rooms/" ROOM "/send/bob", false, RULE_OWN_VOICE},
    {"opa", ROLE_OPERATOR, W, PREFIX "/rooms/" ROOM "/send/ann", false, RULE_OWN_VOICE},
    {"ann", U, W, PREFIX "/users/ann/token/bob", false, RULE_OWN_VOICE},
    {"ann", U, W, PREFIX "/rooms/" ROOM "/send/ann", true, RULE_MEMBER},
    {"sam", U, W, PREFIX "/rooms/" ROOM "/send/sam", false, RULE_NOT_MEMBER},
    {"opa", ROLE_OPERATOR, W, PREFIX "/rooms/" ROOM "/send/opa", false, RULE_NOT_MEMBER},
    {"ann", U, W, PREFIX "/users/ann/api/r/ann", true, RULE_OWN_TOPIC},
    {"ann", U, W, PREFIX "/users/bob/api/r/ann", false, RULE_NOT_OWN_TOPIC},
    {"ann", U, R, PREFIX "/users/bob/inbox", false, RULE_NOT_OWN_TOPIC},
    {"ann", U, R, PREFIX "/rooms/" ROOM "/send/ann", false, RULE_NOBODY_READS},
    {"opa", ROLE_OPERATOR, R, PREFIX "/users/ann/token/ann", false, RULE_NOBODY_READS},
    {SERVICE_USER, ROLE_SERVICE, R, "$parlor", false, RULE_NOBODY_READS},
    {"ann", U, S, "$parlor/#", false, RULE_NOBODY_READS},
    {"ann", U, S, PREFIX "/rooms/" ROOM "/send/+", false, RULE_NOBODY_READS},
    {"ann", U, S, "#", false, RULE_WILDCARD},
    {"ann", U, S, "+/#", false, RULE_WILDCARD},
    {"ann", U, S, "chat/#", false, RULE_WILDCARD},
    {"ann", U, S, PREFIX "/#", false, RULE_WILDCARD},
    {"ann", U, S, "+/v1/users/ann/acks", false, RULE_WILDCARD},
    {"ann", U, S, PREFIX "/rooms/+/messages", false, RULE_WILDCARD},
    {"ann", U, S, PREFIX "/rooms/#", false, RULE_WILDCARD},
    {"ann", U, S, PREFIX "/users/+/presence", false, RULE_WILDCARD},
    {"ann", U, S, PREFIX "/calls/+/events", false, RULE_WILDCARD},
    {"ann", U, S, PREFIX "/calls/+/signal/bob/+", false, RULE_WILDCARD},
    {"ann", U, S, PREFIX "/calls/+/signal/+/ann", false, RULE_WILDCARD},
    {"gus", ROLE_AGENT, S, "#", false, RULE_WILDCARD},
    {"opa", ROLE_OPERATOR, S, "#", true, RULE_OPERATOR},
    {"opa", ROLE_OPERATOR, S, PREFIX "/rooms/+/messages", true, RULE_OPERATOR},
    {"opa", ROLE_OPERATOR, S, PREFIX "/#", true, RULE_OPERATOR},
    {SERVICE_USER, ROLE_SERVICE, S, PREFIX "/rooms/+/typing/+", true, RULE_SERVICE},
    {"ann", U, S, PREFIX "/rooms/" ROOM "/#", true, RULE_MEMBER},
    {"ann", U, S, PREFIX "/rooms/" ROOM "/+", true, RULE_MEMBER},
    {"ann", U, S, PREFIX "/rooms/" ROOM "/typing/+", true, RULE_MEMBER},
    {"sam", U, S, PREFIX "/rooms/" ROOM "/#", false, RULE_NOT_MEMBER},
    {"ann", U, S, PREFIX "/users/ann/#", true, RULE_OWN_TOPIC},
    {"ann", U, S, PREFIX "/users/ann/replies/+", true, RULE_OWN_TOPIC},
    {"ann", U, S, PREFIX "/users/bob/#", false, RULE_NOT_OWN_TOPIC},
    {"ann", U, S, PREFIX "/calls/+/signal/ann/+", true, RULE_OWN_TOPIC},
    {"ann", U, S, "$share/g/" PREFIX "/rooms/" ROOM "/messages", false, RULE_SHARED},
    {"ann", U, S, "$share/g/#", false, RULE_SHARED},
    {"ann", U, S, "$share/g/" PREFIX "/users/ann/#", false, RULE_SHARED},
    {"ann", U, S, "$share/g/" PREFIX "/calls/+/signal/ann/+", false, RULE_SHARED},
    {"opa", ROLE_OPERATOR, S, "$share/g/" PREFIX "/rooms/+/messages", true, RULE_OPERATOR},
    {"ann", U, R, PREFIX "/users/bob/presence", true, RULE_SHARES_ROOM},
    {"ann", U, R, PREFIX "/users/sam/presence", false, RULE_SHARES_ROOM},
    {"ann", U, R, PREFIX "/users/ann/presence", true, RULE_OWN_TOPIC},
    {SERVICE_USER, ROLE_SERVICE, W, PREFIX "/rooms/" ROOM "/send/ann", true, RULE_SERVICE},
    {SERVICE_USER, ROLE_SERVICE, W, PREFIX "/service/in/n1", true, RULE_SERVICE},
    {SERVICE_USER, ROLE_SERVICE, W, PREFIX "/service/out/n1", false, RULE_SYSTEM_SPEAKS},
    {SERVICE_USER, ROLE_SERVICE, R, PREFIX "/service/out/n1", true, RULE_SERVICE},
    {SERVICE_USER, ROLE_SERVICE, S, PREFIX "/service/out/n1", true, RULE_SERVICE},
    {SERVICE_USER, ROLE_SERVICE, R, PREFIX "/service/in/n1", false, RULE_NOBODY_READS},
    {"ann", U, W, PREFIX "/service/in/n1", false, RULE_SERVICE_ONLY},
    {"opa", ROLE_OPERATOR, R, PREFIX "/service/out/n1", false, RULE_SERVICE_ONLY},
    {"opa", ROLE_OPERATOR, S, PREFIX "/service/#", false, RULE_SERVICE_ONLY},
    {"opa", ROLE_OPERATOR, R, PREFIX "/users/ann/api/r/ann", false, RULE_SERVICE_ONLY},
    {"opa", ROLE_OPERATOR, W, PREFIX "/users/opa/replies/r", false, RULE_SERVICE_ONLY},
    {"ann", U, W, PREFIX "/calls/" ROOM "/media/ann", false, RULE_CALL},
    {"ann", U, R, PREFIX "/calls/" ROOM "/events", false, RULE_CALL},
};

static void test_rules(void **state)
{
    (void)state;
    struct members *members = make_members();
    struct grounds fresh = {members, false, PRESENCE_ROOM_MAX, false},
                   old = {members, true, PRESENCE_ROOM_MAX, false};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct rule_case *c = &cases[i];
        struct subject who = {c->user, strlen(c->user), c->role, true};
        struct topic topic = c->access == S ? filter_parse(PREFIX, c->text) : topic_parse(PREFIX, c->text);
        struct verdict v = access_topic(&who, c->access, &topic, &fresh);
        if (v.allowed != c->allowed || v.rule != c->rule)
            fail_msg("%s %d %s: %d by %s, expected %d by %s", c->user, (int)c->access, c->text, v.allowed,
                     rule_name(v.rule), c->allowed, rule_name(c->rule));
    }
    struct subject ann = {"ann", 3, ROLE_USER, false}, live = {"ann", 3, ROLE_USER, true};
    struct topic topic = topic_parse(PREFIX, PREFIX "/rooms/" ROOM "/send/ann");
    assert_int_equal(access_topic(&ann, W, &topic, &fresh).rule, RULE_NOT_CONNECTED);
    assert_true(access_topic(&live, W, &topic, &old).allowed);
    topic = topic_parse(PREFIX, "devices/lamp");
    assert_int_equal(access_topic(&ann, W, &topic, &fresh).rule, RULE_OUTSIDE_PREFIX);
    topic = filter_parse(PREFIX, PREFIX "/rooms/" ROOM "/#");
    assert_int_equal(access_topic(&live, S, &topic, &old).rule, RULE_STALE);
    topic = filter_parse(PREFIX, PREFIX "/users/ann/#");
    assert_true(access_topic(&live, S, &topic, &old).allowed);
    members_destroy(&members);
}

static void test_outside(void **state)
{
    (void)state;
    static const char *const opened[] = {"devices/lamp", "devices/#", "+/+", "$share/g/devices/#", ""};
    static const char *const never[] = {"$SYS/broker/version", "$SYS/#",   "$CONTROL/x",
                                        "$share/g/$SYS/#",     "$share/g", "$share/"};
    for (size_t i = 0; i < sizeof(opened) / sizeof(opened[0]); i++) {
        assert_true(access_opens_outside(OUTSIDE_ALLOW, S, opened[i]));
        assert_false(access_opens_outside(OUTSIDE_DEFER, S, opened[i]));
        assert_int_equal(access_opens_outside(OUTSIDE_ALLOW, W, opened[i]), opened[i][0] != '$');
    }
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        assert_false(access_opens_outside(OUTSIDE_ALLOW, S, never[i]));
        assert_false(access_opens_outside(OUTSIDE_ALLOW, W, never[i]));
    }
}

/* Before the members are read: on credit what they alone could tell, to hear and not to say; nothing is read
 * by it. */
static void test_unread(void **state)
{
    (void)state;
    struct members *members = members_create();
    struct grounds unread = {
        .members = members, .stale = true, .unread = true, .presence_room_max = PRESENCE_ROOM_MAX};
    struct subject ann = {"ann", 3, ROLE_USER, true};
    struct topic topic = filter_parse(PREFIX, PREFIX "/rooms/" ROOM "/messages");
    assert_int_equal(access_topic(&ann, S, &topic, &unread).rule, RULE_UNREAD);
    assert_true(access_topic(&ann, S, &topic, &unread).allowed);
    assert_false(access_topic(&ann, R, &topic, &unread).allowed);
    topic = topic_parse(PREFIX, PREFIX "/rooms/" ROOM "/send/ann");
    assert_false(access_topic(&ann, W, &topic, &unread).allowed);
    topic = filter_parse(PREFIX, PREFIX "/users/bob/presence");
    assert_int_equal(access_topic(&ann, S, &topic, &unread).rule, RULE_UNREAD);
    topic = filter_parse(PREFIX, PREFIX "/users/bob/acks");
    assert_false(access_topic(&ann, S, &topic, &unread).allowed);
    topic = filter_parse(PREFIX, PREFIX "/rooms/+/messages");
    assert_false(access_topic(&ann, S, &topic, &unread).allowed);
    members_destroy(&members);
}

/* Above presence_room_max a room shows nobody's presence; a smaller one that is shared too does. */
static void test_large_rooms(void **state)
{
    (void)state;
    struct members *members = make_members();
    struct subject ann = {"ann", 3, ROLE_USER, true};
    struct topic of_bob = topic_parse(PREFIX, PREFIX "/users/bob/presence"),
                 own = topic_parse(PREFIX, PREFIX "/users/ann/presence");
    struct grounds grounds = {members, false, MEMBERS_OF_ROOM, false};
    struct uuid alien;
    uuid_parse(ALIEN, strlen(ALIEN), &alien);
    assert_true(access_topic(&ann, R, &of_bob, &grounds).allowed);
    grounds.presence_room_max--;
    assert_int_equal(access_topic(&ann, R, &of_bob, &grounds).rule, RULE_SHARES_ROOM);
    assert_false(access_topic(&ann, R, &of_bob, &grounds).allowed);
    assert_false(access_topic(&ann, S, &of_bob, &grounds).allowed);
    assert_true(access_topic(&ann, R, &own, &grounds).allowed);
    members_apply(members, &alien, ROOM_GROUP, "ann", 3, MEMBER_MEMBER);
    members_apply(members, &alien, ROOM_GROUP, "bob", 3, MEMBER_MEMBER);
    assert_true(access_topic(&ann, R, &of_bob, &grounds).allowed);
    members_destroy(&members);
}

/* ---- Rooms: contract.md 3a ---- */

/* Who may: m member, g agent, a admin, o owner; A one whose token has the role agent and who has not joined.
 */
static const struct {
    enum operation operation;
    const char *direct, *group, *support;
} matrix[] = {
    {OPERATION_SEE, "mgao", "mgao", "mgaoA"},
    {OPERATION_READ, "mgao", "mgao", "mgao"},
    {OPERATION_SEND, "mgao", "mgao", "mgao"},
    {OPERATION_ADD_MEMBER, "", "ao", "gA"},
    {OPERATION_REMOVE_MEMBER, "", "ao", ""},
    {OPERATION_LEAVE, "", "mgao", "g"},
    {OPERATION_SET_ROLE, "", "o", ""},
    {OPERATION_RENAME, "", "ao", ""},
    {OPERATION_SET_HISTORY, "", "o", ""},
    {OPERATION_SET_STATUS, "", "", "g"},
    {OPERATION_EDIT_OWN, "mgao", "mgao", "mgao"},
    {OPERATION_DELETE_OWN, "mgao", "mgao", "mgao"},
    {OPERATION_DELETE_OTHERS, "", "ao", ""},
};

static bool matrix_says(size_t row, enum room_type type, enum member_role member, enum role role,
                        enum member_role target)
{
    static const char letters[] = {[MEMBER_NONE] = '?',
                                   [MEMBER_MEMBER] = 'm',
                                   [MEMBER_AGENT] = 'g',
                                   [MEMBER_ADMIN] = 'a',
                                   [MEMBER_OWNER] = 'o'};
    const char *who = type == ROOM_DIRECT  ? matrix[row].direct
                      : type == ROOM_GROUP ? matrix[row].group
                                           : matrix[row].support;
    char letter = member == MEMBER_NONE && role == ROLE_AGENT ? 'A' : letters[member];
    if (strchr(who, letter) == NULL)
        return false;
    enum operation operation = matrix[row].operation;
    if (operation == OPERATION_ADD_MEMBER && type == ROOM_SUPPORT)
        return target == MEMBER_AGENT;
    if (operation == OPERATION_ADD_MEMBER || operation == OPERATION_REMOVE_MEMBER)
        return !(member == MEMBER_ADMIN && (target == MEMBER_ADMIN || target == MEMBER_OWNER));
    return true;
}

static void test_matrix(void **state)
{
    (void)state;
    assert_int_equal(sizeof(matrix) / sizeof(matrix[0]), OPERATION_COUNT);
    for (size_t row = 0; row < OPERATION_COUNT; row++)
        for (int type = ROOM_DIRECT; type <= ROOM_SUPPORT; type++)
            for (int member = MEMBER_NONE; member <= MEMBER_OWNER; member++)
                for (int role = ROLE_USER; role <= ROLE_SERVICE; role++)
                    for (int target = MEMBER_NONE; target <= MEMBER_OWNER; target++) {
                        bool expected = matrix_says(row, (enum room_type)type, (enum member_role)member,
                                                    (enum role)role, (enum member_role)target);
                        struct verdict v =
                            access_room(matrix[row].operation, (enum room_type)type, (enum member_role)member,
                                        (enum role)role, (enum member_role)target);
                        if (v.allowed != expected)
                            fail_msg("%s in a %s room, %s with role %s, on %s: %d",
                                     operation_name(matrix[row].operation),
                                     room_type_name((enum room_type)type),
                                     member_role_name((enum member_role)member), role_name((enum role)role),
                                     member_role_name((enum member_role)target), v.allowed);
                        /* Strangers learn nothing; agents know that a support room is there. */
                        bool stranger =
                            member == MEMBER_NONE && !(type == ROOM_SUPPORT && role == ROLE_AGENT);
                        assert_int_equal(v.rule, stranger ? RULE_NOT_MEMBER : RULE_MATRIX);
                    }
}

static void test_history(void **state)
{
    (void)state;
    struct members *members = make_members();
    struct uuid room;
    uuid_parse(ROOM, strlen(ROOM), &room);
    assert_true(access_reaches_all(&room, members));
    assert_true(access_message("bob", 3, &room, 1, members).allowed);
    members_set_history(members, &room, "bob", 3, 4);
    assert_false(access_reaches_all(&room, members));
    assert_int_equal(access_message("bob", 3, &room, 4, members).rule, RULE_HISTORY);
    assert_int_equal(access_message("sam", 3, &room, 5, members).rule, RULE_NOT_MEMBER);
    assert_true(access_message("bob", 3, &room, 5, members).allowed);
    assert_true(access_message("ann", 3, &room, 1, members).allowed);
    members_destroy(&members);
}

static void test_words(void **state)
{
    (void)state;
    for (int rule = 0; rule < RULE_COUNT; rule++) {
        assert_true(strlen(rule_name((enum rule)rule)) > 0);
        assert_true(strlen(rule_text((enum rule)rule)) > 0);
        assert_true(strlen(rule_hint((enum rule)rule)) > 0);
        for (int other = 0; other < rule; other++)
            assert_string_not_equal(rule_name((enum rule)rule), rule_name((enum rule)other));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topics),      cmocka_unit_test(test_rules),   cmocka_unit_test(test_unread),
        cmocka_unit_test(test_large_rooms), cmocka_unit_test(test_matrix),  cmocka_unit_test(test_history),
        cmocka_unit_test(test_words),       cmocka_unit_test(test_outside),
    };
    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
