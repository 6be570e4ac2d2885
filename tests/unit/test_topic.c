/* Every shape of the topic table, what is near it but not it, filters, and printing read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/topic.h"

#define ROOM   "018f5a00-0000-7000-8000-00000000abcd"
#define PREFIX "chat/v1"

#define WILD     1
#define ID_WILD  2
#define SHARED   4
#define OVERLAPS 8

struct name_case {
    const char *text;
    enum topic_kind kind;
    const char *owner, *speaker, *request;
};

static const struct name_case names[] = {
    {PREFIX "/rooms/" ROOM "/send/ann", TOPIC_ROOM_SEND, NULL, "ann", NULL},
    {PREFIX "/rooms/" ROOM "/read/ann", TOPIC_ROOM_READ, NULL, "ann", NULL},
    {PREFIX "/rooms/" ROOM "/delivered/ann", TOPIC_ROOM_DELIVERED, NULL, "ann", NULL},
    {PREFIX "/rooms/" ROOM "/typing/a@b.c|d=e-f_G", TOPIC_ROOM_TYPING, NULL, "a@b.c|d=e-f_G", NULL},
    {PREFIX "/rooms/" ROOM "/messages", TOPIC_ROOM_MESSAGES, NULL, NULL, NULL},
    {PREFIX "/rooms/" ROOM "/receipts", TOPIC_ROOM_RECEIPTS, NULL, NULL, NULL},
    {PREFIX "/rooms/" ROOM "/events", TOPIC_ROOM_EVENTS, NULL, NULL, NULL},
    {PREFIX "/calls/" ROOM "/signal/bob/ann", TOPIC_CALL_SIGNAL, "bob", "ann", NULL},
    {PREFIX "/calls/" ROOM "/media/ann", TOPIC_CALL_MEDIA, NULL, "ann", NULL},
    {PREFIX "/calls/" ROOM "/events", TOPIC_CALL_EVENTS, NULL, NULL, NULL},
    {PREFIX "/users/ann/events", TOPIC_USER_EVENTS, "ann", NULL, NULL},
    {PREFIX "/users/ann/acks", TOPIC_USER_ACKS, "ann", NULL, NULL},
    {PREFIX "/users/ann/inbox", TOPIC_USER_INBOX, "ann", NULL, NULL},
    {PREFIX "/users/ann/presence", TOPIC_USER_PRESENCE, "ann", NULL, NULL},
    {PREFIX "/users/ann/token/ann", TOPIC_USER_TOKEN, "ann", "ann", NULL},
    {PREFIX "/users/ann/token/bob", TOPIC_USER_TOKEN, "ann", "bob", NULL},
    {PREFIX "/users/ann/api/r-1/ann", TOPIC_USER_API, "ann", "ann", "r-1"},
    {PREFIX "/users/ann/replies/r-1", TOPIC_USER_REPLIES, "ann", NULL, "r-1"},
    {PREFIX "/service/in/n1", TOPIC_SERVICE_IN, NULL, NULL, "n1"},
    {PREFIX "/service/out/n1", TOPIC_SERVICE_OUT, NULL, NULL, "n1"},
    {"$parlor", TOPIC_PRIVATE, NULL, NULL, NULL},
    {"$parlor/x", TOPIC_PRIVATE, NULL, NULL, NULL},
    {"chat", TOPIC_OUTSIDE, NULL, NULL, NULL},
    {"chat/v", TOPIC_OUTSIDE, NULL, NULL, NULL},
    {"chat/v11/rooms", TOPIC_OUTSIDE, NULL, NULL, NULL},
    {"chat/v2/rooms/" ROOM "/messages", TOPIC_OUTSIDE, NULL, NULL, NULL},
    {"/chat/v1/rooms/" ROOM "/messages", TOPIC_OUTSIDE, NULL, NULL, NULL},
    {"$parlors", TOPIC_OUTSIDE, NULL, NULL, NULL},
    {"$SYS/broker", TOPIC_OUTSIDE, NULL, NULL, NULL},
    {"", TOPIC_OUTSIDE, NULL, NULL, NULL},
    {PREFIX, TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "//", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/room/" ROOM "/messages", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/roomss/" ROOM "/messages", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/Rooms/" ROOM "/messages", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/" ROOM, TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/" ROOM "/", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/" ROOM "/message", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/" ROOM "/messages/", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/" ROOM "/messages/ann", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/" ROOM "/send", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/" ROOM "/send/", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/" ROOM "/send/..", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/" ROOM "/send/$parlord", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/" ROOM "/send/ann/x", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/" ROOM "/send/a b", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/018F5A00-0000-7000-8000-00000000ABCD/messages", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/018f5a00-0000-7000-8000-00000000abcD/messages", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/018f5a00-0000-7000-8000-00000000abc/messages", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/018f5a00x0000-7000-8000-00000000abcd/messages", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/rooms/+/messages", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/calls/" ROOM "/signal/ann", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/users/ann", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/users/./events", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/users//events", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/users/ann/api/r", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/users/ann/replies/r/ann", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/service/in", TOPIC_UNKNOWN, NULL, NULL, NULL},
    {PREFIX "/service/up/n1", TOPIC_UNKNOWN, NULL, NULL, NULL},
};

static void assert_part(const char *text, const struct topic_part *part, const char *expected)
{
    if (expected == NULL ? part->text != NULL : !topic_part_is(part, expected))
        fail_msg("%s: a part is \"%.*s\", not \"%s\"", text, (int)part->size, part->text ? part->text : "",
                 expected != NULL ? expected : "(none)");
}

static void test_names(void **state)
{
    (void)state;
    struct uuid room;
    assert_true(uuid_parse(ROOM, strlen(ROOM), &room));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct name_case *c = &names[i];
        /* A copy of exact size: reading past its end is an error that the sanitizer sees. */
        char *text = strdup(c->text);
        struct topic t = topic_parse(PREFIX, text);
        if (t.kind != c->kind)
            fail_msg("%s is %s, not %s", c->text, topic_kind_name(t.kind), topic_kind_name(c->kind));
        assert_false(t.wild || t.id_wild || t.shared || t.overlaps_prefix);
        if (t.kind != TOPIC_UNKNOWN) {
            assert_part(c->text, &t.owner, c->owner);
            assert_part(c->text, &t.speaker, c->speaker);
            assert_part(c->text, &t.request, c->request);
        }
        if (t.kind >= TOPIC_ROOM_SEND && t.kind <= TOPIC_CALL_EVENTS)
            assert_true(uuid_equal(&t.id, &room));
        free(text);
    }
}

