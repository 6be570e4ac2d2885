/* The REST API of rooms and messages, and what all requests have in common. */
#include "tests/unit/http_world.h"

/* ---- Tests ---- */

static void test_unrouted(void **state)
{
    (void)state;
    ask("GET", "/nowhere", "", NULL);
    assert_answer(404, "\"code\":\"not_found\"");
    ask("DELETE", "/api/v1/chat/rooms", "", NULL);
    assert_answer(405, "\"code\":\"method_not_allowed\"");
    assert_header("Allow: GET, HEAD, POST, OPTIONS\n");
    assert_header("X-Request-Id: req-1\n");
}

static void test_tokens(void **state)
{
    (void)state;
    ask_with(NULL, "GET", "/api/v1/chat/rooms", "", NULL, NULL);
    assert_answer(401, "\"code\":\"invalid_token\"");
    assert_header("WWW-Authenticate: Bearer");
    ask_with("Basic abc", "GET", "/api/v1/chat/rooms", "", NULL, NULL);
    assert_answer(401, "\"code\":\"invalid_token\"");
    ask_with("Bearer a.b.c", "GET", "/api/v1/chat/rooms", "", NULL, NULL);
    assert_answer(401, "\"code\":\"invalid_token\"");
    ask_with(expired, "GET", "/api/v1/chat/rooms", "", NULL, NULL);
    assert_answer(401, "\"code\":\"token_expired\"");
    ask_with(service, "GET", "/api/v1/chat/rooms", "", NULL, NULL);
    assert_answer(401, "\"code\":\"invalid_token\"");
    assert_null(world.sql);
}

static void test_cors(void **state)
{
    (void)state;
    const char *preflight[] = {"Origin", "https://two.example", "Access-Control-Request-Method", "POST",
                               NULL};
    ask_with(NULL, "OPTIONS", "/api/v1/chat/rooms", "", NULL, preflight);
    assert_answer(204, NULL);
    assert_header("Access-Control-Allow-Origin: https://two.example\n");
    assert_header("Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS\n");
    assert_header("Access-Control-Allow-Headers: Authorization, Content-Type, Idempotency-Key");
    const char *allowed[] = {"Origin", "https://app.example", NULL};
    ask_with(NULL, "GET", "/api/v1/chat/rooms", "", NULL, allowed);
    assert_answer(401, NULL);
    assert_header("Access-Control-Allow-Origin: https://app.example\n");
    assert_header("Vary: Origin\n");
    const char *stranger[] = {"Origin", "https://app.example.evil", "Access-Control-Request-Method", "POST",
                              NULL};
    ask_with(NULL, "OPTIONS", "/api/v1/chat/rooms", "", NULL, stranger);
    assert_answer(204, NULL);
    assert_null(strstr(world.headers, "Access-Control"));
}

static void test_rate(void **state)
{
    (void)state;
    for (int64_t i = 0; i < 2 * world.config->rest_per_s; i++) {
        ask("GET", "/api/v1/chat/rooms/" OTHER, "", NULL);
        assert_answer(404, NULL);
    }
    ask("GET", "/api/v1/chat/rooms/" OTHER, "", NULL);
    assert_answer(429, "\"code\":\"rate_limited\"");
    assert_header("Retry-After: 1\n");
}

static void test_bodies(void **state)
{
    (void)state;
    const char *form[] = {"Content-Type", "application/x-www-form-urlencoded", NULL};
    ask_with(alice, "POST", MESSAGES, "", "a=b", form);
    assert_answer(415, "\"code\":\"unsupported_media_type\"");
    const char *latin[] = {"Content-Type", "application/json; charset=latin1", NULL};
    ask_with(alice, "POST", MESSAGES, "", "{}", latin);
    assert_answer(415, NULL);
    static const char *const broken[] = {
        "", "{", "[1]", "{\"type\":1,\"type\":2}", "{\"a\":\"\\u0000\"}", "{\"a\":\"\xff\"}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        ask("POST", "/api/v1/chat/rooms", "", broken[i]);
        assert_answer(400, "\"code\":\"invalid_json\"");
    }
    size_t large = (size_t)world.config->payload_bytes_max + 1;
    char *text = mem_alloc(large + 1);
    memset(text, ' ', large);
    text[large] = '\0';
    ask("POST", MESSAGES, "", text);
    assert_answer(413, "\"code\":\"payload_too_large\"");
    free(text);
    assert_null(world.sql);
}

