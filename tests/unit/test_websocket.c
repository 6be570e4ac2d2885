/* WebSocket frames: whole, in pieces, fragmented, and everything that must end the connection. */
#include "core/digest.h"
#include "tests/unit/fake_ports.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MESSAGE_MAX 100000

struct heard {
    struct buf text; /* <opcode>payload\n */
    int stop_after;  /* messages; 0: never */
    int count;
};

static bool on_message(void *context, enum websocket_opcode opcode, const char *bytes, size_t size)
{
    struct heard *h = context;

    buf_printf(&h->text, "<%d>", (int)opcode);
    if (size > 0)
        buf_put(&h->text, bytes, size);
    buf_put_byte(&h->text, '\n');
    return ++h->count != h->stop_after;
}

/* Feeds `wire` in pieces of `step` bytes; the status, and what was heard. */
static int feed(const struct buf *wire, size_t step, struct heard *h, bool *kept_out)
{
    struct websocket_pool *pool = websocket_pool_create();
    struct websocket_reader *reader = NULL;
    int status = 0;

    for (size_t at = 0; at < wire->size && status == 0; at += step) {
        size_t size = wire->size - at < step ? wire->size - at : step;

        status =
            websocket_feed(pool, &reader, (const uint8_t *)wire->data + at, size, MESSAGE_MAX, on_message, h);
    }
    *kept_out = reader != NULL;
    if (status != 0)
        assert_null(reader);
    websocket_release(pool, &reader);
    websocket_pool_destroy(&pool);
    return status;
}

static void expect(struct buf *wire, int status, const char *text, bool kept)
{
    static const size_t steps[] = {1, 2, 3, 7, 4096, 1000000};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct heard h = {0};
        bool has_reader;

        assert_int_equal(feed(wire, steps[i], &h, &has_reader), status);
        assert_string_equal(h.text.data != NULL ? h.text.data : "", text);
        assert_int_equal(has_reader, kept);
        buf_finish(&h.text);
    }
    buf_finish(wire);
}

static void test_whole(void **state)
{
    struct buf wire = {0};

    (void)state;
    fake_frame(&wire, 1, false, "hello", 5);
    fake_frame(&wire, 2, false, "\x01\x02", 2);
    fake_frame(&wire, 1, false, "", 0);
    fake_frame(&wire, 9, false, "p", 1);
    fake_frame(&wire, 10, false, "", 0);
    expect(&wire, 0, "<1>hello\n<2>\x01\x02\n<1>\n<9>p\n<10>\n", false);
}

static void test_fragments(void **state)
{
    struct buf wire = {0};

    (void)state;
    fake_frame(&wire, 1, true, "he", 2);
    fake_frame(&wire, 9, false, "ping", 4);
    fake_frame(&wire, 0, true, "", 0);
    fake_frame(&wire, 0, false, "llo", 3);
    fake_frame(&wire, 1, true, "", 0);
    fake_frame(&wire, 0, false, "", 0);
    expect(&wire, 0, "<9>ping\n<1>hello\n<1>\n", false);

    fake_frame(&wire, 1, true, "half", 4);
    expect(&wire, 0, "", true);
}

static void test_cut_header_is_kept(void **state)
{
    struct buf wire = {0};

    (void)state;
    fake_frame(&wire, 1, false, "a", 1);
    buf_put(&wire, "\x81", 1);
    expect(&wire, 0, "<1>a\n", true);
    fake_frame(&wire, 1, false, "abc", 3);
    wire.size -= 3; /* the header is whole, the payload is to come */
    expect(&wire, 0, "", true);
}

static void test_long(void **state)
{
    static const size_t sizes[] = {125, 126, 4095, 4096, 4097, 65535, 65536, MESSAGE_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buf wire = {0}, text = {0};
        char *payload = mem_alloc(sizes[i]);

        memset(payload, 'x', sizes[i]);
        fake_frame(&wire, 1, false, payload, sizes[i]);
        buf_put_text(&text, "<1>");
        buf_put(&text, payload, sizes[i]);
        buf_put_byte(&text, '\n');
        expect(&wire, 0, text.data, false);
        buf_finish(&text);
        free(payload);
    }
}

static void test_too_big(void **state)
{
    struct buf wire = {0};
    char *payload = mem_zalloc(1, MESSAGE_MAX + 1);

    (void)state;
    fake_frame(&wire, 2, false, payload, MESSAGE_MAX + 1);
    expect(&wire, WEBSOCKET_TOO_BIG, "", false);
    fake_frame(&wire, 2, true, payload, MESSAGE_MAX);
    fake_frame(&wire, 0, false, payload, 1);
    expect(&wire, WEBSOCKET_TOO_BIG, "", false);
    free(payload);
}

