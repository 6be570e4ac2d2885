/* Request ids, what items and results keep of them, and the lines that carry them: which are written at which
 * level, with what, and how many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/log.h"
#include "core/request_id.h"
#include "plugin/item.h"
#include "plugin/trace.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)
#define ROOM     "01020304-0000-0000-0000-000000000000"

static const struct uuid room = {{1, 2, 3, 4}};
static char last[LOG_LINE_MAX + 1];
static int lines;

static void on_line(enum log_level level, const char *line)
{
    (void)level;
    memcpy(last, line, strlen(line) + 1);
    lines++;
}

static void listen_at(enum log_level level)
{
    lines = 0;
    last[0] = '\0';
    log_init(on_line, level);
}

/* ---- Ids. ---- */

static void a_number_is_eight_digits_and_a_count(void **state)
{
    (void)state;
    char text[REQUEST_NUMBER_SIZE];
    request_number_format((struct request_number){0xab, 0x1f}, text);
    assert_string_equal(text, "000000ab-1f");
    request_number_format((struct request_number){UINT32_MAX, UINT64_MAX}, text);
    assert_string_equal(text, "ffffffff-ffffffffffffffff");
    assert_int_equal(strlen(text) + 1, REQUEST_NUMBER_SIZE);
}

static void numbers_of_a_process_differ_and_have_its_base(void **state)
{
    (void)state;
    struct request_ids ids;
    request_ids_init(&ids);
    struct request_number a = request_ids_take(&ids), b = request_ids_take(&ids);
    assert_true(a.base != 0 && a.base == b.base);
    assert_true(b.count == a.count + 1);
}

static void only_a_plain_word_is_taken_from_a_client(void **state)
{
    (void)state;
    struct request_ids ids = {{0xab, 1}};
    char id[REQUEST_ID_MAX + 1], longest[REQUEST_ID_MAX + 1], past[REQUEST_ID_MAX + 2];
    memset(longest, 'x', REQUEST_ID_MAX);
    longest[REQUEST_ID_MAX] = '\0';
    request_id_make(&ids, "Az0._-", id);
    assert_string_equal(id, "Az0._-");
    request_id_make(&ids, longest, id);
    assert_string_equal(id, longest);
    memset(past, 'x', sizeof past);
    past[REQUEST_ID_MAX + 1] = '\0';
    const char *const others[] = {NULL, "", "a b", "a\nb", "a=b", past};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char expected[REQUEST_NUMBER_SIZE];
        request_number_format(ids.next, expected);
        request_id_make(&ids, others[i], id);
        assert_string_equal(id, expected);
    }
}

/* ---- Items and results. ---- */

static struct result *result_of(enum result_kind kind, const struct item *item, const char *word,
                                const char *text)
{
    struct buf body = {0}, ack = {0};
    buf_put_text(&body, text);
    struct result *result = result_make(kind, item, word, &body, &ack);
    buf_finish(&body);
    return result;
}

static struct item *make_said(const char *request_id, size_t size)
{
    struct wire_record record = {.type = WIRE_SEND,
                                 .request = 7,
                                 .room = room,
                                 .user = "ann",
                                 .user_size = 3,
                                 .fallback_id = "f1",
                                 .fallback_id_size = 2,
                                 .payload = "{}",
                                 .payload_size = 2,
                                 .request_id = request_id,
                                 .request_id_size = size};
    return item_make_said(&record);
}

static void what_a_parlord_says_keeps_its_id(void **state)
{
    (void)state;
    char made[REQUEST_NUMBER_SIZE];
    struct item *item = make_said("r-7 and more", 3);
    assert_int_equal(item->kind, ITEM_SEND);
    assert_int_equal(item->request, 7);
    assert_true(uuid_equal(&item->room, &room));
    assert_string_equal(item->user, "ann");
    assert_string_equal(item->fallback_id, "f1");
    assert_string_equal(item->payload, "{}");
    assert_string_equal(trace_id(&item->trace, made), "r-7");
    struct result *result = result_of(RESULT_STORED, item, "", "{}");
    item_destroy(&item); /* the result has copies */
    assert_string_equal(trace_id(&result->trace, made), "r-7");
    assert_string_equal(result->body, "{}");
    result_destroy(&result);
}

