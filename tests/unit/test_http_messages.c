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

/* ---- Marks ---- */

#define RECEIPT                                                                                              \
    "{\"chatRoomId\":\"" ROOM "\",\"userId\":\"alice\",\"readSeq\":41,\"deliveredSeq\":41,\"at\":null}"

static void marked(void)
{
    struct broker_answer answer = {
        .stored = true, .seq = 41, .message = RECEIPT, .message_size = sizeof RECEIPT - 1};
    assert_int_equal(world.answers, 0);
    world.send_done(world.send_context, &answer);
    assert_answer(200, RECEIPT);
}

static void test_room_marked(void **state)
{
    (void)state;
    static const struct {
        const char *body, *payload;
    } cases[] = {
        {NULL, "{\"seq\":9007199254740991}"},
        {"{}", "{\"seq\":9007199254740991}"},
        {"{\"seq\":7}", "{\"seq\":7}"},
        {"{\"messageId\":\"" OTHER "\"}", "{\"messageId\":\"" OTHER "\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask("PATCH", "/api/v1/chat/rooms/" ROOM "/read", "", cases[i].body);
        assert_string_equal(world.sent, cases[i].payload);
        marked();
    }
    ask("PATCH", "/api/v1/chat/rooms/" ROOM "/read", "", "{\"seq\":1}");
    broker_refuses(ERROR_UNCERTAIN, "uncertain");
    assert_answer(503, "\"code\":\"uncertain\"");
    ask("PATCH", "/api/v1/chat/rooms/x/read", "", "{\"seq\":-1,\"messageId\":3}");
    assert_answer(400, "[\"id must be a UUID\",\"seq must be a whole number from 0\","
                       "\"messageId must be the id of a message\","
                       "\"seq and messageId must not be given together\"]");
    ask("PATCH", "/api/v1/chat/rooms/" OTHER "/read", "", NULL);
    assert_answer(404, "\"code\":\"room_not_found\"");
}

static void test_message_marked(void **state)
{
    (void)state;
    ask("PATCH", ONE "/read", "", NULL);
    facts("member", "bob", "text", "f", "t");
    db_answers(QUERY_MESSAGE_FACTS, 1);
    assert_string_equal(world.sent, "{\"seq\":41}");
    marked();
    ask("PATCH", ONE "/read", "", NULL);
    facts(NULL, "bob", "text", "f", "t");
    db_answers(QUERY_MESSAGE_FACTS, 1);
    assert_answer(404, "\"code\":\"message_not_found\"");
}

/* ---- Search ---- */

static void found_row(int row, const char *id, const char *seq, const char *rev, const char *content,
                      const char *with_marks)
{
    const char *columns[14] = {id,   seq,  "bob", "c1",         "text", content, NULL,
                               NULL, NULL, rev,   "1767225600", NULL,   NULL,    with_marks};
    memcpy(cells[row], columns, sizeof columns);
}

/* The content with the request's own mark for each |. */
static const char *with_marks(const char *text)
{
    static char out[256];
    size_t size = 0;
    for (; *text != '\0'; text++)
        size += (size_t)snprintf(out + size, sizeof out - size, *text == '|' ? "%s" : "%.1s",
                                 *text == '|' ? world.values[6] : text);
    return out;
}

static void test_search(void **state)
{
    (void)state;
    ask("GET", MESSAGES, "search=big%20new%20%20wor+&limit=1&before=90", NULL);
    assert_string_equal(world.values[2], "big new ");
    assert_string_equal(world.values[3], "wor");
    assert_string_equal(world.values[4], "90");
    assert_string_equal(world.values[5], "2");
    /* Beyond the basic plane a character counts twice, an accented letter once. */
    found_row(0, OTHER, "9", "0", "\xF0\x9F\x98\x80 \xC3\xA9t big",
              with_marks("\xF0\x9F\x98\x80 |\xC3\xA9t| |big|"));
    found_row(1, ROOM, "8", "0", "x", "x");
    found_row(2, NULL, NULL, "3", NULL, NULL);
    db_answers(QUERY_SEARCH, 3);
    assert_answer(
        200, "\"deletedAt\":null,\"matches\":[[3,2],[6,3]]}],\"meta\":{\"nextCursor\":9,\"hasMore\":true}}");
    ask("GET", MESSAGES, "search=one", NULL);
    assert_string_equal(world.values[2], "");
    assert_string_equal(world.values[3], "one");
    found_row(0, NULL, "77", "1000", NULL, NULL);
    db_answers(QUERY_SEARCH, 1);
    assert_answer(200, "{\"data\":[],\"meta\":{\"nextCursor\":77,\"hasMore\":true}}");
    assert_null(world.sql);
    ask("GET", MESSAGES, "search=one", NULL);
    db_answers(QUERY_SEARCH, 0);
    assert_answer(404, "\"code\":\"room_not_found\"");
    ask("GET", MESSAGES, "search=+&after=1", NULL);
    assert_answer(400, "[\"search must have 1 to 200 bytes, and not spaces alone\","
                       "\"search and after must not be given together\"]");
}

static void test_search_indexes(void **state)
{
    (void)state;
    ask("GET", MESSAGES, "search=one", NULL);
    found_row(0, NULL, NULL, "5000", NULL, NULL);
    /* The answer goes out first; then one statement after the other until nothing is left. */
    world.db_done(world.db_context,
                  &(struct db_answer){.ok = false, .error = {.code = ERROR_UNAVAILABLE, .word = "busy"}});
    assert_answer(503, NULL);
    forget_query();
    ask("GET", MESSAGES, "search=one", NULL);
    db_answers(QUERY_SEARCH, 1);
    assert_answer(200, "\"data\":[]");
    for (const char *const *left = (const char *const[]){"90", "40", "0", NULL}; *left != NULL; left++) {
        assert_string_equal(world.values[0], ROOM);
        cells[0][0] = *left;
        db_answers(QUERY_SEARCH_FEED, 1);
    }
    assert_null(world.sql);
}

/* ---- Sync: what it refuses; what it answers is seen with a database ---- */

static void test_sync(void **state)
{
    (void)state;
    ask("POST", "/api/v1/chat/sync", "", "{\"rooms\":{\"X\":1},\"limit\":0}");
    assert_answer(400, "[\"rooms: `X` is not the id of a room in lower case\","
                       "\"rooms.X must be an object of whole numbers seq, rev and epoch\","
                       "\"limit must be a whole number from 1 to 500\"]");
    ask("POST", "/api/v1/chat/sync", "", "{\"rooms\":[]}");
    assert_answer(400, "rooms must be an object of at most 1000 rooms");
    ask("POST", "/api/v1/chat/sync", "",
        "{\"rooms\":{\"" ROOM "\":{\"seq\":3},\"" OTHER "\":{\"epoch\":2}}}");
    assert_string_equal(world.values[1], "{" ROOM "," OTHER "}");
    assert_string_equal(world.values[2], "{3,0}");
    assert_string_equal(world.values[4], "{null,2}");
    assert_string_equal(world.values[5], "500");
    db_fails(ERROR_UNAVAILABLE, "busy");
    assert_answer(503, "\"code\":\"busy\"");
    ask("POST", "/api/v1/chat/sync", "", "{}");
    assert_string_equal(world.values[1], "{}");
    const char *head[] = {OTHER, NULL, "4", "2", "1", "3", "0", "0"};
    memcpy(cells[0], head, sizeof head);
    db_answers(QUERY_SYNC_HEADS, 1);
    assert_answer(200, "{\"data\":[],\"rooms\":{\"" OTHER
                       "\":{\"seq\":4,\"rev\":2,\"epoch\":1,\"unreadCount\":3}},"
                       "\"meta\":{\"hasMore\":false}}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_edit),         TEST(test_edit_problems),
        TEST(test_who_may_edit), TEST(test_role_changes_meanwhile),
        TEST(test_room_marked),  TEST(test_message_marked),
        TEST(test_search),       TEST(test_search_indexes),
        TEST(test_sync),
    };
    return cmocka_run_group_tests_name("http_messages", tests, NULL, NULL);
}
