/* Changes of rooms and of who is in them: what the database is asked, and what becomes of its answer. */
#include "tests/unit/http_world.h"

#define PARTICIPANTS "/api/v1/chat/rooms/" ROOM "/participants"
#define BOB          "{\"userId\":\"bob\",\"role\":\"member\"}"

static void bob_is(enum member_role role)
{
    join(ROOM, ROOM_GROUP, "bob", role);
}

static void alice_is(enum member_role role)
{
    join(ROOM, ROOM_GROUP, "alice", role);
}

/* The statement that waits has these values, NULL for NULL. */
static void assert_values(const char *sql, int count, const char *const *values)
{
    assert_ptr_equal(world.sql, sql);
    for (int i = 0; i < count; i++) {
        if (values[i] == NULL)
            assert_null(world.values[i]);
        else
            assert_string_equal(world.values[i], values[i]);
    }
}

static void change_answers(const char *sql, const char *const *row)
{
    memcpy(cells[0], row, 7 * sizeof *row);
    db_answers(sql, 1);
}

static void done_answers(const char *sql, const char *outcome, const char *rev, const char *participant)
{
    const char *row[] = {outcome, "12", "group", "owner", "member", rev, participant};
    change_answers(sql, row);
    assert_int_equal(world.answers, 0);
    assert_int_equal(world.barrier_version, 12);
    world.barrier_done(world.barrier_context, true);
}

static void moved_answers(const char *sql, const char *type, const char *asker, const char *user)
{
    const char *row[] = {"moved", "12", type, asker, user, NULL, NULL};
    change_answers(sql, row);
}

static void test_added(void **state)
{
    (void)state;
    ask("POST", PARTICIPANTS, "", "{\"userId\":\"bob\"}");
    const char *values[] = {ROOM,     "alice", "group", "owner", NULL, "bob",
                            "member", "1000",  "5000",  NULL,    NULL};
    assert_values(QUERY_PARTICIPANT_ADD, 11, values);
    done_answers(QUERY_PARTICIPANT_ADD, "added", "4", BOB);
    assert_answer(201, BOB);

    ask("POST", PARTICIPANTS, "", "{\"userId\":\"bob\",\"role\":\"admin\"}");
    assert_string_equal(world.values[6], "admin");
    done_answers(QUERY_PARTICIPANT_ADD, "existing", NULL, BOB);
    assert_answer(200, BOB);

    ask("POST", PARTICIPANTS, "", "{\"userId\":\"bob\"}");
    done_answers(QUERY_PARTICIPANT_ADD, "participants_max", NULL, NULL);
    assert_answer(409, "\"code\":\"participants_max\"");
    ask("POST", PARTICIPANTS, "", "{\"userId\":\"bob\"}");
    done_answers(QUERY_PARTICIPANT_ADD, "rooms_max", NULL, NULL);
    assert_answer(409, "\"code\":\"rooms_max\"");
    ask("POST", PARTICIPANTS, "", "{\"userId\":\"bob\"}");
    done_answers(QUERY_PARTICIPANT_ADD, "conflict", NULL, BOB);
    assert_answer(409, "\"code\":\"conflict\"");
}

static void test_problems(void **state)
{
    (void)state;
    ask("POST", PARTICIPANTS, "", "{\"userId\":\"a/b\",\"role\":\"boss\"}");
    assert_answer(400, "\"message\":[\"userId must be a user id");
    assert_non_null(strstr(world.body, "\"role must be one of owner, admin, member, agent\"]"));
    ask("POST", PARTICIPANTS, "", "{}");
    assert_answer(400, "userId must");
    ask("POST", PARTICIPANTS, "", "{\"userId\":\"bob\",\"role\":\"agent\"}");
    assert_answer(400, "role must be one of owner, admin, member in a group");
    ask("POST", "/api/v1/chat/rooms/nope/participants", "", "{\"userId\":\"bob\"}");
    assert_answer(400, "id must be a UUID");
    ask("PATCH", PARTICIPANTS "/a+b/remove", "", NULL);
    assert_answer(400, "userId must");
    ask("PATCH", PARTICIPANTS "/bob", "", "{\"role\":\"agent\"}");
    assert_answer(400, "role must be one of owner, admin, member\"");
    ask("PATCH", PARTICIPANTS "/bob", "", "{}");
    assert_answer(400, "role must");
    ask("GET", PARTICIPANTS "/bob/remove", "", NULL);
    assert_answer(405, NULL);
    assert_header("Allow: PATCH, OPTIONS\n");
    assert_null(world.sql);
}

