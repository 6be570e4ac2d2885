/* UUIDs, users' ids, hashes and random bytes. */
#include "core/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Later than any id that the other tests make: the maker never goes back. */
#define LATER_MS INT64_C(0x0200000000ff)

static void test_parse_and_format(void **state)
{
    (void)state;
    struct uuid id;
    char text[UUID_TEXT_SIZE];
    assert_true(uuid_parse("01890A5D-ac96-774b-bcce-b302099a8057", 36, &id));
    assert_int_equal(id.bytes[0], 0x01);
    assert_int_equal(id.bytes[15], 0x57);
    uuid_format(&id, text);
    assert_string_equal(text, "01890a5d-ac96-774b-bcce-b302099a8057");
}

static void test_parse_refuses(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "01890a5d-ac96-774b-bcce-b302099a805",
                                        "01890a5d-ac96-774b-bcce-b302099a80570",
                                        "01890a5dac96-774b-bcce-b302099a80577-",
                                        "01890a5d-ac96-774b-bcce-b302099a805g",
                                        "{1890a5d-ac96-774b-bcce-b302099a805}",
                                        "01890a5d_ac96-774b-bcce-b302099a8057",
                                        " 1890a5d-ac96-774b-bcce-b302099a8057",
                                        "-1890a5d-ac96-774b-bcce-b302099a8057"};
    struct uuid id = {.bytes = {9}}, untouched = id;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(uuid_parse(wrong[i], strlen(wrong[i]), &id));
        assert_true(uuid_equal(&id, &untouched));
    }
}

static void test_hex_digits(void **state)
{
    (void)state;
    static const char digits[] = "0123456789abcdef", capitals[] = "0123456789ABCDEF";
    for (int value = 0; value < 16; value++) {
        assert_int_equal(hex_digit(digits[value]), value);
        assert_int_equal(hex_digit(capitals[value]), value);
    }
    for (int c = 0; c < 256; c++)
        if (c == 0 || (strchr(digits, c) == NULL && strchr(capitals, c) == NULL))
            assert_int_equal(hex_digit((char)c), -1);
}

static int64_t time_of(const struct uuid *id)
{
    int64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id->bytes[i];
    return ms;
}

static void test_made_ones_are_version_7_and_rise(void **state)
{
    (void)state;
    struct uuid last = {{0}};
    for (int i = 0; i < 200000; i++) {
        struct uuid id;
        /* The clock stands still, and goes back now and then. */
        uuid_make(&id, 1800000000000 + i / 1000 - (i % 7 == 0 ? 50 : 0));
        assert_int_equal(id.bytes[6] >> 4, 7);
        assert_int_equal(id.bytes[8] >> 6, 2);
        assert_true(memcmp(id.bytes, last.bytes, 16) > 0);
        last = id;
    }
    assert_int_equal(time_of(&last), 1800000000000 + 199);
}

static void test_time_is_in_front(void **state)
{
    (void)state;
    struct uuid id;
    uuid_make(&id, LATER_MS - 1000);
    assert_int_equal(time_of(&id), LATER_MS - 1000);
    uuid_make(&id, 5); /* the clock went back: the last time stays */
    assert_int_equal(time_of(&id), LATER_MS - 1000);
}

#define THREADS    4
#define PER_THREAD 20000

static void *make_many(void *context)
{
    struct uuid *out = context;
    for (int i = 0; i < PER_THREAD; i++)
        uuid_make(&out[i], LATER_MS);
    return NULL;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct uuid));
}

static void test_threads_never_make_the_same(void **state)
{
    (void)state;
    struct uuid *ids = calloc(THREADS * PER_THREAD, sizeof *ids);
    assert_non_null(ids);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_many, ids + i * PER_THREAD), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        for (int j = 1; j < PER_THREAD; j++)
            assert_true(compare_ids(&ids[i * PER_THREAD + j - 1], &ids[i * PER_THREAD + j]) < 0);
    }
    qsort(ids, THREADS * PER_THREAD, sizeof *ids, compare_ids);
    for (int i = 1; i < THREADS * PER_THREAD; i++)
        assert_false(uuid_equal(&ids[i - 1], &ids[i]));
    free(ids);
}