static void test_lengths(void **state)
{
    (void)state;
    char user[USER_ID_MAX + 2], text[2048];
    memset(user, 'u', sizeof(user));
    user[USER_ID_MAX] = '\0';
    snprintf(text, sizeof(text), PREFIX "/users/%s/api/%s/%s", user, user, user);
    assert_int_equal(topic_parse(PREFIX, text).kind, TOPIC_USER_API);
    user[USER_ID_MAX] = 'u';
    user[USER_ID_MAX + 1] = '\0';
    snprintf(text, sizeof(text), PREFIX "/users/%s/events", user);
    assert_int_equal(topic_parse(PREFIX, text).kind, TOPIC_UNKNOWN);
    memset(text, 'x', sizeof(text));
    memcpy(text, PREFIX "/users/", strlen(PREFIX "/users/"));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(topic_parse(PREFIX, text).kind, TOPIC_UNKNOWN);
    assert_int_equal(filter_parse(PREFIX, text).kind, TOPIC_UNKNOWN);
}

struct filter_case {
    const char *text;
    enum topic_kind kind;
    unsigned flags;
    const char *owner;
};

static const struct filter_case filters[] = {
    {PREFIX "/rooms/" ROOM "/messages", TOPIC_ROOM_MESSAGES, 0, NULL},
    {PREFIX "/rooms/" ROOM "/messages/#", TOPIC_ROOM_MESSAGES, WILD, NULL},
    {PREFIX "/rooms/" ROOM "/#", TOPIC_ROOM_MESSAGES, WILD, NULL},
    {PREFIX "/rooms/" ROOM "/+", TOPIC_ROOM_MESSAGES, WILD, NULL},
    {PREFIX "/rooms/" ROOM "/+/+", TOPIC_ROOM_MESSAGES, WILD, NULL},
    {PREFIX "/rooms/" ROOM "/typing/+", TOPIC_ROOM_TYPING, WILD, NULL},
    {PREFIX "/rooms/" ROOM "/typing/#", TOPIC_ROOM_TYPING, WILD, NULL},
    {PREFIX "/rooms/" ROOM "/send/+", TOPIC_ROOM_SEND, WILD, NULL},
    {PREFIX "/rooms/+/messages", TOPIC_ROOM_MESSAGES, WILD | ID_WILD, NULL},
    {PREFIX "/rooms/+/typing/+", TOPIC_ROOM_TYPING, WILD | ID_WILD, NULL},
    {PREFIX "/rooms/#", TOPIC_ROOM_MESSAGES, WILD | ID_WILD, NULL},
    {PREFIX "/rooms/+/#", TOPIC_ROOM_MESSAGES, WILD | ID_WILD, NULL},
    {PREFIX "/users/ann/#", TOPIC_USER_EVENTS, WILD, "ann"},
    {PREFIX "/users/ann/+", TOPIC_USER_EVENTS, WILD, "ann"},
    {PREFIX "/users/ann/replies/+", TOPIC_USER_REPLIES, WILD, "ann"},
    {PREFIX "/users/+/presence", TOPIC_USER_PRESENCE, WILD | ID_WILD, NULL},
    {PREFIX "/users/#", TOPIC_USER_EVENTS, WILD | ID_WILD, NULL},
    {PREFIX "/calls/+/signal/ann/+", TOPIC_CALL_SIGNAL, WILD | ID_WILD, "ann"},
    {PREFIX "/calls/" ROOM "/signal/ann/+", TOPIC_CALL_SIGNAL, WILD, "ann"},
    {PREFIX "/calls/" ROOM "/signal/+/ann", TOPIC_CALL_SIGNAL, WILD | ID_WILD, NULL},
    {PREFIX "/calls/" ROOM "/signal/#", TOPIC_CALL_SIGNAL, WILD | ID_WILD, NULL},
    {PREFIX "/calls/+/#", TOPIC_CALL_EVENTS, WILD | ID_WILD, NULL},
    {PREFIX "/service/out/+", TOPIC_SERVICE_OUT, WILD, NULL},
    {PREFIX "/service/#", TOPIC_SERVICE_OUT, WILD, NULL},
    {PREFIX "/#", TOPIC_UNKNOWN, WILD | ID_WILD, NULL},
    {PREFIX "/+/" ROOM "/messages", TOPIC_UNKNOWN, WILD | ID_WILD, NULL},
    {"#", TOPIC_OUTSIDE, WILD | ID_WILD | OVERLAPS, NULL},
    {"+/#", TOPIC_OUTSIDE, WILD | ID_WILD | OVERLAPS, NULL},
    {"chat/#", TOPIC_OUTSIDE, WILD | ID_WILD | OVERLAPS, NULL},
    {"chat/+/rooms/" ROOM "/messages", TOPIC_OUTSIDE, WILD | ID_WILD | OVERLAPS, NULL},
    {"+/v1/users/ann/acks", TOPIC_OUTSIDE, WILD | ID_WILD | OVERLAPS, NULL},
    {"+/+/+", TOPIC_OUTSIDE, WILD | ID_WILD | OVERLAPS, NULL},
    {"+/+", TOPIC_OUTSIDE, WILD, NULL},
    {"+", TOPIC_OUTSIDE, WILD, NULL},
    {"chat/+", TOPIC_OUTSIDE, WILD, NULL},
    {"+/v2/#", TOPIC_OUTSIDE, WILD, NULL},
    {"other/#", TOPIC_OUTSIDE, WILD, NULL},
    {"chat/v11/#", TOPIC_OUTSIDE, WILD, NULL},
    {"other/x", TOPIC_OUTSIDE, 0, NULL},
    {"$share/g/" PREFIX "/rooms/" ROOM "/messages", TOPIC_ROOM_MESSAGES, SHARED, NULL},
    {"$share/g/#", TOPIC_OUTSIDE, WILD | ID_WILD | OVERLAPS | SHARED, NULL},
    {"$share/g/other/#", TOPIC_OUTSIDE, WILD | SHARED, NULL},
    {"$share/g", TOPIC_OUTSIDE, SHARED, NULL},
    {"$SYS/#", TOPIC_OUTSIDE, WILD, NULL},
    {"$parlor", TOPIC_PRIVATE, 0, NULL},
    {"$parlor/#", TOPIC_PRIVATE, 0, NULL},
    {PREFIX, TOPIC_UNKNOWN, 0, NULL},
    {PREFIX "/rooms/" ROOM "/messages/+", TOPIC_UNKNOWN, 0, NULL},
    {PREFIX "/rooms/" ROOM "/send", TOPIC_UNKNOWN, 0, NULL},
    {PREFIX "/rooms/+/nothing", TOPIC_UNKNOWN, WILD, NULL},
    {PREFIX "/rooms/#/messages", TOPIC_UNKNOWN, 0, NULL},
    {PREFIX "/rooms/a+/messages", TOPIC_UNKNOWN, 0, NULL},
    {PREFIX "/rooms/x/messages", TOPIC_UNKNOWN, 0, NULL},
    {PREFIX "/rooms/018F5A00-0000-7000-8000-00000000ABCD/#", TOPIC_UNKNOWN, 0, NULL},
};

