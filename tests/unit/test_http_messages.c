/* The REST API of a message by itself, marks, search and sync. */
#include "tests/unit/http_world.h"

#define ONE "/api/v1/chat/messages/" OTHER

/* ---- Edits and deletions ---- */

/* A row of facts: a message of bob's in a group, unless told otherwise. */
static void facts(const char *role, const char *sender, const char *type, const char *media,
                  const char *visible)
{
    const char *row[] = {ROOM, "group", role, "41", sender, type, media, visible};
    memcpy(cells[0], row, sizeof row);
}

static void changed(const char *outcome, const char *json)
{
    cells[0][0] = outcome;
    cells[0][1] = json;
    db_answers(QUERY_MESSAGE_CHANGE, 1);
}

static void test_edit(void **state)
{
    (void)state;
    ask("PATCH", ONE, "", "{\"content\":\"better\",\"later\":1}");
    assert_string_equal(world.values[0], OTHER);
    assert_string_equal(world.values[1], "alice");
    facts("member", "alice", "text", "f", "t");
    db_answers(QUERY_MESSAGE_FACTS, 1);
    assert_string_equal(world.values[2], "member");
    assert_string_equal(world.values[3], "better");
    assert_string_equal(world.values[4], "f");
    changed("done", "{\"rev\":1}");
    assert_answer(200, "{\"rev\":1}");
}

static void test_edit_problems(void **state)
{
    (void)state;
    ask("PATCH", "/api/v1/chat/messages/x", "a=1", "{\"content\":7}");
    assert_answer(400, "[\"unknown parameter `a`\",\"id must be a UUID\",\"content must be a string");
    ask("PATCH", ONE, "", "{}");
    assert_answer(400, "[\"content must be a string of at most 16384 bytes\"]");
    char *large = mem_zalloc(1, 17000);
    snprintf(large, 17000, "{\"content\":\"%016385d\"}", 0);
    ask("PATCH", ONE, "", large);
    assert_answer(413, "\"code\":\"content_too_large\"");
    free(large);
    assert_null(world.sql);
    for (int i = 0; i < 2; i++) {
        ask("PATCH", ONE, "", i == 0 ? "{\"content\":\"\"}" : "{\"content\":null}");
        facts("member", "alice", "text", "f", "t");
        db_answers(QUERY_MESSAGE_FACTS, 1);
        assert_answer(400, "[\"content must not be empty in a message without attachments\"]");
    }
    ask("PATCH", ONE, "", "{\"content\":null}");
    facts("member", "alice", "media", "t", "t");
    db_answers(QUERY_MESSAGE_FACTS, 1);
    assert_null(world.values[3]);
    changed("deleted", "{}");
    assert_answer(409, "\"code\":\"message_deleted\"");
}

static void test_who_may_edit(void **state)
{
    (void)state;
    static const struct {
        const char *role, *sender, *type, *visible;
        int edit, delete; /* 0: on to the change */
    } cases[] = {
        {NULL, "alice", "text", "t", 404, 404},  {"member", "alice", "text", "f", 404, 404},
        {"member", "alice", "text", "t", 0, 0},  {"member", "bob", "text", "t", 403, 403},
        {"admin", "bob", "text", "t", 403, 0},   {"owner", "bob", "media", "t", 403, 0},
        {"owner", "alice", "call", "t", 403, 0}, {"member", "bob", "system", "t", 403, 403},
    };
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
        bool edits = i % 2 == 0;
        int status = edits ? cases[i / 2].edit : cases[i / 2].delete;
        ask(edits ? "PATCH" : "DELETE", ONE, "", edits ? "{\"content\":\"x\"}" : NULL);
        facts(cases[i / 2].role, cases[i / 2].sender, cases[i / 2].type, "f", cases[i / 2].visible);
        db_answers(QUERY_MESSAGE_FACTS, 1);
        if (status == 0) {
            assert_string_equal(world.values[4], edits ? "f" : "t");
            changed("same", "{}");
        }
        assert_answer(status != 0 ? status : 200, status == 404   ? "\"code\":\"message_not_found\""
                                                  : status == 403 ? "\"code\":\"forbidden\""
                                                                  : "{}");
    }
    /* An agent may know of a support room, but not of what is said in it before joining. */
    ask_with(agent, "DELETE", ONE, "", NULL, NULL);
    facts(NULL, "bob", "text", "f", "t");
    cells[0][1] = "support";
    db_answers(QUERY_MESSAGE_FACTS, 1);
    assert_answer(403, "\"code\":\"forbidden\"");
    ask("DELETE", ONE, "", NULL);
    db_answers(QUERY_MESSAGE_FACTS, 0);
    assert_answer(404, "\"code\":\"message_not_found\"");
}

static void test_role_changes_meanwhile(void **state)
{
    (void)state;
    ask("DELETE", ONE, "", NULL);
    facts("admin", "bob", "text", "f", "t");
    db_answers(QUERY_MESSAGE_FACTS, 1);
    assert_string_equal(world.values[2], "admin");
    changed("moved", NULL);
    facts("member", "bob", "text", "f", "t");
    db_answers(QUERY_MESSAGE_FACTS, 1);
    assert_answer(403, "\"code\":\"forbidden\"");
    ask("DELETE", ONE, "", NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world.answers, 0);
        facts("owner", "bob", "text", "f", "t");
        db_answers(QUERY_MESSAGE_FACTS, 1);
        changed("moved", NULL);
    }
    assert_answer(503, "\"code\":\"busy\"");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_edit),
        TEST(test_edit_problems),
        TEST(test_who_may_edit),
        TEST(test_role_changes_meanwhile),
    };
    return cmocka_run_group_tests_name("http_messages", tests, NULL, NULL);
}
