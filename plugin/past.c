#include "plugin/past.h"

#include <string.h>

#define HEAD     "parlor-past 1"
#define IDENTITY "identity "
#define ROOMS    "rooms "

void past_print(struct buf *out, const char *identity, const struct watermarks *seen)
{
    size_t count = watermarks_count(seen);
    buf_printf(out, HEAD "\n" IDENTITY "%s\n", identity);
    for (size_t i = 0; i < count; i++) {
        char room[UUID_TEXT_SIZE];
        uuid_format(&watermarks_at(seen, i)->room, room);
        buf_printf(out, "%s %lld\n", room, (long long)watermarks_at(seen, i)->seq);
    }
    buf_printf(out, ROOMS "%zu\n", count);
}

struct line {
    const char *text;
    size_t size;
};

/* The next line without its end; false when none is whole. */
static bool next_line(const char **at, const char *end, struct line *out)
{
    const char *stop = *at < end ? memchr(*at, '\n', (size_t)(end - *at)) : NULL;
    if (stop == NULL) {
        return false;
    }
    *out = (struct line){*at, (size_t)(stop - *at)};
    *at = stop + 1;
    return true;
}

/* Takes the words off the line's front. */
static bool skip(struct line *line, const char *words)
{
    size_t size = strlen(words);
    if (line->size < size || memcmp(line->text, words, size) != 0) {
        return false;
    }
    *line = (struct line){line->text + size, line->size - size};
    return true;
}

/* The whole line, in the only way that past_print writes it. */
static bool read_number(const struct line *line, int64_t *out)
{
    int64_t value = 0;
    if (line->size == 0 || (line->size > 1 && line->text[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < line->size; i++) {
        int digit = line->text[i] - '0';
        if (digit < 0 || digit > 9 || value > (INT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

static bool read_identity(const struct line *line, char out[PAST_IDENTITY_SIZE])
{
    size_t system = 0;
    if (line->size == 0 || line->size >= PAST_IDENTITY_SIZE) {
        return false;
    }
    for (size_t i = 0; i < line->size; i++) {
        if (line->text[i] == '/' ? system > 0 : hex_digit(line->text[i]) < 0) {
            return false;
        }
        system = line->text[i] == '/' ? i : system;
    }
    memcpy(out, line->text, line->size);
    out[line->size] = '\0';
    return system > 0;
}

static bool read_room(struct line line, struct watermarks *seen)
{
    struct uuid room;
    int64_t seq;
    if (line.size < UUID_TEXT_SIZE || !uuid_parse(line.text, UUID_TEXT_SIZE - 1, &room)) {
        return false;
    }
    line = (struct line){line.text + UUID_TEXT_SIZE - 1, line.size - UUID_TEXT_SIZE + 1};
    return skip(&line, " ") && read_number(&line, &seq) && seq > 0 && watermarks_raise(seen, &room, "", seq);
}

static bool read_all(const char *text, size_t size, char identity_out[PAST_IDENTITY_SIZE],
                     struct watermarks *seen)
{
    const char *at = text, *end = text + size;
    struct line line;
    int64_t count;
    if (!next_line(&at, end, &line) || !skip(&line, HEAD) || line.size != 0 || !next_line(&at, end, &line) ||
        !skip(&line, IDENTITY) || !read_identity(&line, identity_out)) {
        return false;
    }
    while (next_line(&at, end, &line)) {
        if (skip(&line, ROOMS)) {
            return read_number(&line, &count) && (size_t)count == watermarks_count(seen) && at == end;
        }
        if (!read_room(line, seen)) {
            return false;
        }
    }
    return false;
}

int past_parse(const char *text, size_t size, char identity_out[PAST_IDENTITY_SIZE], struct watermarks *seen,
               struct error *e)
{
    if (size > 0 && size <= PAST_BYTES_MAX && read_all(text, size, identity_out, seen)) {
        return 0;
    }
    identity_out[0] = '\0';
    watermarks_clear(seen);
    return error_set(e, ERROR_INVALID, "bad_past", "it is cut off, of another version, or no such file");
}
