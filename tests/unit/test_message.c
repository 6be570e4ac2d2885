/* Drafts as clients send them, right and wrong, and the printed forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/message.h"

#define A "018f5a00-0000-7000-8000-00000000000a"
#define B "018f5a00-0000-7000-8000-00000000000b"

static const struct config config = {.content_bytes_max = 32};

static int parse(const char *payload, struct draft *out, struct error *e)
{
    /* An exact copy that is gone before the draft is looked at. */
    size_t size = strlen(payload);
    char *exact = malloc(size > 0 ? size : 1);
    memcpy(exact, payload, size);
    memset(e, 0, sizeof(*e));
    int result = draft_parse(exact, size, &config, out, e);
    free(exact);
    return result;
}

struct good {
    const char *payload, *id, *type, *content, *mentions, *attachments;
    const char *reply;
};

static const struct good goods[] = {
    {"{\"content\":\"hi\"}", "", "text", "hi", "[]", "[]", NULL},
    {"{\"content\":\"hi\",\"clientMessageId\":\"c 1\"}", "c 1", "text", "hi", "[]", "[]", NULL},
    {"{\"content\":\"hi\",\"type\":\"text\",\"other\":{\"x\":[1]}}", "", "text", "hi", "[]", "[]", NULL},
    {"{\"content\":\"hi\",\"clientMessageId\":null,\"type\":null,\"mentions\":null,\"replyToId\":null,"
     "\"attachmentIds\":null}",
     "", "text", "hi", "[]", "[]", NULL},
    {"{\"content\":\"12345678901234567890123456789012\"}", "", "text", "12345678901234567890123456789012",
     "[]", "[]", NULL},
    {"{\"content\":\"\\u00e4\\ud83d\\ude00\\n\"}", "", "text", "\xc3\xa4\xf0\x9f\x98\x80\n", "[]", "[]",
     NULL},
    {"{\"content\":\"hi\",\"mentions\":[\"bob\",\"ann\",\"bob\"]}", "", "text", "hi", "[\"bob\",\"ann\"]",
     "[]", NULL},
    {"{\"content\":\"hi\",\"replyToId\":\"" A "\"}", "", "text", "hi", "[]", "[]", A},
    {"{\"attachmentIds\":[\"" A "\"]}", "", "media", NULL, "[]", "[\"" A "\"]", NULL},
    {"{\"content\":\"\",\"attachmentIds\":[\"" A "\",\"" B "\",\"018F5A00-0000-7000-8000-00000000000A\"]}",
     "", "media", NULL, "[]", "[\"" A "\",\"" B "\"]", NULL},
    {"{\"type\":\"media\",\"content\":\"see\",\"attachmentIds\":[\"" A "\"]}", "", "media", "see", "[]",
     "[\"" A "\"]", NULL},
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(goods) / sizeof(goods[0]); i++) {
        const struct good *c = &goods[i];
        struct draft d;
        struct error e;
        char reply[UUID_TEXT_SIZE];
        if (parse(c->payload, &d, &e) != 0)
            fail_msg("%s: %s", c->payload, e.text);
        assert_string_equal(d.client_message_id, c->id);
        assert_string_equal(d.type, c->type);
        assert_int_equal(d.content == NULL, c->content == NULL);
        if (c->content != NULL) {
            assert_string_equal(d.content, c->content);
            assert_int_equal(d.content_size, strlen(c->content));
        }
        assert_string_equal(d.mentions.data, c->mentions);
        assert_string_equal(d.attachments.data, c->attachments);
        assert_int_equal(d.has_reply, c->reply != NULL);
        if (c->reply != NULL) {
            uuid_format(&d.reply_to, reply);
            assert_string_equal(reply, c->reply);
        }
        draft_finish(&d);
    }
}

struct bad {
    const char *payload, *word, *part; /* what the text must name */
};