static void test_refused(void **state)
{
    struct buf wire = {0};

    (void)state;
    buf_put(&wire, "\x81\x01x", 3); /* no mask */
    expect(&wire, WEBSOCKET_PROTOCOL, "", false);
    fake_frame(&wire, 3, false, "x", 1); /* unknown opcodes */
    expect(&wire, WEBSOCKET_PROTOCOL, "", false);
    fake_frame(&wire, 11, false, "x", 1);
    expect(&wire, WEBSOCKET_PROTOCOL, "", false);
    fake_frame(&wire, 0, false, "x", 1); /* nothing to continue */
    expect(&wire, WEBSOCKET_PROTOCOL, "", false);
    fake_frame(&wire, 1, true, "x", 1); /* a new one within another */
    fake_frame(&wire, 1, false, "x", 1);
    expect(&wire, WEBSOCKET_PROTOCOL, "", false);
    fake_frame(&wire, 9, true, "x", 1); /* a control frame in part */
    expect(&wire, WEBSOCKET_PROTOCOL, "", false);
    fake_frame(&wire, 1, false, "x", 1);
    wire.data[0] = (char)0xc1; /* a reserved bit */
    expect(&wire, WEBSOCKET_PROTOCOL, "", false);
}

static void test_text_is_utf8(void **state)
{
    struct buf wire = {0};

    (void)state;
    fake_frame(&wire, 1, false, "\xc3", 1);
    expect(&wire, WEBSOCKET_BAD_TEXT, "", false);
    fake_frame(&wire, 2, false, "\xc3", 1);
    expect(&wire, 0, "<2>\xc3\n", false);
    fake_frame(&wire, 1, true, "\xc3", 1); /* a character across fragments is fine */
    fake_frame(&wire, 0, false, "\xa9", 1);
    expect(&wire, 0, "<1>\xc3\xa9\n", false);
    fake_frame(&wire, 1, false, "a\0\xff", 3);
    expect(&wire, WEBSOCKET_BAD_TEXT, "", false);
}

static void test_stop(void **state)
{
    struct heard h = {.stop_after = 1};
    struct buf wire = {0};
    bool kept;

    (void)state;
    fake_frame(&wire, 1, false, "a", 1);
    fake_frame(&wire, 1, false, "b", 1);
    assert_int_equal(feed(&wire, 1000, &h, &kept), WEBSOCKET_NORMAL);
    assert_string_equal(h.text.data, "<1>a\n");
    buf_finish(&h.text);
    buf_finish(&wire);
}

static void test_frames_made(void **state)
{
    static const size_t sizes[] = {0, 125, 126, 65535, 65536};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct shared *frame = websocket_frame(WEBSOCKET_BINARY, NULL, sizes[i]);
        const char *bytes;
        size_t size;

        assert_int_equal(websocket_payload(frame, &bytes, &size), WEBSOCKET_BINARY);
        assert_int_equal(size, sizes[i]);
        assert_ptr_equal(bytes + size, frame->data + frame->size);
        shared_drop(frame);
    }
}

static void test_accept_key(void **state)
{
    char out[WEBSOCKET_ACCEPT_SIZE];

    (void)state;
    assert_true(websocket_accept_key("dGhlIHNhbXBsZSBub25jZQ==", out)); /* of RFC 6455 */
    assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_false(websocket_accept_key("", out));
    assert_false(websocket_accept_key("dGhlIHNhbXBsZSBub25jZQ=", out));
    assert_false(websocket_accept_key("dGhlIHNhbXBsZSBub25jZQ===", out));
    assert_false(websocket_accept_key("dGhlIHNhbXBsZSBub25j\r\n==", out));
}

static void test_close_reply(void **state)
{
    static const struct {
        const char *payload;
        size_t size;
        unsigned status;
    } cases[] = {{"", 0, 1000},
                 {"\x03", 1, 1002},
                 {"\x03\xe8", 2, 1000},
                 {"\x03\xe9"
                  "bye",
                  5, 1001},
                 {"\x03\xed", 2, 1002},
                 {"\x03\xee", 2, 1002},
                 {"\x03\xe7", 2, 1002},
                 {"\x0b\xb8", 2, 3000},
                 {"\x10\xe1", 2, 4321},
                 {"\x13\x88", 2, 1002},
                 {"\x03\xe8\xff", 3, 1007}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(websocket_close_reply(cases[i].payload, cases[i].size), cases[i].status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_long),         cmocka_unit_test(test_cut_header_is_kept),
        cmocka_unit_test(test_too_big),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_text_is_utf8), cmocka_unit_test(test_stop),
        cmocka_unit_test(test_frames_made),  cmocka_unit_test(test_accept_key),
        cmocka_unit_test(test_close_reply)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
