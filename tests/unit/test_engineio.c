/* Engine.IO packets and batches. */
#include "bridge/engineio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_packets(void **state)
{
    struct engineio_packet p;

    (void)state;
    assert_true(engineio_parse(false, "4hello", 6, &p));
    assert_int_equal(p.type, ENGINEIO_MESSAGE);
    assert_false(p.binary);
    assert_int_equal(p.size, 5);
    assert_memory_equal(p.data, "hello", 5);
    assert_true(engineio_parse(false, "2probe", 6, &p));
    assert_int_equal(p.type, ENGINEIO_PING);
    assert_true(engineio_parse(true, "\x01\x02", 2, &p));
    assert_int_equal(p.type, ENGINEIO_MESSAGE);
    assert_true(p.binary);
    assert_false(engineio_parse(false, "", 0, &p));
    assert_false(engineio_parse(false, "7", 1, &p));
    assert_false(engineio_parse(false, "abc", 3, &p));
}

static void test_text_packets(void **state)
{
    struct engineio_packet p;
    struct buf scratch = {0};

    (void)state;
    assert_true(engineio_parse_text("4b", 2, &scratch, &p));
    assert_false(p.binary);
    assert_true(engineio_parse_text("bAQI=", 5, &scratch, &p));
    assert_true(p.binary);
    assert_int_equal(p.size, 2);
    assert_memory_equal(p.data, "\x01\x02", 2);
    buf_clear(&scratch);
    assert_true(engineio_parse_text("b", 1, &scratch, &p));
    assert_int_equal(p.size, 0);
    assert_false(engineio_parse_text("bA", 2, &scratch, &p));
    assert_false(engineio_parse_text("", 0, &scratch, &p));
    buf_finish(&scratch);
}

/* A batch and what it holds: packets as type and data, parted by `|`; "!" at the end: malformed. */
static const struct {
    const char *batch, *packets;
} BATCHES[] = {
    {"4hello", "4hello"},
    {"4a\x1e"
     "4b\x1e"
     "4c",
     "4a|4b|4c"},
    {"4hello\x1e"
     "bAQIDBA==",
     "4hello|b\x01\x02\x03\x04"},
    {"bAQIDBA", "b\x01\x02\x03\x04"},
    {"bAQID", "b\x01\x02\x03"},
    {"bAQ==", "b\x01"},
    {"b", "b"},
    {"b-_8=", "b\xfb\xff"},
    {"bAQID\nBA==\r\n", "b\x01\x02\x03\x04"}, /* as from the Java client */
    {"bAQ=\n=\n", "b\x01"},
    {"bAQ=A", "!"},
    {"bAQ!A", "!"},
    {"bA", "!"},
    {"bA===", "!"},
    {"2", "2"},
    {"4a\x1e", "4a|!"},
    {"\x1e"
     "4a",
     "!"},
    {"abc", "!"},
    {"4a\x1e"
     "9",
     "4a|!"},
    {"", ""},
};

static void test_batches(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof BATCHES / sizeof *BATCHES; i++) {
        struct engineio_batch batch;
        struct engineio_packet p;
        struct buf got = {0};
        int more;

        buf_put_text(&got, "");
        buf_reserve(&got, 1);
        engineio_batch_open(&batch, BATCHES[i].batch, strlen(BATCHES[i].batch));
        while ((more = engineio_batch_next(&batch, &p)) == 1) {
            if (got.size > 0)
                buf_put_byte(&got, '|');
            buf_put_byte(&got, p.binary ? 'b' : (unsigned char)('0' + p.type));
            buf_put(&got, p.data, p.size);
        }
        if (more < 0)
            buf_put_text(&got, got.size > 0 ? "|!" : "!");
        engineio_batch_close(&batch);
        assert_string_equal(got.data != NULL ? got.data : "", BATCHES[i].packets);
        buf_finish(&got);
    }
}

static void test_binary_comes_back(void **state)
{
    uint8_t bytes[256];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        struct engineio_batch batch;
        struct engineio_packet p;
        struct buf text = {0};

        engineio_batch_put(&text, false, "2", 1);
        engineio_batch_put(&text, true, (const char *)bytes, size);
        engineio_batch_open(&batch, text.data, text.size);
        assert_int_equal(engineio_batch_next(&batch, &p), 1);
        assert_int_equal(engineio_batch_next(&batch, &p), 1);
        assert_true(p.binary);
        assert_int_equal(p.size, size);
        if (size > 0)
            assert_memory_equal(p.data, bytes, size);
        assert_int_equal(engineio_batch_next(&batch, &p), 0);
        engineio_batch_close(&batch);
        buf_finish(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_packets), cmocka_unit_test(test_text_packets),
                                       cmocka_unit_test(test_batches),
                                       cmocka_unit_test(test_binary_comes_back)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