static void test_room_problems(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"{}", "[\"type must be one of direct, group, support\"]"},
        {"{\"type\":\"club\",\"name\":7,\"participantIds\":\"bob\"}",
         "[\"type must be one of direct, group, support\",\"name must be a string of 1 to 200 characters\","
         "\"participantIds must be an array of user ids\"]"},
        {"{\"type\":\"direct\",\"participantIds\":[]}", "exactly one other user"},
        {"{\"type\":\"direct\",\"participantIds\":[\"alice\"]}", "exactly one other user"},
        {"{\"type\":\"direct\",\"participantIds\":[\"bob\",\"carol\"]}", "exactly one other user"},
        {"{\"type\":\"direct\",\"participantIds\":[\"bob\"],\"name\":\"x\"}", "name must be absent"},
        {"{\"type\":\"group\",\"participantIds\":[\"a b\"]}", "must be an array of user ids"},
        {"{\"type\":\"group\",\"participantIds\":[\"..\"]}", "must be an array of user ids"},
        {"{\"type\":\"group\",\"participantIds\":[3]}", "must be an array of user ids"},
        {"{\"type\":\"group\",\"name\":\"\"}", "name must be"},
        {"{\"type\":\"support\",\"participantIds\":[\"bob\"]}", "must be empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask("POST", "/api/v1/chat/rooms", "", cases[i].body);
        assert_answer(400, cases[i].says);
        assert_non_null(strstr(world.body, "\"message\":["));
    }
    assert_null(world.sql);
    ask("POST", "/api/v1/chat/rooms", "x=1", "{\"type\":\"support\"}");
    assert_answer(400, "unknown parameter `x`");
}

static void test_name_is_counted_in_characters(void **state)
{
    (void)state;
    struct buf body = {0};
    for (int more = 0; more < 2; more++) {
        buf_clear(&body);
        buf_put_text(&body, "{\"type\":\"group\",\"name\":\"");
        for (int i = 0; i < 200 + more; i++)
            buf_put_text(&body, "é");
        buf_put_text(&body, "\"}");
        ask("POST", "/api/v1/chat/rooms", "", body.data);
        if (more == 0) {
            db_fails(ERROR_UNAVAILABLE, "database_unavailable");
            assert_answer(503, "\"code\":\"database_unavailable\"");
            assert_header("Retry-After: 1\n");
        } else {
            assert_answer(400, "name must be");
        }
    }
    buf_finish(&body);
}

static void create_group(void)
{
    const char *key[] = {"Idempotency-Key", "k-1", NULL};
    ask_with(alice, "POST", "/api/v1/chat/rooms", "",
             "{\"type\":\"group\",\"name\":\"Team\",\"participantIds\":[\"carol\",\"bob\",\"alice\",\"bob\"],"
             "\"unknown\":1}",
             key);
    assert_int_equal(world.answers, 0);
    assert_string_equal(world.values[1], "alice");
    assert_string_equal(world.values[2], "group");
    assert_string_equal(world.values[3], "Team");
    assert_string_equal(world.values[4], "{\"bob\",\"carol\"}");
    assert_string_equal(world.values[5], "k-1");
    assert_non_null(world.values[6]);
    cells[0][0] = "created";
    cells[0][1] = OTHER;
    cells[0][2] = "12";
}

static void test_room_made(void **state)
{
    (void)state;
    create_group();
    db_answers(QUERY_ROOM_CREATE, 1);
    /* Nothing is answered before every door knows the members. */
    assert_int_equal(world.answers, 0);
    assert_int_equal(world.barrier_version, 12);
    world.barrier_done(world.barrier_context, true);
    assert_string_equal(world.values[0], OTHER);
    cells[0][0] = "{\"id\":\"" OTHER "\"}";
    db_answers(QUERY_ROOM, 1);
    assert_answer(201, "{\"id\":\"" OTHER "\"}");
    assert_header("Location: /api/v1/chat/rooms/" OTHER "\n");
}

static void test_room_uncertain(void **state)
{
    (void)state;
    create_group();
    db_answers(QUERY_ROOM_CREATE, 1);
    world.barrier_done(world.barrier_context, false);
    assert_answer(503, "\"code\":\"uncertain\"");
    assert_non_null(strstr(world.body, "Idempotency-Key"));
    create_group();
    db_fails(ERROR_UNCERTAIN, "uncertain");
    assert_answer(503, "\"code\":\"uncertain\"");
}