/* What the mirror forbids asks the database nothing. */
static void test_refused_by_mirror(void **state)
{
    (void)state;
    alice_is(MEMBER_MEMBER);
    bob_is(MEMBER_MEMBER);
    ask("POST", PARTICIPANTS, "", "{\"userId\":\"carol\"}");
    assert_answer(403, "\"code\":\"forbidden\"");
    ask("PATCH", PARTICIPANTS "/bob/remove", "", NULL);
    assert_answer(403, "\"code\":\"forbidden\"");
    ask("PATCH", PARTICIPANTS "/bob", "", "{\"role\":\"admin\"}");
    assert_answer(403, NULL);
    ask("PATCH", "/api/v1/chat/rooms/" ROOM, "", "{\"name\":\"x\"}");
    assert_answer(403, NULL);
    ask("POST", "/api/v1/chat/rooms/" OTHER "/participants", "", "{\"userId\":\"alice\"}");
    assert_answer(404, "\"code\":\"room_not_found\"");
    alice_is(MEMBER_ADMIN);
    bob_is(MEMBER_ADMIN);
    ask("PATCH", PARTICIPANTS "/bob/remove", "", NULL);
    assert_answer(403, NULL);
    ask("POST", PARTICIPANTS, "", "{\"userId\":\"carol\",\"role\":\"admin\"}");
    assert_answer(403, NULL);
    ask("PATCH", "/api/v1/chat/rooms/" ROOM, "", "{\"name\":\"x\",\"historyFrom\":\"join\"}");
    assert_answer(403, NULL);
    assert_null(world.sql);
}

static void test_moved(void **state)
{
    (void)state;
    bob_is(MEMBER_MEMBER);
    /* The right was taken away meanwhile, and then the room itself. */
    ask("PATCH", PARTICIPANTS "/bob/remove", "", NULL);
    moved_answers(QUERY_PARTICIPANT_REMOVE, "group", "member", "member");
    assert_answer(403, NULL);
    ask("PATCH", PARTICIPANTS "/bob/remove", "", NULL);
    moved_answers(QUERY_PARTICIPANT_REMOVE, "group", NULL, "member");
    assert_answer(404, "\"code\":\"room_not_found\"");
    ask("PATCH", PARTICIPANTS "/bob/remove", "", NULL);
    moved_answers(QUERY_PARTICIPANT_REMOVE, NULL, NULL, NULL);
    assert_answer(404, "\"code\":\"room_not_found\"");
    /* One that allows it still. */
    ask("PATCH", PARTICIPANTS "/bob/remove", "", NULL);
    moved_answers(QUERY_PARTICIPANT_REMOVE, "group", "admin", "member");
    const char *values[] = {ROOM, "alice", "group", "admin", "member", "bob"};
    assert_values(QUERY_PARTICIPANT_REMOVE, 6, values);
    done_answers(QUERY_PARTICIPANT_REMOVE, "removed", "5", NULL);
    assert_answer(200, "{\"chatRoomId\":\"" ROOM "\",\"rev\":5,\"userId\":\"bob\"}");
    /* Not for ever. */
    ask("PATCH", PARTICIPANTS "/bob/remove", "", NULL);
    for (int i = 0; i < 8; i++)
        moved_answers(QUERY_PARTICIPANT_REMOVE, "group", i % 2 != 0 ? "owner" : "admin", "member");
    assert_answer(503, "\"code\":\"busy\"");
}

static void test_removed(void **state)
{
    (void)state;
    bob_is(MEMBER_MEMBER);
    ask("PATCH", PARTICIPANTS "/bob/remove", "", NULL);
    done_answers(QUERY_PARTICIPANT_REMOVE, "absent", NULL, NULL);
    assert_answer(404, "\"code\":\"participant_not_found\"");
    ask("PATCH", PARTICIPANTS "/bob/remove", "", NULL);
    const char *row[] = {"removed", "12", "group", "owner", "member", "5", NULL};
    change_answers(QUERY_PARTICIPANT_REMOVE, row);
    world.barrier_done(world.barrier_context, false);
    assert_answer(503, "\"code\":\"uncertain\"");
    assert_non_null(strstr(world.body, "404 `participant_not_found`"));
    ask("PATCH", PARTICIPANTS "/bob/remove", "", NULL);
    db_fails(ERROR_UNCERTAIN, "uncertain");
    assert_answer(503, "\"code\":\"uncertain\"");
    /* A repetition of what was done is a 404, and no key makes it another. */
    assert_non_null(strstr(world.body, "404 `participant_not_found`"));
    assert_null(strstr(world.body, "Idempotency-Key"));
    /* Leaving needs no right over others. */
    alice_is(MEMBER_MEMBER);
    ask("PATCH", PARTICIPANTS "/alice/remove", "", NULL);
    const char *values[] = {ROOM, "alice", "group", "member", "member", "alice"};
    assert_values(QUERY_PARTICIPANT_REMOVE, 6, values);
    done_answers(QUERY_PARTICIPANT_REMOVE, "removed", "6", NULL);
    assert_answer(200, "\"userId\":\"alice\"");
}