static void test_user_ids(void **state)
{
    (void)state;
    static const char *const right[] = {"a", "auth0|5f7c", "Ana.Lopez-2@example.com", "...", ".a", "=_="};
    static const char *const wrong[] = {"",  ".",  "..",       "a b",      "a/b", "+",
                                        "#", "a#", "$parlord", "\xc3\xa9", "a\n", "a:b"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_true(user_id_valid(right[i], strlen(right[i])));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(user_id_valid(wrong[i], strlen(wrong[i])));
    char longest[USER_ID_MAX + 1];
    memset(longest, 'u', sizeof longest);
    assert_true(user_id_valid(longest, USER_ID_MAX));
    assert_false(user_id_valid(longest, USER_ID_MAX + 1));
    assert_false(user_id_valid("a\0b", 3));
}

static void test_client_message_ids(void **state)
{
    (void)state;
    static const char *const right[] = {"1", "a b", "gr\xc3\xbc\xc3\x9f", "\xf0\x9f\x98\x80", "\xc2\xa0"};
    static const char *const wrong[] = {"", "a\tb", "\x7f", "\xc2\x85", "\xff", "\xc3", "a\n"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_true(client_message_id_valid(right[i], strlen(right[i])));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(client_message_id_valid(wrong[i], strlen(wrong[i])));
    assert_false(client_message_id_valid("a\0b", 3));
    char longest[CLIENT_MESSAGE_ID_MAX + 1];
    memset(longest, 'm', sizeof longest);
    assert_true(client_message_id_valid(longest, CLIENT_MESSAGE_ID_MAX));
    assert_false(client_message_id_valid(longest, CLIENT_MESSAGE_ID_MAX + 1));
}

/* Every prefix and every one-bit change of a text has a hash of its own, and low bits are spread. */
static void test_hashes_differ(void **state)
{
    (void)state;
    enum { TEXT = 64, COUNT = TEXT + 1 + TEXT * 8 };
    unsigned char text[TEXT] = {0};
    uint64_t hashes[COUNT];
    size_t count = 0;
    for (size_t size = 0; size <= TEXT; size++)
        hashes[count++] = bytes_hash(text, size);
    for (size_t bit = 0; bit < TEXT * 8; bit++) {
        text[bit / 8] ^= (unsigned char)(1u << bit % 8);
        hashes[count++] = bytes_hash(text, TEXT);
        text[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    unsigned buckets[16] = {0};
    for (size_t i = 0; i < count; i++) {
        buckets[hashes[i] & 15]++;
        for (size_t j = 0; j < i; j++)
            assert_true(hashes[i] != hashes[j]);
    }
    for (size_t i = 0; i < 16; i++) /* 36 are expected; 6 or 80 would be seven deviations off */
        assert_in_range(buckets[i], 6, 80);
    assert_true(bytes_hash("abc", 3) == bytes_hash("abcd", 3));
}

static void test_uuid_hashes_spread(void **state)
{
    (void)state;
    unsigned buckets[256] = {0};
    struct uuid id = {{0}};
    for (unsigned i = 0; i < 25600; i++) {
        id.bytes[5] = (uint8_t)(i >> 8);
        id.bytes[15] = (uint8_t)i;
        buckets[uuid_hash(&id) & 255]++;
    }
    for (unsigned i = 0; i < 256; i++)
        assert_in_range(buckets[i], 30, 170);
}

static void test_random_bytes(void **state)
{
    (void)state;
    unsigned char a[300] = {0}, b[300] = {0};
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    unsigned zeroes = 0;
    for (size_t i = 0; i < sizeof a; i++)
        zeroes += a[i] == 0;
    assert_true(zeroes < 30);
    random_bytes(a, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_format),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_made_ones_are_version_7_and_rise),
        cmocka_unit_test(test_time_is_in_front),
        cmocka_unit_test(test_threads_never_make_the_same),
        cmocka_unit_test(test_user_ids),
        cmocka_unit_test(test_client_message_ids),
        cmocka_unit_test(test_hashes_differ),
        cmocka_unit_test(test_uuid_hashes_spread),
        cmocka_unit_test(test_hex_digits),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
