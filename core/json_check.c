/* The check is a recursive descent over the bytes, at most JSON_DEPTH_MAX deep. Names are compared by their
 * 64-bit hashes, seeded per process, sorted where an object ends: no input makes that slow, and two different
 * names that look the same are not to be met. */
#include "core/ids.h"
#include "core/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* cJSON reads a number through a buffer of 64 bytes and would stop in the middle of a longer one. */
#define NUMBER_SIZE_MAX 62
#define NAMES_ON_STACK  64
#define NAMES_LINEAR    12 /* up to so many names, comparing all pairs is cheaper than sorting */

/* ---- UTF-8 ---- */

/* What may follow a lead byte: how many bytes, and the bounds of the first of them, which rule out overlongs,
 * surrogates and values past U+10FFFF (Unicode 15, table 3-7). */
struct lead_class {
    unsigned char more, second_min, second_max;
};

enum { BAD, ASCII, TWO, E0, THREE, ED, F0, FOUR, F4 };

static const struct lead_class lead_classes[] = {
    [BAD] = {0, 0xff, 0x00}, [ASCII] = {0, 0xff, 0x00}, [TWO] = {1, 0x80, 0xbf},
    [E0] = {2, 0xa0, 0xbf},  [THREE] = {2, 0x80, 0xbf}, [ED] = {2, 0x80, 0x9f},
    [F0] = {3, 0x90, 0xbf},  [FOUR] = {3, 0x80, 0xbf},  [F4] = {3, 0x80, 0x8f},
};

/* Class of each byte as the first of a character; zero is no character to us. */
static const unsigned char leads[256] = {
    [0x01 ... 0x7f] = ASCII,
    [0xc2 ... 0xdf] = TWO,
    [0xe0] = E0,
    [0xe1 ... 0xec] = THREE,
    [0xed] = ED,
    [0xee ... 0xef] = THREE,
    [0xf0] = F0,
    [0xf1 ... 0xf3] = FOUR,
    [0xf4] = F4,
};

