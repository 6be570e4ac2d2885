/* UUIDs rise within the process by RFC 9562's "monotonic random" method (section 6.2, method 2): a new
 * millisecond draws 74 random bits, the same one (or a clock that went back) adds a random step to the last
 * id's. */
#include "core/ids.h"

#include "core/json.h"
#include "core/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define POOL_SIZE 2048 /* random bytes drawn from the kernel at once for UUIDs */

static uint64_t hash_seed[2];

void random_bytes(void *out, size_t size)
{
    unsigned char *at = out;
    while (size != 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            log_error("ids", "the kernel gives no random bytes, ending errno=%d", errno);
            abort();
        }
        at += got;
        size -= (size_t)got;
    }
}

__attribute__((constructor)) static void seed_hashes(void)
{
    random_bytes(hash_seed, sizeof hash_seed);
}

/* All under `lock`. The counter is rand_a (12 bits) and rand_b (62 bits) of the last id. */
static struct {
    pthread_mutex_t lock;
    int64_t last_ms;
    uint64_t high, low;
    unsigned char pool[POOL_SIZE];
    size_t pool_left;
} maker = {.lock = PTHREAD_MUTEX_INITIALIZER, .last_ms = -1};

#define LOW_MASK  ((UINT64_C(1) << 62) - 1)
#define HIGH_MASK UINT64_C(0xfff)

static uint64_t draw(void)
{
    uint64_t value;
    if (maker.pool_left < sizeof value) {
        random_bytes(maker.pool, sizeof maker.pool);
        maker.pool_left = sizeof maker.pool;
    }
    maker.pool_left -= sizeof value;
    memcpy(&value, maker.pool + maker.pool_left, sizeof value);
    explicit_bzero(maker.pool + maker.pool_left, sizeof value);
    return value;
}

static void step(int64_t now_ms)
{
    if (now_ms > maker.last_ms) {
        maker.last_ms = now_ms;
        maker.high = draw() & (HIGH_MASK >> 1); /* the top bit is left free for carries */
        maker.low = draw() & LOW_MASK;
        return;
    }
    maker.low += (draw() & UINT32_MAX) + 1;
    if (maker.low <= LOW_MASK)
        return;
    maker.low &= LOW_MASK;
    if (++maker.high > HIGH_MASK) {
        maker.high = 0;
        maker.last_ms++;
    }
}

static void put_be64(uint8_t *at, uint64_t value)
{
    for (int i = 7; i >= 0; i--) {
        at[i] = (uint8_t)value;
        value >>= 8;
    }
}

void uuid_make(struct uuid *out, int64_t now_ms)
{
    const int64_t ms_max = (INT64_C(1) << 48) - 1;
    if (now_ms < 0)
        now_ms = 0;
    if (now_ms > ms_max)
        now_ms = ms_max;
    pthread_mutex_lock(&maker.lock);
    step(now_ms);
    uint64_t first = (uint64_t)maker.last_ms << 16 | UINT64_C(0x7000) | maker.high;
    uint64_t second = UINT64_C(1) << 63 | maker.low;
    pthread_mutex_unlock(&maker.lock);
    put_be64(out->bytes, first);
    put_be64(out->bytes + 8, second);
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_dash_place(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

bool uuid_parse(const char *text, size_t size, struct uuid *out)
{
    if (size != UUID_TEXT_SIZE - 1)
        return false;
    struct uuid id;
    size_t filled = 0;
    for (size_t i = 0; i < size;) {
        if (is_dash_place(i)) {
            if (text[i++] != '-')
                return false;
            continue;
        }
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        id.bytes[filled++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    *out = id;
    return true;
}

void uuid_format(const struct uuid *id, char out[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *at = out;
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[id->bytes[i] >> 4];
        *at++ = digits[id->bytes[i] & 15];
    }
    *at = '\0';
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* The halves of the 128-bit product, folded: one multiplication spreads every input bit over all output bits.
 */
static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Odd constants with about half their bits set, so that no input word is multiplied away. */
#define ODD_A UINT64_C(0x9e3779b97f4a7c15)
#define ODD_B UINT64_C(0xd6e8feb86659fd93)

static uint64_t load64(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* The last 0 to 8 bytes; the size is mixed in elsewhere, so that zero padding is not ambiguous. */
static uint64_t load_tail(const unsigned char *at, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, at, size);
    return value;
}

uint64_t uuid_hash(const struct uuid *id)
{
    return mix(mix(load64(id->bytes) ^ hash_seed[0], load64(id->bytes + 8) ^ hash_seed[1]) ^ ODD_A, ODD_B);
}

uint64_t bytes_hash(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    uint64_t state = hash_seed[0] ^ (uint64_t)size * ODD_A;
    size_t left = size;
    while (left > 16) {
        state = mix(load64(at) ^ state, load64(at + 8) ^ hash_seed[1]);
        at += 16;
        left -= 16;
    }
    uint64_t first, second;
    if (left > 8) {
        first = load64(at);
        second = load_tail(at + 8, left - 8);
    } else {
        first = left != 0 ? load_tail(at, left) : 0;
        second = 0;
    }
    state = mix(first ^ state, second ^ hash_seed[1]);
    return mix(state ^ ODD_A, ODD_B ^ (uint64_t)size);
}

static bool is_user_id_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '@' || c == '|' || c == '=' || c == '-';
}

bool user_id_valid(const char *text, size_t size)
{
    if (size == 0 || size > USER_ID_MAX)
        return false;
    if (text[0] == '.' && (size == 1 || (size == 2 && text[1] == '.')))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (!is_user_id_char((unsigned char)text[i]))
            return false;
    }
    return true;
}

bool client_message_id_valid(const char *text, size_t size)
{
    if (size == 0 || size > CLIENT_MESSAGE_ID_MAX || !utf8_check(text, size))
        return false;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        bool is_c1 = c == 0xc2 && (unsigned char)text[i + 1] < 0xa0;
        if (c < 0x20 || c == 0x7f || is_c1)
            return false;
    }
    return true;
}
