#include "core/metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define US INT64_C(1000)
#define MS (1000 * US)
#define S  (1000 * MS)

const struct metric_scale metric_seconds = {.unit = S,
                                            .count = 14,
                                            .bounds = {500 * US, 1 * MS, 2 * MS, 5 * MS, 10 * MS, 20 * MS,
                                                       50 * MS, 100 * MS, 200 * MS, 500 * MS, 1 * S, 2 * S,
                                                       5 * S, 10 * S}};

const struct metric_scale metric_sizes = {
    .unit = 1, .count = 13, .bounds = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096}};

void metric_note(struct metric_histogram *h, const struct metric_scale *scale, int64_t value)
{
    size_t at = 0;
    if (value < 0)
        value = 0;
    while (at < scale->count && value > scale->bounds[at])
        at++;
    metric_add(&h->counts[at], 1);
    metric_add(&h->sum, (uint64_t)value);
}

uint64_t metric_noted(const struct metric_histogram *h)
{
    uint64_t all = 0;
    for (size_t i = 0; i <= METRIC_BOUNDS_MAX; i++)
        all += metric_read(&h->counts[i]);
    return all;
}

void metric_add_word(struct metric_words *w, const char *word)
{
    size_t at = 0;
    while (at < w->count && strcmp(w->words[at], word) != 0)
        at++;
    if (at == METRIC_WORDS_MAX || strlen(word) >= ERROR_WORD_MAX) {
        metric_add(&w->others, 1);
        return;
    }
    if (at == w->count)
        memcpy(w->words[w->count++], word, strlen(word) + 1);
    metric_add(&w->counts[at], 1);
}

void metrics_family(struct buf *out, const char *name, enum metric_type type, const char *help)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, types[type]);
}

static bool is_given(const char *labels)
{
    return labels != NULL && *labels != '\0';
}

void metrics_line(struct buf *out, const char *name, const char *labels, uint64_t value)
{
    if (is_given(labels))
        buf_printf(out, "%s{%s} %" PRIu64 "\n", name, labels, value);
    else
        buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

/* A value in the scale's own unit, exactly: 1500000 ns are 0.0015. */
static void put_scaled(struct buf *out, uint64_t value, int64_t unit)
{
    uint64_t divisor = (uint64_t)unit, rest = value % divisor;
    buf_printf(out, "%" PRIu64, value / divisor);
    if (rest == 0)
        return;
    buf_put_byte(out, '.');
    for (; rest != 0; rest %= divisor) {
        rest *= 10;
        buf_put_byte(out, (unsigned char)('0' + rest / divisor));
    }
}

void metrics_histogram(struct buf *out, const char *name, const char *labels,
                       const struct metric_scale *scale, const struct metric_histogram *h)
{
    uint64_t below = 0;
    const char *given = is_given(labels) ? labels : "", *comma = is_given(labels) ? "," : "";
    for (size_t i = 0; i <= scale->count; i++) {
        below += metric_read(&h->counts[i]);
        buf_printf(out, "%s_bucket{%s%sle=\"", name, given, comma);
        if (i < scale->count)
            put_scaled(out, (uint64_t)scale->bounds[i], scale->unit);
        else
            buf_put_text(out, "+Inf");
        buf_printf(out, "\"} %" PRIu64 "\n", below);
    }
    const char *open = *given != '\0' ? "{" : "", *close = *given != '\0' ? "}" : "";
    buf_printf(out, "%s_sum%s%s%s ", name, open, given, close);
    put_scaled(out, metric_read(&h->sum), scale->unit);
    buf_printf(out, "\n%s_count%s%s%s %" PRIu64 "\n", name, open, given, close, below);
}

void metrics_words(struct buf *out, const char *name, const char *label, const struct metric_words *w)
{
    struct buf labels = {0};
    for (size_t i = 0; i < w->count; i++) {
        buf_clear(&labels);
        metrics_label(&labels, label, w->words[i]);
        metrics_line(out, name, labels.data, metric_read(&w->counts[i]));
    }
    if (metric_read(&w->others) > 0) {
        buf_clear(&labels);
        metrics_label(&labels, label, "other");
        metrics_line(out, name, labels.data, metric_read(&w->others));
    }
    buf_finish(&labels);
}

void metrics_single(struct buf *out, const char *name, enum metric_type type, const char *help,
                    uint64_t value)
{
    metrics_family(out, name, type, help);
    metrics_line(out, name, NULL, value);
}

void metrics_label(struct buf *labels, const char *name, const char *value)
{
    buf_printf(labels, "%s%s=\"", labels->size > 0 ? "," : "", name);
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"')
            buf_put_byte(labels, '\\');
        if (*value == '\n')
            buf_put_text(labels, "\\n");
        else
            buf_put_byte(labels, (unsigned char)*value);
    }
    buf_put_byte(labels, '"');
}
