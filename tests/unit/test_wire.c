/* Records of every type written and read back, packets cut at every byte, unknown types and longer records.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/wire.h"

static const struct uuid room = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static const struct wire_record records[] = {
    {.type = WIRE_HELLO, .boot = 0xfedcba9876543210U, .seq = 1LL << 40},
    {.type = WIRE_SEND,
     .request = 7,
     .room = {{9}},
     .user = "ann",
     .user_size = 3,
     .fallback_id = "f1",
     .fallback_id_size = 2,
     .payload = "{\"content\":\"hi\"}",
     .payload_size = 16,
     .request_id = "r-1",
     .request_id_size = 3},
    {.type = WIRE_READ,
     .request = 8,
     .room = {{9}},
     .user = "ann",
     .user_size = 3,
     .payload = "{}",
     .payload_size = 2,
     .request_id = "r-2",
     .request_id_size = 3},
    {.type = WIRE_DELIVERED, .request = 9, .room = {{9}}, .user = "ann", .user_size = 3},
    {.type = WIRE_WATCH, .room = {{5}}},
    {.type = WIRE_UNWATCH, .room = {{6}}},
    {.type = WIRE_STATE, .boot = 3, .version = 1LL << 40, .database_up = true, .seq = 12},
    {.type = WIRE_WATCHED, .room = {{7}}},
    {.type = WIRE_MESSAGE, .request = 1, .room = {{8}}, .seq = 300, .payload = "{}", .payload_size = 2},
    {.type = WIRE_STORED, .request = UINT64_MAX, .room = {{8}}, .seq = INT64_MAX},
    {.type = WIRE_REJECTED,
     .request = 2,
     .error_code = ERROR_CONFLICT,
     .word = "conflict",
     .word_size = 8,
     .payload = "why",
     .payload_size = 3},
    {.type = WIRE_EVENT,
     .room = {{8}},
     .version = 4,
     .seq = 5,
     .word = "events",
     .word_size = 6,
     .payload = "{}",
     .payload_size = 2},
};

#define RECORDS (sizeof(records) / sizeof(records[0]))

static void assert_bytes(const char *a, size_t a_size, const char *b, size_t b_size)
{
    assert_int_equal(a_size, b_size);
    if (a_size > 0)
        assert_memory_equal(a, b, a_size);
}

static void assert_same(const struct wire_record *a, const struct wire_record *b)
{
    assert_int_equal(a->type, b->type);
    assert_true(a->request == b->request && a->boot == b->boot && a->version == b->version &&
                a->seq == b->seq);
    assert_int_equal(a->database_up, b->database_up);
    assert_memory_equal(&a->room, &b->room, sizeof(a->room));
    assert_int_equal(a->error_code, b->error_code);
    assert_bytes(a->user, a->user_size, b->user, b->user_size);
    assert_bytes(a->fallback_id, a->fallback_id_size, b->fallback_id, b->fallback_id_size);
    assert_bytes(a->word, a->word_size, b->word, b->word_size);
    assert_bytes(a->payload, a->payload_size, b->payload, b->payload_size);
    assert_bytes(a->request_id, a->request_id_size, b->request_id, b->request_id_size);
}

static void test_there_and_back(void **state)
{
    (void)state;
    struct buf packet = {0};
    wire_begin(&packet, 0x01020304);
    for (size_t i = 0; i < RECORDS; i++)
        wire_put(&packet, &records[i]);
    struct wire_reader reader;
    struct wire_record got;
    assert_true(wire_open(&reader, packet.data, packet.size));
    assert_int_equal(reader.number, 0x01020304);
    for (size_t i = 0; i < RECORDS; i++) {
        assert_int_equal(wire_next(&reader, &got), 1);
        assert_same(&got, &records[i]);
    }
    assert_int_equal(wire_next(&reader, &got), 0);
    buf_finish(&packet);
}

/* The very bytes, so that the format cannot change unseen. */
static void test_bytes(void **state)
{
    (void)state;
    static const uint8_t expected[] = {1, 0, 0, 0, 2, 3, 0,  0,  0,  16, 1,  2,  3,
                                       4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    struct buf packet = {0};
    wire_begin(&packet, 2);
    wire_put(&packet, &(struct wire_record){.type = WIRE_WATCH, .room = room});
    assert_int_equal(packet.size, sizeof(expected));
    assert_memory_equal(packet.data, expected, sizeof(expected));
    buf_finish(&packet);
}

/* Reads a copy of exact size to its end; returns what wire_next said last, and how many came. */
static int read_all(const void *bytes, size_t size, size_t *count_out)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, bytes, size);
    struct wire_reader reader;
    struct wire_record record;
    int last = -2;
    *count_out = 0;
    if (wire_open(&reader, copy, size))
        while ((last = wire_next(&reader, &record)) == 1)
            ++*count_out;
    free(copy);
    return last;
}

