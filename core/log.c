/* Which ` key=` begins a field is read from the format alone, never from what is printed: each key is marked
 * with a random text before formatting and found by it afterwards, so that no client can add fields or lines
 * by the names it chooses. */
#include "core/log.h"

#include "core/clock.h"
#include "core/ids.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define MARK_SIZE 8

static struct {
    log_sink_fn sink;
    enum log_level level;
} out = {.level = LOG_LEVEL_INFO};

static pthread_once_t mark_once = PTHREAD_ONCE_INIT;
static char mark[MARK_SIZE + 1];

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static void make_mark(void)
{
    unsigned char random[MARK_SIZE];
    random_bytes(random, sizeof random);
    for (size_t i = 0; i < MARK_SIZE; i++)
        mark[i] = (char)('A' + random[i] % 26);
    mark[0] = '\x01';
}

void log_init(log_sink_fn sink, enum log_level level)
{
    out.sink = sink;
    out.level = level;
}

int log_level_parse(const char *text, enum log_level *level_out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level_out = (enum log_level)i;
            return 0;
        }
    }
    return -1;
}

/* A line being written: always leaves room for its zero byte, drops what doesn't fit. */
struct line {
    char text[LOG_LINE_MAX + 1];
    size_t size;
};

static void put(struct line *line, const char *bytes, size_t size)
{
    size_t room = LOG_LINE_MAX - line->size;
    if (size > room)
        size = room;
    memcpy(line->text + line->size, bytes, size);
    line->size += size;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

static void put_escaped(struct line *line, unsigned char c)
{
    char escape[5];
    if (c == '"' || c == '\\')
        snprintf(escape, sizeof escape, "\\%c", c);
    else if (c == '\n')
        snprintf(escape, sizeof escape, "\\n");
    else
        snprintf(escape, sizeof escape, "\\x%02x", c);
    if (line->size + strlen(escape) <= LOG_LINE_MAX)
        put_text(line, escape);
}

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

static bool must_escape(unsigned char c)
{
    return is_control(c) || c == '"' || c == '\\';
}

static void put_quoted(struct line *line, const char *bytes, size_t size)
{
    put_text(line, "\"");
    /* The closing quote's byte is kept free: a cut line is still logfmt. */
    for (size_t i = 0; i < size && line->size + 1 < LOG_LINE_MAX; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (!must_escape(c))
            put(line, bytes + i, 1);
        else if (line->size + 5 < LOG_LINE_MAX)
            put_escaped(line, c);
        else
            break;
    }
    put_text(line, "\"");
}

static void put_value(struct line *line, const char *bytes, size_t size)
{
    bool plain = size != 0;
    for (size_t i = 0; i < size && plain; i++) {
        unsigned char c = (unsigned char)bytes[i];
        plain = !must_escape(c) && c != ' ' && c != '=';
    }
    if (plain)
        put(line, bytes, size);
    else
        put_quoted(line, bytes, size);
}

static bool is_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* True when a ` key=` begins at this space of a format. */
static bool key_begins(const char *at)
{
    size_t size = 0;
    while (is_key_char(at[1 + size]))
        size++;
    return at[0] == ' ' && size != 0 && at[1 + size] == '=';
}

/* The format with the mark put in place of the space before each key. */
static void mark_keys(const char *format, char *marked, size_t capacity)
{
    size_t size = 0;
    for (const char *at = format; *at != '\0' && size + MARK_SIZE + 1 < capacity; at++) {
        if (key_begins(at)) {
            memcpy(marked + size, mark, MARK_SIZE);
            size += MARK_SIZE;
        } else {
            marked[size++] = *at;
        }
    }
    marked[size] = '\0';
}

static void put_fields(struct line *line, const char *text)
{
    while (*text != '\0') {
        text += MARK_SIZE;
        const char *end = strstr(text, mark);
        size_t size = end != NULL ? (size_t)(end - text) : strlen(text);
        const char *equals = memchr(text, '=', size);
        size_t key_size = equals != NULL ? (size_t)(equals + 1 - text) : size;
        if (line->size + 1 + key_size + 2 > LOG_LINE_MAX)
            return;
        put_text(line, " ");
        put(line, text, key_size);
        put_value(line, text + key_size, size - key_size);
        text += size;
    }
}

static void write_stderr(enum log_level level, const char *text)
{
    (void)level;
    char time_text[CLOCK_TEXT_SIZE];
    clock_format(clock_wall_ms(), time_text);
    /* One writev, so that lines of several threads don't mix. */
    struct iovec parts[] = {{.iov_base = (char[]){"time="}, .iov_len = 5},
                            {.iov_base = time_text, .iov_len = strlen(time_text)},
                            {.iov_base = (char[]){" "}, .iov_len = 1},
                            {.iov_base = (char *)(uintptr_t)text, .iov_len = strlen(text)},
                            {.iov_base = (char[]){"\n"}, .iov_len = 1}};
    ssize_t written = writev(STDERR_FILENO, parts, sizeof parts / sizeof parts[0]);
    (void)written; /* nowhere to complain to */
}

bool log_wanted(enum log_level level)
{
    return level <= out.level;
}

void log_line(enum log_level level, const char *room, const char *format, ...)
{
    if (!log_wanted(level))
        return;
    pthread_once(&mark_once, make_mark);
    char marked[LOG_LINE_MAX];
    mark_keys(format, marked, sizeof marked);

    char text[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    vsnprintf(text, sizeof text, marked, args);
#pragma GCC diagnostic pop
    va_end(args);

    struct line line = {.size = 0};
    put_text(&line, "level=");
    put_text(&line, level_names[level]);
    put_text(&line, " room=");
    put_text(&line, room);
    put_text(&line, " msg=");
    char *fields = strstr(text, mark);
    put_quoted(&line, text, fields != NULL ? (size_t)(fields - text) : strlen(text));
    if (fields != NULL)
        put_fields(&line, fields);
    line.text[line.size] = '\0';
    (out.sink != NULL ? out.sink : write_stderr)(level, line.text);
}

bool log_limit_pass(struct log_limit *limit, unsigned per_second_max, int64_t now_ns, unsigned *held_out)
{
    int64_t second = now_ns / 1000000000;
    if (second != limit->second) {
        limit->second = second;
        limit->passed = 0;
    }
    if (limit->passed >= per_second_max) {
        limit->held++;
        return false;
    }
    limit->passed++;
    *held_out = limit->held;
    limit->held = 0;
    return true;
}