static const struct bad bads[] = {
    {"", "invalid_json", NULL},
    {"hello", "invalid_json", NULL},
    {"{\"content\":\"a\",\"content\":\"b\"}", "invalid_json", NULL},
    {"{\"content\":\"a\\u0000b\"}", "invalid_json", NULL},
    {"{\"content\":\"\xff\"}", "invalid_json", NULL},
    {"{\"content\":\"hi\"} x", "invalid_json", NULL},
    {"[]", "invalid_message", "object"},
    {"\"hi\"", "invalid_message", "object"},
    {"{}", "invalid_message", "content"},
    {"{\"content\":\"\"}", "invalid_message", "content"},
    {"{\"content\":null}", "invalid_message", "content"},
    {"{\"Content\":\"hi\"}", "invalid_message", "content"},
    {"{\"content\":7}", "invalid_message", "content must be a string of at most 32 bytes"},
    {"{\"content\":\"123456789012345678901234567890123\"}", "content_too_large", "at most 32 bytes"},
    {"{\"content\":\"hi\",\"type\":\"system\"}", "invalid_message", "type"},
    {"{\"content\":\"hi\",\"type\":1}", "invalid_message", "type"},
    {"{\"content\":\"hi\",\"type\":\"media\"}", "invalid_message", "attachmentIds"},
    {"{\"content\":\"hi\",\"clientMessageId\":\"\"}", "invalid_message", "clientMessageId"},
    {"{\"content\":\"hi\",\"clientMessageId\":7}", "invalid_message", "clientMessageId"},
    {"{\"content\":\"hi\",\"mentions\":\"bob\"}", "invalid_message", "mentions"},
    {"{\"content\":\"hi\",\"mentions\":[\"b/b\"]}", "invalid_message", "mentions"},
    {"{\"content\":\"hi\",\"mentions\":[null]}", "invalid_message", "mentions"},
    {"{\"content\":\"hi\",\"mentions\":{\"a\":\"bob\"}}", "invalid_message", "mentions"},
    {"{\"content\":\"hi\",\"replyToId\":\"x\"}", "invalid_message", "replyToId"},
    {"{\"content\":\"hi\",\"replyToId\":5}", "invalid_message", "replyToId"},
    {"{\"attachmentIds\":[\"x\"]}", "invalid_message", "attachmentIds"},
    {"{\"attachmentIds\":[]}", "invalid_message", "content"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
        struct draft d;
        struct error e;
        if (parse(bads[i].payload, &d, &e) == 0)
            fail_msg("taken: %s", bads[i].payload);
        assert_string_equal(e.word, bads[i].word);
        assert_int_equal(e.code, strcmp(e.word, "content_too_large") == 0 ? ERROR_LIMIT : ERROR_INVALID);
        if (bads[i].part != NULL && strstr(e.text, bads[i].part) == NULL)
            fail_msg("%s: \"%s\" does not name %s", bads[i].payload, e.text, bads[i].part);
        draft_finish(&d);
    }
}

/* A refusal names every wrong field, and the message that it refuses. */
static void test_all_faults(void **state)
{
    (void)state;
    static const char *const names[] = {"content", "mentions", "replyToId", "attachmentIds", "type"};
    struct draft d;
    struct error e;
    assert_int_equal(parse("{\"clientMessageId\":\"c1\",\"content\":[],\"mentions\":1,\"replyToId\":1,"
                           "\"attachmentIds\":1,\"type\":1}",
                           &d, &e),
                     -1);
    assert_string_equal(d.client_message_id, "c1");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_non_null(strstr(e.text, names[i]));
    draft_finish(&d);
    assert_int_equal(parse("{\"clientMessageId\":1,\"content\":[],\"mentions\":1,\"replyToId\":1,"
                           "\"attachmentIds\":1,\"type\":1}",
                           &d, &e),
                     -1);
    assert_string_equal(d.client_message_id, "");
    assert_non_null(strstr(e.text, "clientMessageId"));
    assert_non_null(strstr(e.text, "type must be \"text\" or \"media\""));
    draft_finish(&d);
    draft_finish(NULL);
}

static void put_many(struct buf *b, const char *name, unsigned count, const char *format)
{
    buf_clear(b);
    buf_printf(b, "{\"content\":\"hi\",\"%s\":[", name);
    for (unsigned i = 0; i < count; i++) {
        char value[64];
        snprintf(value, sizeof(value), "%s%04u", format, i);
        buf_printf(b, "%s\"%s\"", i > 0 ? "," : "", value);
    }
    buf_put_text(b, "]}");
}

static void test_counts(void **state)
{
    (void)state;
    static const struct {
        const char *name, *stem;
        unsigned max;
    } cases[] = {{"mentions", "user-", MENTIONS_MAX},
                 {"attachmentIds", "018f5a00-0000-7000-8000-00000000", ATTACHMENTS_MAX}};
    struct buf b = {0};
    for (size_t i = 0; i < 2; i++) {
        struct draft d;
        struct error e;
        put_many(&b, cases[i].name, cases[i].max, cases[i].stem);
        assert_int_equal(parse(b.data, &d, &e), 0);
        assert_int_equal(d.attachment_count, i == 1 ? ATTACHMENTS_MAX : 0);
        draft_finish(&d);
        put_many(&b, cases[i].name, cases[i].max + 1, cases[i].stem);
        assert_int_equal(parse(b.data, &d, &e), -1);
        assert_non_null(strstr(e.text, cases[i].name));
        draft_finish(&d);
    }
    buf_finish(&b);
}

static int64_t hash_of(const char *payload)
{
    struct draft d;
    struct error e;
    assert_int_equal(parse(payload, &d, &e), 0);
    int64_t hash = d.body_hash;
    draft_finish(&d);
    return hash;
}