static void test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < RECORDS; i++) {
        struct buf packet = {0};
        size_t count;
        wire_begin(&packet, 1);
        wire_put(&packet, &records[i]);
        for (size_t size = 0; size < packet.size; size++) {
            int last = read_all(packet.data, size, &count);
            assert_int_equal(last, size < 5 ? -2 : size == 5 ? 0 : -1);
            assert_int_equal(count, 0);
        }
        assert_int_equal(read_all(packet.data, packet.size, &count), 0);
        assert_int_equal(count, 1);
        packet.data[0] = 2;
        assert_int_equal(read_all(packet.data, packet.size, &count), -2);
        buf_finish(&packet);
    }
}

static void test_from_a_newer_end(void **state)
{
    (void)state;
    static const uint8_t packet[] = {
        1,    0,    0, 0, 9,              /* */
        33,   0,    0, 0, 2,  0xff, 0xff, /* a type not known */
        1,    0,    0, 0, 18, 0,    0,    0, 0, 0, 0, 0, 5, 0,   0, 0,   0, 0, 0, 0, 7,
        0xaa, 0xbb,                                                                       /* HELLO and more */
        68,   0,    0, 0, 16, 0,    0,    0, 0, 0, 0, 0, 4, 200, 1, 'w', 0, 0, 0, 1, 'p', /* another class */
    };
    struct wire_reader reader;
    struct wire_record record;
    assert_true(wire_open(&reader, packet, sizeof(packet)));
    assert_int_equal(wire_next(&reader, &record), 1);
    assert_int_equal(record.type, WIRE_HELLO);
    assert_int_equal(record.boot, 5);
    assert_int_equal(record.seq, 7);
    assert_int_equal(wire_next(&reader, &record), 1);
    assert_int_equal(record.type, WIRE_REJECTED);
    assert_int_equal(record.error_code, ERROR_INTERNAL);
    assert_int_equal(wire_next(&reader, &record), 0);
}

/* A record from before there was a request_id ends behind its payload. */
static void test_from_an_older_end(void **state)
{
    (void)state;
    struct buf packet = {0};
    struct wire_reader reader;
    struct wire_record got, read = {.type = WIRE_READ, .request = 8, .user = "ann", .user_size = 3};
    read.payload = "{}";
    read.payload_size = 2;
    wire_begin(&packet, 1);
    wire_put(&packet, &read);
    packet.data[9]--; /* the record's size, without its last byte: that of the empty id */
    packet.size--;
    wire_put(&packet, &records[0]);
    assert_true(wire_open(&reader, packet.data, packet.size));
    assert_int_equal(wire_next(&reader, &got), 1);
    assert_same(&got, &read);
    assert_int_equal(wire_next(&reader, &got), 1);
    assert_same(&got, &records[0]);
    assert_int_equal(wire_next(&reader, &got), 0);
    buf_finish(&packet);
}

static void test_lies(void **state)
{
    (void)state;
    /* A record shorter than its fields, a string longer than its record, a seq below zero. */
    static const uint8_t record_short[] = {1, 0, 0, 0, 1, 1, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t string_long[] = {1, 0, 0,   0,   1, 68, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 4,
                                          1, 9, 'w', 'x', 1, 0,  0, 0, 8, 0,  0, 0, 0, 0, 0, 0, 0};
    static const uint8_t id_long[] = {1, 0, 0, 0, 1, 5, 0, 0, 0, 31, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0,  0,
                                      0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 2, 'r'};
    static const uint8_t size_huge[] = {1, 0, 0, 0, 1, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0};
    size_t count;
    assert_int_equal(read_all(record_short, sizeof(record_short), &count), -1);
    assert_int_equal(read_all(string_long, sizeof(string_long), &count), -1);
    assert_int_equal(read_all(id_long, sizeof(id_long), &count), -1);
    assert_int_equal(count, 0);
    assert_int_equal(read_all(size_huge, sizeof(size_huge), &count), -1);
    struct buf packet = {0};
    wire_begin(&packet, 1);
    wire_put(&packet, &(struct wire_record){.type = WIRE_STATE, .version = -1});
    assert_int_equal(read_all(packet.data, packet.size, &count), -1);
    buf_finish(&packet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_from_a_newer_end),
        cmocka_unit_test(test_from_an_older_end),
        cmocka_unit_test(test_lies),
    };
    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
