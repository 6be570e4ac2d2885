/* Numbers for Prometheus: counters, histograms, and the text form 0.0.4 that a scrape reads.
 *
 * Each family is printed as one metrics_family and then its lines. Gauges are not kept: whoever prints asks
 * for them then. Noting one costs an increment or two; all else is done at the scrape.
 *
 * Flow:   hot paths -> metric_add, metric_note; a scrape -> metrics_family, metrics_line, metrics_histogram.
 * Thread: each counter, histogram and table of words is raised by one thread; any may print the first two,
 *         the words only the one that raises them.
 * Owns:   nothing; zeroed structs are ready for use. */
#ifndef PARLOR_CORE_METRICS_H
#define PARLOR_CORE_METRICS_H

#include "core/buf.h"
#include "core/error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define METRIC_BOUNDS_MAX 16
#define METRIC_WORDS_MAX  48

struct metric_counter {
    _Atomic uint64_t value;
};

/* One thread raises it: no locked instruction is needed. */
static inline void metric_add(struct metric_counter *c, uint64_t n)
{
    atomic_store_explicit(&c->value, atomic_load_explicit(&c->value, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline uint64_t metric_read(const struct metric_counter *c)
{
    return atomic_load_explicit(&c->value, memory_order_relaxed);
}

/* Upper bounds of buckets, rising, in the unit that is noted; `unit` of these are one of what is printed. */
struct metric_scale {
    int64_t unit;
    size_t count;
    int64_t bounds[METRIC_BOUNDS_MAX];
};

extern const struct metric_scale metric_seconds; /* noted in nanoseconds: 0.5 ms to 10 s */
extern const struct metric_scale metric_sizes;   /* noted as they are: 1 to 4096 */

struct metric_histogram {
    struct metric_counter
        counts[METRIC_BOUNDS_MAX + 1]; /* the last one used is for what is over all bounds */
    struct metric_counter sum;
};

/* Below 0 counts as 0. */
void metric_note(struct metric_histogram *h, const struct metric_scale *scale, int64_t value);
uint64_t metric_noted(const struct metric_histogram *h); /* how many */

/* Counters by word, for what is told apart by an error's word. */
struct metric_words {
    size_t count;
    char words[METRIC_WORDS_MAX][ERROR_WORD_MAX];
    struct metric_counter counts[METRIC_WORDS_MAX];
    struct metric_counter others; /* when the table is full: printed as `other` */
};

void metric_add_word(struct metric_words *w, const char *word);

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* The family's help and type; `help` is one line. */
void metrics_family(struct buf *out, const char *name, enum metric_type type, const char *help);
/* One value; `labels` as metrics_label makes them, NULL or "" for none. */
void metrics_line(struct buf *out, const char *name, const char *labels, uint64_t value);
void metrics_histogram(struct buf *out, const char *name, const char *labels,
                       const struct metric_scale *scale, const struct metric_histogram *h);
/* A line for each word, under this label. */
void metrics_words(struct buf *out, const char *name, const char *label, const struct metric_words *w);

/* A family of one value without labels. */
void metrics_single(struct buf *out, const char *name, enum metric_type type, const char *help,
                    uint64_t value);

/* Adds name="value" to the labels, its value escaped. */
void metrics_label(struct buf *labels, const char *name, const char *value);

#endif