/* What was made can't be told as "nothing was changed" when it could not be read again. */
static void test_room_made_unread(void **state)
{
    (void)state;
    create_group();
    db_answers(QUERY_ROOM_CREATE, 1);
    world.barrier_done(world.barrier_context, true);
    db_fails(ERROR_UNAVAILABLE, "database_unavailable");
    assert_answer(503, "\"code\":\"uncertain\"");
    assert_null(strstr(world.body, "Nothing was changed"));
}

/* Whatever the statement is made of, a read changes nothing. */
static void test_reads_are_certain(void **state)
{
    static const char *const reads[][2] = {
        {"GET", "/api/v1/chat/rooms"},
        {"HEAD", "/api/v1/chat/rooms/" ROOM},
        {"GET", MESSAGES},
        {"POST", "/api/v1/chat/sync"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        ask(reads[i][0], reads[i][1], "", strcmp(reads[i][0], "POST") == 0 ? "{}" : NULL);
        db_fails(ERROR_UNCERTAIN, "uncertain");
        assert_answer(503, "\"code\":\"database_unavailable\"");
        assert_non_null(strstr(world.body, "try again"));
        assert_null(strstr(world.body, "Idempotency-Key"));
        assert_header("Retry-After: 1\n");
    }
    ask("PATCH", "/api/v1/chat/rooms/" ROOM, "", "{\"name\":\"x\"}");
    db_fails(ERROR_UNCERTAIN, "uncertain");
    assert_answer(503, "\"code\":\"uncertain\"");
    assert_non_null(strstr(world.body, "\"hint\":\"Repeat the request"));
    assert_null(strstr(world.body, "Idempotency-Key"));
}

static void test_content_encodings(void **state)
{
    static const char *const gzip[] = {"Content-Encoding", "gzip", NULL};
    static const char *const identity[] = {"Content-Encoding", "Identity", NULL};
    (void)state;
    ask_with(alice, "POST", MESSAGES, "", "\x1f\x8b", gzip);
    assert_answer(415, "\"code\":\"unsupported_encoding\"");
    assert_header("Accept-Encoding: identity\n");
    ask_with(alice, "PATCH", "/api/v1/chat/rooms/" ROOM "/read", "", NULL, gzip);
    assert_string_equal(world.sent, "{\"seq\":9007199254740991}"); /* there is no body to be encoded */
    broker_refuses(ERROR_UNAVAILABLE, "busy");
    ask_with(alice, "POST", MESSAGES, "", "{\"content\":1}", identity);
    assert_answer(400, "content must");
}

static void test_room_existing(void **state)
{
    (void)state;
    ask("POST", "/api/v1/chat/rooms", "", "{\"type\":\"direct\",\"participantIds\":[\"bob\",\"alice\"]}");
    assert_null(world.values[5]);
    assert_null(world.values[6]);
    cells[0][0] = "existing";
    cells[0][1] = OTHER;
    cells[0][2] = "12";
    db_answers(QUERY_ROOM_CREATE, 1);
    world.barrier_done(world.barrier_context, true);
    cells[0][0] = "{}";
    db_answers(QUERY_ROOM, 1);
    assert_answer(200, "{}");
}

static void test_room_refused(void **state)
{
    (void)state;
    create_group();
    cells[0][0] = "conflict";
    db_answers(QUERY_ROOM_CREATE, 1);
    assert_answer(409, "\"code\":\"conflict\"");
    create_group();
    cells[0][0] = "rooms_max";
    cells[0][1] = NULL;
    db_answers(QUERY_ROOM_CREATE, 1);
    assert_answer(409, "\"code\":\"rooms_max\"");
}

static void test_room_seen(void **state)
{
    (void)state;
    ask("GET", "/api/v1/chat/rooms/not-an-id", "", NULL);
    assert_answer(400, "id must be a UUID");
    ask("GET", "/api/v1/chat/rooms/" OTHER, "", NULL);
    assert_answer(404, "\"code\":\"room_not_found\"");
    assert_null(world.sql);
    ask("GET", "/api/v1/chat/rooms/" ROOM, "", NULL);
    cells[0][0] = "{\"id\":1}";
    cells[0][1] = "group";
    cells[0][2] = "owner";
    db_answers(QUERY_ROOM, 1);
    assert_answer(200, "{\"id\":1}");
    /* The database is asked last: one who was removed a moment ago is a stranger. */
    ask("GET", "/api/v1/chat/rooms/" ROOM, "", NULL);
    cells[0][2] = NULL;
    db_answers(QUERY_ROOM, 1);
    assert_answer(404, "\"code\":\"room_not_found\"");
}

static void test_agent(void **state)
{
    (void)state;
    ask_with(agent, "GET", "/api/v1/chat/rooms/" SUPPORT, "", NULL, NULL);
    cells[0][0] = "{}";
    cells[0][1] = "support";
    cells[0][2] = NULL;
    db_answers(QUERY_ROOM, 1);
    assert_answer(200, "{}");
    ask_with(agent, "GET", "/api/v1/chat/rooms/" OTHER, "", NULL, NULL);
    cells[0][1] = "group";
    db_answers(QUERY_ROOM, 1);
    assert_answer(404, "\"code\":\"room_not_found\"");
    ask_with(agent, "GET", "/api/v1/chat/rooms/" SUPPORT "/messages", "", NULL, NULL);
    cells[0][0] = "support";
    db_answers(QUERY_ROOM_TYPE, 1);
    assert_answer(403, "\"code\":\"forbidden\"");
    ask_with(agent, "POST", "/api/v1/chat/rooms/" ROOM "/messages", "", "{\"content\":\"hi\"}", NULL);
    cells[0][0] = "group";
    db_answers(QUERY_ROOM_TYPE, 1);
    assert_answer(404, "\"code\":\"room_not_found\"");
    ask_with(agent, "GET", "/api/v1/chat/rooms", "", NULL, NULL);
    db_answers(QUERY_ROOM_LIST_AGENT, 0);
    assert_answer(200, "{\"data\":[],\"meta\":{\"nextCursor\":null,\"hasMore\":false}}");
}

static void test_room_list(void **state)
{
    (void)state;
    ask("GET", "/api/v1/chat/rooms", "type=club&cursor=x&limit=0&page=1", NULL);
    assert_answer(400, "[\"unknown parameter `page`\",\"limit must be a whole number from 1 to 100\","
                       "\"type must be one of direct, group, support\",\"cursor must be");
    ask("GET", "/api/v1/chat/rooms", "limit=1&type=group", NULL);
    assert_string_equal(world.values[1], "group");
    assert_null(world.values[2]);
    assert_string_equal(world.values[4], "2");
    const char *rows[2][3] = {{"1700", OTHER, "{\"n\":1}"}, {"1600", ROOM, "{\"n\":2}"}};
    memcpy(cells[0], rows[0], sizeof rows[0]);
    memcpy(cells[1], rows[1], sizeof rows[1]);
    db_answers(QUERY_ROOM_LIST, 2);
    assert_answer(200,
                  "{\"data\":[{\"n\":1}],\"meta\":{\"nextCursor\":\"1700." OTHER "\",\"hasMore\":true}}");
    ask("GET", "/api/v1/chat/rooms", "cursor=1700." OTHER, NULL);
    assert_string_equal(world.values[2], "1700");
    assert_string_equal(world.values[3], OTHER);
    db_answers(QUERY_ROOM_LIST, 0);
    assert_answer(200, "\"data\":[]");
}

static void test_send(void **state)
{
    (void)state;
    ask("POST", MESSAGES, "", "{\"content\":\"hi\",\"clientMessageId\":\"c1\",\"later\":true}");
    assert_string_equal(world.sent, "{\"content\":\"hi\",\"clientMessageId\":\"c1\",\"later\":true}");
    assert_string_equal(world.sent_request_id, "req-1");
    assert_int_equal(world.answers, 0);
    static const char message[] = "{\"seq\":1}";
    struct broker_answer stored = {
        .stored = true, .seq = 1, .message = message, .message_size = sizeof message - 1};
    world.send_done(world.send_context, &stored);
    assert_answer(201, message);
}

static void test_send_with_key(void **state)
{
    (void)state;
    const char *key[] = {"Idempotency-Key", "k\"1", NULL};
    ask_with(alice, "POST", MESSAGES, "",
             "{\"clientMessageId\":null,\"content\":\"h\\ni\",\"mentions\":[\"bob\"],\"replyToId\":\"" OTHER
             "\"}",
             key);
    assert_string_equal(world.sent,
                        "{\"clientMessageId\":\"k\\\"1\",\"type\":\"text\",\"content\":\"h\\ni\","
                        "\"mentions\":[\"bob\"],\"replyToId\":\"" OTHER "\",\"attachmentIds\":[]}");
    broker_refuses(ERROR_CONFLICT, "conflict");
    assert_answer(409, "\"code\":\"conflict\"");
    ask_with(alice, "POST", MESSAGES, "", "{\"clientMessageId\":\"other\",\"content\":\"hi\"}", key);
    assert_answer(400, "Idempotency-Key must equal clientMessageId");
    const char *bad[] = {"Idempotency-Key", "a\x01", NULL};
    ask_with(alice, "POST", MESSAGES, "", "{\"content\":\"hi\"}", bad);
    assert_answer(400, "Idempotency-Key must be");
}

static void test_send_refused(void **state)
{
    (void)state;
    static const struct {
        enum error_code code;
        const char *word;
        int status;
        const char *says;
    } cases[] = {
        {ERROR_UNAVAILABLE, "busy", 503, "\"code\":\"busy\""},
        {ERROR_UNAVAILABLE, "unavailable", 503, "\"code\":\"unavailable\""},
        {ERROR_UNCERTAIN, "uncertain", 503, "\"code\":\"uncertain\""},
        {ERROR_NOT_FOUND, "room_not_found", 404, "\"code\":\"room_not_found\""},
        {ERROR_INVALID, "invalid_message", 400, "\"message\":[\"by hand\"]"},
        {ERROR_LIMIT, "rate_limited", 429, "\"code\":\"rate_limited\""},
        {ERROR_LIMIT, "content_too_large", 413, "\"code\":\"content_too_large\""},
        {ERROR_INTERNAL, "internal", 500, "requestId"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask("POST", MESSAGES, "", "{\"content\":\"hi\"}");
        broker_refuses(cases[i].code, cases[i].word);
        assert_answer(cases[i].status, cases[i].says);
        if (cases[i].status == 503 || cases[i].status == 429)
            assert_header("Retry-After: 1\n");
    }
    free(world.sent);
    world.sent = NULL;
    ask("POST", MESSAGES, "", "{\"content\":7,\"mentions\":{},\"replyToId\":\"x\"}");
    assert_answer(400, "\"message\":[\"content must be");
    assert_non_null(strstr(world.body, "\",\"mentions must be"));
    assert_non_null(strstr(world.body, "\",\"replyToId must be"));
    ask("POST", "/api/v1/chat/rooms/" OTHER "/messages", "", "{\"content\":\"hi\"}");
    assert_answer(404, "\"code\":\"room_not_found\"");
    assert_null(world.sent);
}

static void message_row(int row, const char *id, const char *seq)
{
    const char *columns[13] = {
        id,           seq, "bob", "c1", "text", "é\n", "[\"alice\"]", OTHER, NULL, "3", "1767225600.123",
        "1767225601", NULL};
    memcpy(cells[row], columns, sizeof columns);
}

#define MESSAGE(id, seq)                                                                                     \
    "{\"id\":\"" id "\",\"chatRoomId\":\"" ROOM "\",\"seq\":" seq ",\"senderId\":\"bob\","                   \
    "\"clientMessageId\":\"c1\",\"type\":\"text\",\"content\":\"é\\n\",\"mentions\":[\"alice\"],"           \
    "\"replyToId\":\"" OTHER "\",\"attachments\":[],\"rev\":3,\"createdAt\":\"2026-01-01T00:00:00.123Z\","   \
    "\"editedAt\":\"2026-01-01T00:00:01.000Z\",\"deletedAt\":null}"

static void test_pages(void **state)
{
    (void)state;
    /* Newest page: asked falling, with one more than the limit, answered rising. */
    ask("GET", MESSAGES, "limit=2", NULL);
    assert_string_equal(world.values[0], ROOM);
    assert_string_equal(world.values[1], "alice");
    assert_string_equal(world.values[2], "9223372036854775807");
    assert_string_equal(world.values[3], "3");
    message_row(0, OTHER, "9");
    message_row(1, SUPPORT, "8");
    message_row(2, ROOM, "7");
    db_answers(QUERY_PAGE_BEFORE, 3);
    assert_answer(200, "{\"data\":[" MESSAGE(SUPPORT, "8") "," MESSAGE(
                           OTHER, "9") "],"
                                       "\"meta\":{\"nextCursor\":8,\"hasMore\":true}}");
    ask("GET", MESSAGES, "after=6&limit=2", NULL);
    assert_string_equal(world.values[2], "6");
    message_row(0, ROOM, "7");
    message_row(1, SUPPORT, "8");
    db_answers(QUERY_PAGE_AFTER, 2);
    assert_answer(200, "{\"data\":[" MESSAGE(ROOM, "7") "," MESSAGE(
                           SUPPORT, "8") "],"
                                         "\"meta\":{\"nextCursor\":null,\"hasMore\":false}}");
    ask("HEAD", MESSAGES, "before=2", NULL);
    db_answers(QUERY_PAGE_BEFORE, 0);
    assert_answer(200, "{\"data\":[],");
}

static void test_page_problems(void **state)
{
    (void)state;
    ask("GET", "/api/v1/chat/rooms/x/messages", "limit=101&before=0&after=-1&find=a", NULL);
    assert_answer(400,
                  "[\"unknown parameter `find`\",\"id must be a UUID\","
                  "\"limit must be a whole number from 1 to 100\",\"before must be a whole number from 1\","
                  "\"before and after must not be given together\","
                  "\"after must be a whole number from 0\"]");
    ask("GET", "/api/v1/chat/rooms/" OTHER "/messages", "", NULL);
    assert_answer(404, "\"code\":\"room_not_found\"");
    assert_null(world.sql);
    ask("GET", MESSAGES, "", NULL);
    db_fails(ERROR_INTERNAL, "sql");
    assert_answer(500, "\"code\":\"internal\"");
    assert_null(strstr(world.body, "by hand"));
}

static void test_health(void **state)
{
    (void)state;
    ask_with(NULL, "GET", "/healthz", "", NULL, NULL);
    assert_answer(200, "{\"status\":\"ok\"}");
    ask_with(NULL, "GET", "/readyz", "", NULL, NULL);
    db_answers(QUERY_ALIVE, 1);
    assert_answer(
        200, "{\"status\":\"ready\",\"parts\":{\"database\":\"up\",\"broker\":\"up\",\"members\":\"up\"}}");
    world.broker_ready = false;
    ask_with(NULL, "GET", "/readyz", "", NULL, NULL);
    db_fails(ERROR_UNAVAILABLE, "database_unavailable");
    assert_int_equal(world.status, 503);
    assert_non_null(strstr(world.body, "\"database\":\"down\",\"broker\":\"down\""));
    /* A database that says nothing is answered for by the timer; its late word goes nowhere. */
    ask_with(NULL, "GET", "/readyz", "", NULL, NULL);
    world.timer_fn(world.timer_context);
    assert_int_equal(world.answers, 1);
    assert_int_equal(world.status, 503);
    db_answers(QUERY_ALIVE, 1);
    assert_int_equal(world.answers, 1);
}

static void test_stop(void **state)
{
    (void)state;
    ask("GET", MESSAGES, "", NULL);
    http_destroy(&world.http);
    assert_answer(503, "\"code\":\"unavailable\"");
    /* The statement's answer comes after the end, and finds nobody. */
    db_answers(QUERY_PAGE_BEFORE, 0);
    assert_int_equal(world.answers, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_unrouted),
        TEST(test_tokens),
        TEST(test_cors),
        TEST(test_rate),
        TEST(test_bodies),
        TEST(test_room_problems),
        TEST(test_room_made),
        TEST(test_room_uncertain),
        TEST(test_room_existing),
        TEST(test_room_made_unread),
        TEST(test_reads_are_certain),
        TEST(test_content_encodings),
        TEST(test_room_refused),
        TEST(test_room_seen),
        TEST(test_agent),
        TEST(test_room_list),
        TEST(test_send),
        TEST(test_send_with_key),
        TEST(test_send_refused),
        TEST(test_pages),
        TEST(test_page_problems),
        TEST(test_health),
        TEST(test_stop),
        TEST(test_name_is_counted_in_characters),
    };
    return cmocka_run_group_tests_name("http_api", tests, NULL, NULL);
}