static void test_filters(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        const struct filter_case *c = &filters[i];
        char *text = strdup(c->text);
        struct topic t = filter_parse(PREFIX, text);
        unsigned flags = (t.wild ? WILD : 0U) | (t.id_wild ? ID_WILD : 0U) | (t.shared ? SHARED : 0U) |
                         (t.overlaps_prefix ? OVERLAPS : 0U);
        if (t.kind != c->kind || flags != c->flags)
            fail_msg("%s is %s with %u, not %s with %u", c->text, topic_kind_name(t.kind), flags,
                     topic_kind_name(c->kind), c->flags);
        if (t.kind != TOPIC_UNKNOWN)
            assert_part(c->text, &t.owner, c->owner);
        free(text);
    }
    assert_false(filter_parse("$mine/v1", "#").overlaps_prefix);
    assert_true(filter_parse("$mine/v1", "$mine/#").overlaps_prefix);
    assert_true(filter_parse("p", "+/rooms").overlaps_prefix);
}

static void test_printing(void **state)
{
    (void)state;
    struct uuid room;
    char text[TOPIC_TEXT_MAX];
    assert_true(uuid_parse(ROOM, strlen(ROOM), &room));
    assert_int_equal(topic_format_room(text, PREFIX, &room, TOPIC_ROOM_SEND, "ann"),
                     strlen(PREFIX "/rooms/" ROOM "/send/ann"));
    assert_string_equal(text, PREFIX "/rooms/" ROOM "/send/ann");
    topic_format_room(text, PREFIX, &room, TOPIC_ROOM_MESSAGES, NULL);
    assert_string_equal(text, PREFIX "/rooms/" ROOM "/messages");
    topic_format_room(text, PREFIX, &room, TOPIC_CALL_EVENTS, NULL);
    assert_string_equal(text, PREFIX "/calls/" ROOM "/events");
    topic_format_user(text, PREFIX, "ann", TOPIC_USER_ACKS, NULL);
    assert_string_equal(text, PREFIX "/users/ann/acks");
    topic_format_user(text, PREFIX, "ann", TOPIC_USER_API, "r1");
    assert_string_equal(text, PREFIX "/users/ann/api/r1/ann");
    topic_format_user(text, PREFIX, "ann", TOPIC_USER_REPLIES, "r1");
    assert_string_equal(text, PREFIX "/users/ann/replies/r1");
    topic_format_user(text, PREFIX, "ann", TOPIC_USER_TOKEN, NULL);
    assert_string_equal(text, PREFIX "/users/ann/token/ann");
    assert_int_equal(topic_format_service(text, PREFIX, TOPIC_SERVICE_OUT, "n1"),
                     strlen(PREFIX "/service/out/n1"));
    assert_string_equal(text, PREFIX "/service/out/n1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_printing),
    };
    return cmocka_run_group_tests_name("topic", tests, NULL, NULL);
}
