/* Requests by the `api` topic: what of a payload reaches the router, and what comes back as a reply. */
#include "service/api.h"

#include "tests/unit/http_world.h"

#define BAD_REQUEST "{\"status\":400,\"body\":{\"statusCode\":400,\"error\":\"Bad Request\",\"code\":"

/* ---- The broker's part: replies are kept. ---- */

static struct {
    broker_api_fn fn;
    void *context;
    unsigned count;
    char user[32], request_id[32], text[4096];
} replies;

void broker_on_api(struct broker *broker, broker_api_fn fn, void *context)
{
    (void)broker;
    replies.fn = fn;
    replies.context = context;
}

void broker_reply(struct broker *broker, const char *user, const char *request_id, const char *payload,
                  size_t size)
{
    assert_ptr_equal(broker, &replies);
    replies.count++;
    snprintf(replies.user, sizeof replies.user, "%s", user);
    snprintf(replies.request_id, sizeof replies.request_id, "%s", request_id);
    snprintf(replies.text, sizeof replies.text, "%.*s", (int)size, payload);
}

static struct api *api;

static int set_up(void **state)
{
    memset(&replies, 0, sizeof replies);
    if (begin(state) != 0)
        return -1;
    api = api_create((struct broker *)&replies, world.http, &world.ports);
    return 0;
}

static int tear_down(void **state)
{
    int ok = end(state);
    api_destroy(&api);
    return ok;
}

static void says_as(const char *user, const char *request_id, const char *payload)
{
    struct wire_record record = {.type = WIRE_API,
                                 .user = user,
                                 .user_size = strlen(user),
                                 .word = request_id,
                                 .word_size = strlen(request_id),
                                 .seq = ROLE_USER,
                                 .version = WALL_MS / 1000 + 60,
                                 .payload = payload,
                                 .payload_size = strlen(payload)};
    replies.count = 0;
    replies.fn(replies.context, &record);
}

static void says(const char *payload)
{
    says_as("alice", "r-1", payload);
}

static void assert_reply(const char *begins, const char *has)
{
    assert_int_equal(replies.count, 1);
    assert_string_equal(replies.user, "alice");
    assert_string_equal(replies.request_id, "r-1");
    if (strncmp(replies.text, begins, strlen(begins)) != 0 || strstr(replies.text, has) == NULL)
        fail_msg("%s\ninstead of %s with %s", replies.text, begins, has);
    struct json *tree = json_parse(replies.text, strlen(replies.text), NULL);
    assert_non_null(tree);
    json_destroy(&tree);
}

/* ---- */

static void reaches_the_router_as_the_user(void **state)
{
    (void)state;
    says("{\"method\":\"GET\",\"path\":\"/chat/rooms/" ROOM
         "/messages\",\"query\":{\"after\":7,\"limit\":\"5\","
         "\"before\":null}}");
    assert_int_equal(replies.count, 0); /* the database is asked first */
    assert_non_null(world.sql);
    db_answers(world.sql, 0);
    assert_reply("{\"status\":200,\"body\":{\"data\":[]", "\"hasMore\":false");
}

static void the_base_may_be_named_and_the_query_be_text(void **state)
{
    (void)state;
    says("{\"method\":\"GET\",\"path\":\"" MESSAGES "\",\"query\":\"limit=101\"}");
    assert_reply("{\"status\":400,", "limit");
    says("{\"method\":\"GET\",\"path\":\"" MESSAGES "\",\"query\":{\"lim&it\":1}}");
    assert_reply("{\"status\":400,", "lim&it");
}

static void a_body_and_a_key_come_along(void **state)
{
    (void)state;
    says("{\"method\":\"POST\",\"path\":\"" MESSAGES
         "\",\"body\":{\"content\":\"hi\"},\"idempotencyKey\":\"k-7\"}");
    assert_non_null(world.sent);
    assert_non_null(strstr(world.sent, "\"content\":\"hi\""));
    assert_non_null(strstr(world.sent, "k-7"));
    assert_string_equal(world.sent_request_id, "r-1");
    broker_refuses(ERROR_UNAVAILABLE, "busy");
    assert_reply("{\"status\":503,", "\"code\":\"busy\"");
    assert_non_null(strstr(replies.text, "\"requestId\":\"r-1\""));
}

static void strangers_get_what_rest_gives_them(void **state)
{
    (void)state;
    says("{\"method\":\"GET\",\"path\":\"/chat/rooms/" OTHER "/messages\"}");
    assert_reply("{\"status\":404,", "\"code\":\"room_not_found\"");
    says("{\"method\":\"GET\",\"path\":\"/nowhere\"}");
    assert_reply("{\"status\":404,", "\"statusCode\":404");
    says("{\"method\":\"PUT\",\"path\":\"/chat/rooms\"}");
    assert_reply("{\"status\":405,", "\"statusCode\":405");
}

