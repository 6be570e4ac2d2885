#include "plugin/logs.h"

#include "plugin/broker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct line {
    enum log_level level;
    char text[LOG_LINE_MAX + 1];
};

/* The sink has no context: there is one log per process, as there is one broker. */
static pthread_t broker_thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct line waiting[LOGS_WAITING_MAX];
static unsigned first, count, dropped;
static atomic_bool any;

static void write_line(enum log_level level, const char *text)
{
    static const int levels[] = {[LOG_LEVEL_ERROR] = BROKER_LOG_ERR,
                                 [LOG_LEVEL_WARN] = BROKER_LOG_WARNING,
                                 [LOG_LEVEL_INFO] = BROKER_LOG_INFO,
                                 [LOG_LEVEL_DEBUG] = BROKER_LOG_DEBUG};
    mosquitto_log_printf(levels[level], "parlor: %s", text);
}

static void on_line(enum log_level level, const char *text)
{
    if (pthread_equal(pthread_self(), broker_thread)) {
        write_line(level, text);
        return;
    }
    pthread_mutex_lock(&lock);
    if (count >= (level == LOG_LEVEL_DEBUG ? LOGS_DEBUG_MAX : LOGS_WAITING_MAX)) {
        dropped++;
    } else {
        struct line *line = &waiting[(first + count++) % LOGS_WAITING_MAX];
        line->level = level;
        snprintf(line->text, sizeof line->text, "%s", text);
    }
    atomic_store(&any, true);
    pthread_mutex_unlock(&lock);
}

/* Takes the oldest line out; the lock is not held while the broker writes. */
static int take_line(struct line *out, unsigned *dropped_out)
{
    pthread_mutex_lock(&lock);
    int got = count > 0;
    *dropped_out = 0;
    if (got) {
        *out = waiting[first];
        first = (first + 1) % LOGS_WAITING_MAX;
        count--;
    } else {
        *dropped_out = dropped;
        dropped = 0;
        atomic_store(&any, false);
    }
    pthread_mutex_unlock(&lock);
    return got;
}

void logs_drain(void)
{
    struct line line;
    unsigned lost = 0;
    if (!atomic_load_explicit(&any, memory_order_relaxed))
        return;
    while (take_line(&line, &lost))
        write_line(line.level, line.text);
    if (lost > 0)
        log_warn("log", "%u lines were dropped", lost);
}

void logs_start(enum log_level level)
{
    broker_thread = pthread_self();
    log_init(on_line, level);
}

void logs_stop(void)
{
    logs_drain();
    log_init(NULL, LOG_LEVEL_INFO);
}