/* Bytes of the character that begins at `at`; 0 when it is none. */
static size_t utf8_character(const unsigned char *at, const unsigned char *end)
{
    unsigned char class = leads[*at];
    if (class == ASCII)
        return 1;
    struct lead_class rule = lead_classes[class];
    if (class == BAD || (size_t)(end - at) <= rule.more)
        return 0;
    if (at[1] < rule.second_min || at[1] > rule.second_max)
        return 0;
    for (size_t i = 2; i <= rule.more; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    return (size_t)rule.more + 1;
}

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* Nonzero when a byte of the word is zero. */
static uint64_t zero_in(uint64_t word)
{
    return (word - EACH_BYTE(0x01)) & ~word & EACH_BYTE(0x80);
}

static uint64_t load_word(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

bool utf8_check(const char *bytes, size_t size)
{
    const unsigned char *at = (const unsigned char *)bytes, *end = at + size;
    while (at < end) {
        while (end - at >= 8) {
            uint64_t word = load_word(at);
            if (((word & EACH_BYTE(0x80)) | zero_in(word)) != 0)
                break;
            at += 8;
        }
        if (at == end)
            break;
        size_t step = utf8_character(at, end);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

/* ---- The check ---- */

struct name {
    uint64_t hash;
    const unsigned char *at;
};

struct checker {
    const unsigned char *begin, *at, *end;
    const char *what; /* is wrong at `at`; NULL while nothing is */
    unsigned depth;
    /* Names of all objects that are open, the innermost last. */
    struct name *names;
    size_t names_count, names_capacity;
    struct name on_stack[NAMES_ON_STACK];
    struct buf decoded;
};

static bool check_value(struct checker *c);

static bool fail(struct checker *c, const unsigned char *at, const char *what)
{
    c->at = at;
    c->what = what;
    return false;
}

static void skip_space(struct checker *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t'))
        c->at++;
}

static int hex4(const unsigned char *at, const unsigned char *end)
{
    int value = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        unsigned char c = at[i];
        int digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (c | 0x20) - 'a' + 10;
        else
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static bool is_high_surrogate(int unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low_surrogate(int unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* c->at is at the backslash of an escape; moves behind it. */
static bool check_escape(struct checker *c)
{
    const unsigned char *at = c->at;
    if (c->end - at < 2)
        return fail(c, at, "a string that does not end");
    if (at[1] != 'u') {
        if (at[1] == '\0' || strchr("\"\\/bfnrt", at[1]) == NULL)
            return fail(c, at, "an unknown escape");
        c->at += 2;
        return true;
    }
    int unit = hex4(at + 2, c->end);
    if (unit < 0)
        return fail(c, at, "\\u without four hexadecimal digits");
    if (unit == 0)
        return fail(c, at, "\\u0000, which no text may hold");
    c->at += 6;
    if (is_low_surrogate(unit))
        return fail(c, at, "half of a surrogate pair");
    if (!is_high_surrogate(unit))
        return true;
    if (c->end - c->at < 6 || c->at[0] != '\\' || c->at[1] != 'u' ||
        !is_low_surrogate(hex4(c->at + 2, c->end)))
        return fail(c, at, "half of a surrogate pair");
    c->at += 6;
    return true;
}

/* Moves over bytes that stand for themselves, eight at a time. */
static void skip_plain(struct checker *c)
{
    while (c->end - c->at >= 8) {
        uint64_t word = load_word(c->at);
        uint64_t special = (word & EACH_BYTE(0x80)) | ((word - EACH_BYTE(0x20)) & ~word & EACH_BYTE(0x80)) |
                           zero_in(word ^ EACH_BYTE('"')) | zero_in(word ^ EACH_BYTE('\\'));
        if (special != 0)
            break;
        c->at += 8;
    }
}

/* c->at is at the opening quote; moves behind the closing one. */
static bool check_string(struct checker *c, bool *escaped_out)
{
    const unsigned char *open = c->at++;
    *escaped_out = false;
    for (;;) {
        skip_plain(c);
        if (c->at == c->end)
            return fail(c, open, "a string that does not end");
        unsigned char byte = *c->at;
        if (byte == '"') {
            c->at++;
            return true;
        }
        if (byte == '\\') {
            *escaped_out = true;
            if (!check_escape(c))
                return false;
            continue;
        }
        if (byte < 0x20)
            return fail(c, c->at, "a control character that is not escaped");
        size_t step = utf8_character(c->at, c->end);
        if (step == 0)
            return fail(c, c->at, "bytes that are no UTF-8");
        c->at += step;
    }
}

static bool is_digit(const struct checker *c)
{
    return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

static bool skip_digits(struct checker *c)
{
    if (!is_digit(c))
        return fail(c, c->at, "a number that lacks a digit");
    while (is_digit(c))
        c->at++;
    return true;
}

/* Only an exponent of three digits and more can leave a double's range. */
static bool number_is_finite(const unsigned char *at, size_t size)
{
    char text[NUMBER_SIZE_MAX + 1];
    memcpy(text, at, size);
    text[size] = '\0';
    return isfinite(strtod(text, NULL)) != 0;
}

static bool check_number(struct checker *c)
{
    const unsigned char *start = c->at, *exponent = NULL;
    if (*c->at == '-')
        c->at++;
    if (is_digit(c) && *c->at == '0')
        c->at++;
    else if (!skip_digits(c))
        return false;
    if (c->at < c->end && *c->at == '.') {
        c->at++;
        if (!skip_digits(c))
            return false;
    }
    if (c->at < c->end && (*c->at == 'e' || *c->at == 'E')) {
        c->at++;
        if (c->at < c->end && (*c->at == '+' || *c->at == '-'))
            c->at++;
        exponent = c->at;
        if (!skip_digits(c))
            return false;
    }
    size_t size = (size_t)(c->at - start);
    if (size > NUMBER_SIZE_MAX)
        return fail(c, start, "a number of too many digits");
    if (exponent != NULL && c->at - exponent > 2 && !number_is_finite(start, size))
        return fail(c, start, "a number that is too large");
    return true;
}

static bool check_word(struct checker *c, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(c->end - c->at) < size || memcmp(c->at, word, size) != 0)
        return fail(c, c->at, "neither null nor true nor false");
    c->at += size;
    return true;
}

static void put_utf8(struct buf *b, unsigned code)
{
    if (code < 0x80) {
        buf_put_byte(b, (unsigned char)code);
        return;
    }
    if (code < 0x800) {
        buf_put_byte(b, (unsigned char)(0xc0 | code >> 6));
    } else {
        if (code < 0x10000) {
            buf_put_byte(b, (unsigned char)(0xe0 | code >> 12));
        } else {
            buf_put_byte(b, (unsigned char)(0xf0 | code >> 18));
            buf_put_byte(b, (unsigned char)(0x80 | (code >> 12 & 0x3f)));
        }
        buf_put_byte(b, (unsigned char)(0x80 | (code >> 6 & 0x3f)));
    }
    buf_put_byte(b, (unsigned char)(0x80 | (code & 0x3f)));
}

/* What a checked string with escapes stands for. */
static void decode(struct buf *out, const unsigned char *at, const unsigned char *end)
{
    static const char letters[] = "bfnrt", values[] = "\b\f\n\r\t";
    buf_clear(out);
    while (at < end) {
        if (*at != '\\') {
            buf_put_byte(out, *at++);
            continue;
        }
        if (at[1] == 'u') {
            unsigned code = (unsigned)hex4(at + 2, end);
            at += 6;
            if (is_high_surrogate((int)code)) {
                code = 0x10000 + ((code - 0xd800) << 10) + ((unsigned)hex4(at + 2, end) - 0xdc00);
                at += 6;
            }
            put_utf8(out, code);
            continue;
        }
        const char *letter = strchr(letters, at[1]);
        buf_put_byte(out, letter != NULL ? (unsigned char)values[letter - letters] : at[1]);
        at += 2;
    }
}

static void add_name(struct checker *c, struct name name)
{
    if (c->names_count == c->names_capacity) {
        size_t capacity = c->names_capacity * 2;
        struct name *old = c->names == c->on_stack ? NULL : c->names;
        struct name *grown = mem_realloc(old, capacity * sizeof *grown);
        if (old == NULL)
            memcpy(grown, c->on_stack, sizeof c->on_stack);
        c->names = grown;
        c->names_capacity = capacity;
    }
    c->names[c->names_count++] = name;
}

static bool check_name(struct checker *c)
{
    const unsigned char *open = c->at;
    bool escaped;
    if (open == c->end || *open != '"')
        return fail(c, open, "no name in quotes where an object needs one");
    if (!check_string(c, &escaped))
        return false;
    struct name name = {.at = open};
    if (escaped) {
        decode(&c->decoded, open + 1, c->at - 1);
        name.hash = bytes_hash(c->decoded.data, c->decoded.size);
    } else {
        name.hash = bytes_hash(open + 1, (size_t)(c->at - 1 - (open + 1)));
    }
    add_name(c, name);
    return true;
}

static int compare_names(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* The second one of two equal names, or NULL. */
static const unsigned char *find_duplicate(struct name *names, size_t count)
{
    if (count <= NAMES_LINEAR) {
        for (size_t i = 1; i < count; i++) {
            for (size_t j = 0; j < i; j++) {
                if (names[i].hash == names[j].hash)
                    return names[i].at;
            }
        }
        return NULL;
    }
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 1; i < count; i++) {
        if (names[i].hash == names[i - 1].hash)
            return names[i].at;
    }
    return NULL;
}

/* After a value in a container: 1 when another one follows, 0 at the end, -1 on a fault. */
static int check_separator(struct checker *c, unsigned char close)
{
    skip_space(c);
    if (c->at == c->end) {
        fail(c, c->at, "an array or object that does not end");
        return -1;
    }
    if (*c->at == close) {
        c->at++;
        return 0;
    }
    if (*c->at != ',') {
        fail(c, c->at, "no comma between two values");
        return -1;
    }
    c->at++;
    skip_space(c);
    return 1;
}

static bool check_members(struct checker *c)
{
    size_t first = c->names_count;
    int more = 1;
    while (more == 1) {
        if (!check_name(c))
            return false;
        skip_space(c);
        if (c->at == c->end || *c->at != ':')
            return fail(c, c->at, "no colon behind a name");
        c->at++;
        skip_space(c);
        if (!check_value(c))
            return false;
        more = check_separator(c, '}');
    }
    if (more < 0)
        return false;
    const unsigned char *twice = find_duplicate(c->names + first, c->names_count - first);
    if (twice != NULL)
        return fail(c, twice, "a name that its object has twice");
    c->names_count = first;
    return true;
}

static bool check_elements(struct checker *c)
{
    int more = 1;
    while (more == 1) {
        if (!check_value(c))
            return false;
        more = check_separator(c, ']');
    }
    return more == 0;
}

static bool check_container(struct checker *c)
{
    unsigned char open = *c->at, close = open == '{' ? '}' : ']';
    if (c->depth == JSON_DEPTH_MAX)
        return fail(c, c->at, "more levels than allowed");
    c->depth++;
    c->at++;
    skip_space(c);
    bool fine = true;
    if (c->at < c->end && *c->at == close)
        c->at++;
    else
        fine = open == '{' ? check_members(c) : check_elements(c);
    c->depth--;
    return fine;
}

static bool check_value(struct checker *c)
{
    bool escaped;
    if (c->at == c->end)
        return fail(c, c->at, "it ends where a value is needed");
    switch (*c->at) {
    case '{':
    case '[':
        return check_container(c);
    case '"':
        return check_string(c, &escaped);
    case 'n':
        return check_word(c, "null");
    case 't':
        return check_word(c, "true");
    case 'f':
        return check_word(c, "false");
    case '-':
    case '0' ... '9':
        return check_number(c);
    default:
        return fail(c, c->at, "no value begins like this");
    }
}

int json_check(const char *bytes, size_t size, struct error *e)
{
    struct checker c = {.what = NULL, .names_capacity = NAMES_ON_STACK};
    c.begin = c.at = (const unsigned char *)(size != 0 ? bytes : "");
    c.end = c.begin + size;
    c.names = c.on_stack;
    skip_space(&c);
    if (check_value(&c)) {
        skip_space(&c);
        if (c.at != c.end)
            fail(&c, c.at, "more text behind the value");
    }
    if (c.names != c.on_stack)
        free(c.names);
    buf_finish(&c.decoded);
    if (c.what == NULL)
        return 0;
    return error_set(e, ERROR_INVALID, "invalid_json", "not valid JSON at byte %zu: %s",
                     (size_t)(c.at - c.begin), c.what);
}
