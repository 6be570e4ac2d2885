/* Log lines: logfmt text (`level=warn room=writer msg="..." key=value`), to a sink that the process chooses.
 *
 * Flow:   any room -> log_line -> the sink (stderr; in the broker its own log).
 * Thread: any. The sink is called under no lock and must take calls from several threads.
 * Owns:   nothing. */
#ifndef PARLOR_CORE_LOG_H
#define PARLOR_CORE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

#define LOG_LINE_MAX 1024 /* bytes of a line; longer ones are cut */

typedef void (*log_sink_fn)(enum log_level level, const char *line);

/* Where lines go (NULL: stderr) and the least urgent level that is written. Call before threads start. */
void log_init(log_sink_fn sink, enum log_level level);

/* error, warn, info, debug; returns 0, or -1 when `text` is none of them. */
int log_level_parse(const char *text, enum log_level *level_out);

/* Are lines of this level written? For what a line alone needs; log_line asks by itself. */
bool log_wanted(enum log_level level);

/* Writes one line. `room` names the part that speaks, as "writer". Of the format, the part before the first
 * ` key=` is the message, each ` key=` begins a field: log_info("writer", "stored a batch size=%d ms=%d",
 * ...). Control characters are escaped, values quoted where they must be; keys in printed values mean
 * nothing. */
void log_line(enum log_level level, const char *room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(room, ...) log_line(LOG_LEVEL_ERROR, room, __VA_ARGS__)
#define log_warn(room, ...)  log_line(LOG_LEVEL_WARN, room, __VA_ARGS__)
#define log_info(room, ...)  log_line(LOG_LEVEL_INFO, room, __VA_ARGS__)
#define log_debug(room, ...) log_line(LOG_LEVEL_DEBUG, room, __VA_ARGS__)

/* Lets `per_second_max` lines through each second and counts the rest. Zero it before its first use;
 * belongs to one thread. */
struct log_limit {
    int64_t second;
    unsigned passed, held;
};

/* True when a line may be written now (monotonic now_ns). *held_out gets how many were held back before it.
 */
bool log_limit_pass(struct log_limit *limit, unsigned per_second_max, int64_t now_ns, unsigned *held_out);

#endif