static void test_role(void **state)
{
    (void)state;
    bob_is(MEMBER_MEMBER);
    ask("PATCH", PARTICIPANTS "/bob", "", "{\"role\":\"admin\"}");
    const char *values[] = {ROOM, "alice", "group", "owner", "member", "bob", "admin"};
    assert_values(QUERY_PARTICIPANT_UPDATE, 7, values);
    done_answers(QUERY_PARTICIPANT_UPDATE, "updated", "4", BOB);
    assert_answer(200, BOB);
    ask("PATCH", PARTICIPANTS "/alice", "", "{\"role\":\"member\"}");
    done_answers(QUERY_PARTICIPANT_UPDATE, "last_owner", NULL, BOB);
    assert_answer(409, "\"code\":\"last_owner\"");
    ask("PATCH", PARTICIPANTS "/carol", "", "{\"role\":\"member\"}");
    done_answers(QUERY_PARTICIPANT_UPDATE, "absent", NULL, NULL);
    assert_answer(404, "\"code\":\"participant_not_found\"");
}

/* An agent who has not joined: the room's type comes from the database. */
static void test_agent_joins(void **state)
{
    (void)state;
    const char *path = "/api/v1/chat/rooms/" SUPPORT "/participants";
    ask_with(agent, "POST", path, "", "{\"userId\":\"helper\"}", NULL);
    const char *blind[] = {SUPPORT, "helper", NULL, NULL, NULL, "helper"};
    assert_values(QUERY_PARTICIPANT_ADD, 6, blind);
    moved_answers(QUERY_PARTICIPANT_ADD, "support", NULL, NULL);
    const char *seeing[] = {SUPPORT, "helper", "support", NULL, NULL, "helper", "agent"};
    assert_values(QUERY_PARTICIPANT_ADD, 7, seeing);
    done_answers(QUERY_PARTICIPANT_ADD, "added", "1", BOB);
    assert_answer(201, NULL);
    /* It may bring nobody else, do nothing else, and not come to other kinds of rooms. */
    ask_with(agent, "POST", path, "", "{\"userId\":\"bob\"}", NULL);
    moved_answers(QUERY_PARTICIPANT_ADD, "support", NULL, NULL);
    assert_answer(403, NULL);
    ask_with(agent, "POST", path, "", "{\"userId\":\"helper\",\"role\":\"member\"}", NULL);
    moved_answers(QUERY_PARTICIPANT_ADD, "support", NULL, NULL);
    assert_answer(403, NULL);
    ask_with(agent, "PATCH", "/api/v1/chat/rooms/" SUPPORT, "", "{\"status\":\"closed\"}", NULL);
    moved_answers(QUERY_ROOM_UPDATE, "support", NULL, NULL);
    assert_answer(403, NULL);
    ask_with(agent, "POST", path, "", "{\"userId\":\"helper\"}", NULL);
    moved_answers(QUERY_PARTICIPANT_ADD, "group", NULL, NULL);
    assert_answer(404, "\"code\":\"room_not_found\"");
}

static void test_settings(void **state)
{
    (void)state;
    const char *path = "/api/v1/chat/rooms/" ROOM;
    static const char *const bad[][2] = {
        {"{}", "the body must have one of"},
        {"{\"name\":\"\"}", "name must be null or a string"},
        {"{\"name\":5}", "name must be null or a string"},
        {"{\"historyFrom\":\"never\",\"status\":null}", "status must be one of open, assigned, closed"},
        {"{\"historyFrom\":null}", "historyFrom must be one of start, join"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ask("PATCH", path, "", bad[i][0]);
        assert_answer(400, bad[i][1]);
    }
    ask("PATCH", path, "", "{\"status\":\"closed\"}");
    assert_answer(403, NULL);
    assert_null(world.sql);
    ask("PATCH", path, "", "{\"name\":null,\"historyFrom\":\"join\"}");
    const char *values[] = {ROOM, "alice", "group", "owner", NULL, NULL, "", "join", NULL};
    assert_values(QUERY_ROOM_UPDATE, 9, values);
    done_answers(QUERY_ROOM_UPDATE, "updated", "4", NULL);
    const char *room[] = {"{\"id\":1}", "group", "owner", "0"};
    memcpy(cells[0], room, sizeof room);
    db_answers(QUERY_ROOM, 1);
    assert_answer(200, "{\"id\":1}");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(added),   TEST(problems), TEST(refused_by_mirror), TEST(moved),
        TEST(removed), TEST(role),     TEST(agent_joins),       TEST(settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