static void an_id_of_any_length_is_bounded_and_none_is_none(void **state)
{
    (void)state;
    char made[REQUEST_NUMBER_SIZE], longest[255];
    memset(longest, 'x', sizeof longest);
    struct item *item = make_said(longest, sizeof longest);
    assert_int_equal(strlen(trace_id(&item->trace, made)), WIRE_REQUEST_ID_MAX);
    item_destroy(&item);
    item = make_said(NULL, 0); /* of an older parlord */
    assert_string_equal(trace_id(&item->trace, made), "-");
    item_destroy(&item);
}

static void what_a_client_publishes_keeps_its_number(void **state)
{
    (void)state;
    char made[REQUEST_NUMBER_SIZE];
    struct item *item = item_make("ann", 3, "", 0, "{}", 2);
    item->trace.number = (struct request_number){0xab, 2};
    struct result *result = result_of(RESULT_STORED, item, "", "{}");
    item_destroy(&item);
    assert_string_equal(trace_id(&result->trace, made), "000000ab-2");
    result_destroy(&result);
}

/* ---- Lines. ---- */

static void a_message_is_followed_at_debug_alone(void **state)
{
    (void)state;
    struct item *item = make_said("r-7", 3);
    struct result *result = result_of(RESULT_STORED, item, "", "{\"content\":\"secret\"}");
    struct memberlog_event event = {
        .room = room, .user = "", .payload = "{}", .payload_size = 2, .version = 5};
    result->seq = 4;
    listen_at(LOG_LEVEL_INFO);
    trace_stored(item, 4, false);
    trace_published(result);
    trace_marked(item, 4, 4);
    trace_event(&event);
    assert_int_equal(lines, 0);
    listen_at(LOG_LEVEL_DEBUG);
    trace_stored(item, 4, false);
    assert_string_equal(last, "level=debug room=writer msg=\"stored\" chat_room=" ROOM
                              " seq=4 user=ann request=r-7");
    trace_stored(item, 4, true);
    assert_non_null(strstr(last, "msg=\"stored before\""));
    trace_published(result);
    assert_string_equal(last,
                        "level=debug room=fanout msg=\"published\" chat_room=" ROOM " seq=4 request=r-7");
    trace_marked(item, 3, 4);
    assert_string_equal(last, "level=debug room=receipts msg=\"marked\" chat_room=" ROOM
                              " read=3 delivered=4 user=ann request=r-7");
    trace_event(&event);
    assert_string_equal(last, "level=debug room=outbox msg=\"published an event\" chat_room=" ROOM
                              " user=- version=5");
    assert_int_equal(lines, 5);
    item_destroy(&item);
    result_destroy(&result);
}

static void a_rejection_has_one_line_and_so_many_a_second(void **state)
{
    (void)state;
    struct item *item = make_said("r-8", 3);
    struct result *result = result_of(RESULT_REJECTED, item, "conflict", "another body");
    struct log_limit limit = {0};
    listen_at(LOG_LEVEL_INFO);
    trace_rejected_result(&limit, NS_PER_S, result);
    assert_string_equal(last, "level=info room=fanout msg=\"rejected\" user=ann what=send chat_room=" ROOM
                              " code=conflict why=\"another body\" request=r-8 held=0");
    for (int i = 0; i < 20; i++)
        trace_rejected_result(&limit, NS_PER_S, result);
    assert_int_equal(lines, 10);
    trace_rejected_result(&limit, 2 * NS_PER_S, result);
    assert_non_null(strstr(last, "held=11"));
    result->told = true;
    trace_rejected_result(&limit, 3 * NS_PER_S, result);
    assert_int_equal(lines, 11);
    listen_at(LOG_LEVEL_WARN);
    trace_refused("writer", "message", item, "no such thing");
    assert_string_equal(last, "level=warn room=writer msg=\"the server refused a message of ann: no such "
                              "thing\" request=r-8");
    item_destroy(&item);
    result_destroy(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_eight_digits_and_a_count),
        cmocka_unit_test(numbers_of_a_process_differ_and_have_its_base),
        cmocka_unit_test(only_a_plain_word_is_taken_from_a_client),
        cmocka_unit_test(what_a_parlord_says_keeps_its_id),
        cmocka_unit_test(an_id_of_any_length_is_bounded_and_none_is_none),
        cmocka_unit_test(what_a_client_publishes_keeps_its_number),
        cmocka_unit_test(a_message_is_followed_at_debug_alone),
        cmocka_unit_test(a_rejection_has_one_line_and_so_many_a_second),
    };
    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