static void test_hash(void **state)
{
    (void)state;
    /* It is stored: a change of it would turn resends into conflicts. */
    assert_true(hash_of("{\"content\":\"hi\"}") == (int64_t)UINT64_C(0xeba25ded5f45f8fe));
    static const char *const same[] = {
        "{\"content\":\"hi\",\"mentions\":[\"bob\"],\"clientMessageId\":\"1\"}",
        "{ \"mentions\" : [\"bob\",\"bob\"], \"clientMessageId\":\"2\", \"content\":\"\\u0068i\" }",
        "{\"type\":\"text\",\"content\":\"hi\",\"mentions\":[\"bob\"],\"replyToId\":null,\"other\":1}"};
    for (size_t i = 1; i < sizeof(same) / sizeof(same[0]); i++)
        assert_true(hash_of(same[0]) == hash_of(same[i]));
    static const char *const different[] = {"{\"content\":\"hi\"}",
                                            "{\"content\":\"ho\"}",
                                            "{\"content\":\"hi\",\"mentions\":[\"bob\"]}",
                                            "{\"content\":\"hi\",\"mentions\":[\"bobr\"]}",
                                            "{\"content\":\"hi[\\\"bob\\\"]\"}",
                                            "{\"content\":\"hi\",\"replyToId\":\"" A "\"}",
                                            "{\"content\":\"hi\",\"replyToId\":\"" B "\"}",
                                            "{\"content\":\"hi\",\"attachmentIds\":[\"" A "\"]}",
                                            "{\"content\":\"hi\",\"attachmentIds\":[\"" A
                                            "\"],\"type\":\"text\"}",
                                            "{\"attachmentIds\":[\"" A "\"]}"};
    size_t count = sizeof(different) / sizeof(different[0]);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (hash_of(different[i]) == hash_of(different[j]))
                fail_msg("%s has the hash of %s", different[i], different[j]);
}

/* The seq is read from what was printed, and from nothing that is cut short or is another object. */
static void check_seq(const struct buf *printed)
{
    int64_t seq = 0;
    size_t shortest = 0;
    assert_true(message_read_seq(printed->data, printed->size, &seq));
    assert_int_equal(seq, 7);
    while (!message_read_seq(printed->data, shortest, &seq))
        shortest++;
    assert_int_equal(shortest, strchr(strstr(printed->data, "\"seq\":"), ':') + 2 - printed->data);
    assert_false(message_read_seq(NULL, 0, &seq));
    assert_false(message_read_seq(printed->data + 1, printed->size - 1, &seq));
}

static void test_printing(void **state)
{
    (void)state;
    struct buf b = {0};
    struct message m = {.seq = 7,
                        .sender = "ann",
                        .client_message_id = "c\"1",
                        .type = "text",
                        .content = "a\nb",
                        .content_size = 3,
                        .mentions = "[\"bob\"]",
                        .attachments = "[]",
                        .created_at_ms = 1769850300123};
    uuid_parse(A, 36, &m.id);
    uuid_parse(B, 36, &m.room);
    message_print(&b, &m);
    assert_string_equal(b.data,
                        "{\"id\":\"" A "\",\"chatRoomId\":\"" B "\",\"seq\":7,\"senderId\":\"ann\","
                        "\"clientMessageId\":\"c\\\"1\",\"type\":\"text\",\"content\":\"a\\nb\","
                        "\"mentions\":[\"bob\"],\"replyToId\":null,\"attachments\":[],\"rev\":0,"
                        "\"createdAt\":\"2026-01-31T09:05:00.123Z\",\"editedAt\":null,\"deletedAt\":null}");
    assert_int_equal(json_check(b.data, b.size, NULL), 0);
    check_seq(&b);
    buf_clear(&b);
    m.content = NULL;
    m.has_reply = true;
    m.reply_to = m.room;
    m.rev = 3;
    m.edited_at_ms = m.deleted_at_ms = m.created_at_ms;
    message_print(&b, &m);
    assert_non_null(strstr(b.data, "\"content\":null,"));
    assert_non_null(strstr(b.data, "\"replyToId\":\"" B "\","));
    assert_non_null(strstr(b.data, "\"rev\":3,"));
    assert_non_null(strstr(b.data, "\"deletedAt\":\"2026-01-31T09:05:00.123Z\"}"));
    buf_clear(&b);
    ack_print_stored(&b, "c1", &m.id, &m.room, 7, m.created_at_ms);
    assert_string_equal(b.data,
                        "{\"clientMessageId\":\"c1\",\"status\":\"stored\",\"id\":\"" A
                        "\",\"chatRoomId\":\"" B "\",\"seq\":7,\"createdAt\":\"2026-01-31T09:05:00.123Z\"}");
    buf_clear(&b);
    struct error why;
    error_set(&why, ERROR_CONFLICT, "conflict", "another \"body\"");
    ack_print_rejected(&b, NULL, &why);
    assert_string_equal(b.data, "{\"clientMessageId\":null,\"status\":\"rejected\",\"code\":\"conflict\","
                                "\"message\":\"another \\\"body\\\"\"}");
    buf_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),   cmocka_unit_test(test_bad),  cmocka_unit_test(test_all_faults),
        cmocka_unit_test(test_counts), cmocka_unit_test(test_hash), cmocka_unit_test(test_printing),
    };
    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