/* As the listener does it: escapes are decoded, methods that HTTP does not have are told apart from those
 * that a path does not take, and HEAD is the head alone. */
static void paths_and_methods_are_those_of_http(void **state)
{
    (void)state;
    says("{\"method\":\"GET\",\"path\":\"/chat/rooms/%6Eone\"}");
    assert_reply(BAD_REQUEST, "id must be a UUID");
    says("{\"method\":\"GET\",\"path\":\"/cha%74/rooms/" OTHER "/%6Dessages\"}");
    assert_reply("{\"status\":404,", "\"code\":\"room_not_found\"");
    static const char *const broken[] = {"%", "%2", "%zz", "%00"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        char payload[128];
        snprintf(payload, sizeof payload, "{\"method\":\"GET\",\"path\":\"/chat/rooms/%s\"}", broken[i]);
        says(payload);
        assert_reply(BAD_REQUEST, "\"code\":\"bad_path\"");
    }
    says("{\"method\":\"BREW\",\"path\":\"/chat/rooms\"}");
    assert_reply("{\"status\":501,", "\"code\":\"unknown_method\"");
    says("{\"method\":\"HEAD\",\"path\":\"" MESSAGES "\"}");
    db_answers(world.sql, 0);
    assert_reply("{\"status\":200,\"body\":null}", "");
}

static void malformed_payloads_are_answered(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "[]",
        "7",
        "{",
        "{\"path\":\"/chat/rooms\"}",
        "{\"method\":\"get\",\"path\":\"/chat/rooms\"}",
        "{\"method\":\"GETGETGETGETGETGE\",\"path\":\"/chat/rooms\"}",
        "{\"method\":\"GET\"}",
        "{\"method\":\"GET\",\"path\":\"chat/rooms\"}",
        "{\"method\":\"GET\",\"path\":\"/chat/rooms?limit=1\"}",
        "{\"method\":\"GET\",\"path\":\"/chat/rooms\",\"query\":7}",
        "{\"method\":\"GET\",\"path\":\"/chat/rooms\",\"query\":{\"limit\":[1]}}",
        "{\"method\":\"GET\",\"path\":\"/chat/rooms\",\"query\":{\"limit\":1.5}}",
        "{\"method\":\"POST\",\"path\":\"/chat/rooms\",\"idempotencyKey\":7}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        says(wrong[i]);
        assert_reply(BAD_REQUEST, "\"requestId\":\"r-1\"");
        assert_null(world.sql);
    }
}

static void a_path_has_a_limit(void **state)
{
    (void)state;
    char payload[2048], path[1100];
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    snprintf(payload, sizeof payload, "{\"method\":\"GET\",\"path\":\"%s\"}", path);
    says(payload);
    assert_reply(BAD_REQUEST, "path must begin");
    path[1024] = '\0';
    snprintf(payload, sizeof payload, "{\"method\":\"GET\",\"path\":\"%s\"}", path);
    says(payload);
    assert_reply("{\"status\":404,", "Not Found");
}

static void what_the_plugin_would_not_send_is_dropped(void **state)
{
    (void)state;
    says_as("a/b", "r-1", "{\"method\":\"GET\",\"path\":\"/chat/rooms\"}");
    assert_int_equal(replies.count, 0);
    says_as("alice", "r/1", "{\"method\":\"GET\",\"path\":\"/chat/rooms\"}");
    assert_int_equal(replies.count, 0);
    assert_null(world.sql);
}

static void without_members_it_is_starting(void **state)
{
    (void)state;
    struct members *none = members_create();
    world.ports.members = none;
    says("{\"method\":\"GET\",\"path\":\"/chat/rooms\"}");
    assert_reply("{\"status\":503,", "\"code\":\"starting\"");
    world.ports.members = world.members;
    members_destroy(&none);
}

/* An answer that comes when the broker has gone is dropped, and nothing is left behind. */
static void detached_it_answers_nobody(void **state)
{
    (void)state;
    says("{\"method\":\"GET\",\"path\":\"" MESSAGES "\"}");
    api_detach(api);
    assert_null(replies.fn);
    db_answers(world.sql, 0);
    assert_int_equal(replies.count, 0);
    api_detach(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(reaches_the_router_as_the_user),
                                       TEST(the_base_may_be_named_and_the_query_be_text),
                                       TEST(a_body_and_a_key_come_along),
                                       TEST(strangers_get_what_rest_gives_them),
                                       TEST(paths_and_methods_are_those_of_http),
                                       TEST(malformed_payloads_are_answered),
                                       TEST(a_path_has_a_limit),
                                       TEST(what_the_plugin_would_not_send_is_dropped),
                                       TEST(without_members_it_is_starting),
                                       TEST(detached_it_answers_nobody)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
