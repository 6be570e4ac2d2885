#include "core/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_values(void **state)
{
    (void)state;
    struct buf out = {0};
    struct metric_counter c = {0};
    metric_add(&c, 3);
    metric_add(&c, 4);
    assert_int_equal(metric_read(&c), 7);
    metrics_family(&out, "parlor_a_total", METRIC_COUNTER, "All of them.");
    metrics_line(&out, "parlor_a_total", "door=\"x\"", metric_read(&c));
    metrics_single(&out, "parlor_b", METRIC_GAUGE, "One.", UINT64_MAX);
    assert_string_equal(out.data, "# HELP parlor_a_total All of them.\n# TYPE parlor_a_total counter\n"
                                  "parlor_a_total{door=\"x\"} 7\n"
                                  "# HELP parlor_b One.\n# TYPE parlor_b gauge\n"
                                  "parlor_b 18446744073709551615\n");
    buf_finish(&out);
}

static void test_labels_are_escaped(void **state)
{
    (void)state;
    struct buf labels = {0};
    metrics_label(&labels, "a", "b\"c\\d\ne");
    metrics_label(&labels, "f", "");
    assert_string_equal(labels.data, "a=\"b\\\"c\\\\d\\ne\",f=\"\"");
    buf_finish(&labels);
}

static void test_buckets_add_up(void **state)
{
    (void)state;
    static const struct metric_scale scale = {.unit = 1000, .count = 3, .bounds = {5, 1000, 2500}};
    struct metric_histogram h = {0};
    struct buf out = {0};
    const int64_t values[] = {-1, 5, 6, 1000, 2501, 1000000};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        metric_note(&h, &scale, values[i]);
    assert_int_equal(metric_noted(&h), 6);
    metrics_histogram(&out, "x_seconds", NULL, &scale, &h);
    assert_string_equal(out.data, "x_seconds_bucket{le=\"0.005\"} 2\n"
                                  "x_seconds_bucket{le=\"1\"} 4\n"
                                  "x_seconds_bucket{le=\"2.5\"} 4\n"
                                  "x_seconds_bucket{le=\"+Inf\"} 6\n"
                                  "x_seconds_sum 1003.512\n"
                                  "x_seconds_count 6\n");
    buf_clear(&out);
    metrics_histogram(&out, "x", "route=\"/\"", &scale, &h);
    assert_non_null(strstr(out.data, "x_bucket{route=\"/\",le=\"0.005\"} 2\n"));
    assert_non_null(strstr(out.data, "x_sum{route=\"/\"} 1003.512\nx_count{route=\"/\"} 6\n"));
    buf_finish(&out);
}

static void test_scales_rise(void **state)
{
    (void)state;
    const struct metric_scale *scales[] = {&metric_seconds, &metric_sizes};
    for (size_t s = 0; s < 2; s++) {
        assert_true(scales[s]->count > 0 && scales[s]->count <= METRIC_BOUNDS_MAX);
        for (size_t i = 1; i < scales[s]->count; i++)
            assert_true(scales[s]->bounds[i] > scales[s]->bounds[i - 1]);
    }
}

static void test_words(void **state)
{
    (void)state;
    struct metric_words w = {0};
    struct buf out = {0};
    metric_add_word(&w, "busy");
    metric_add_word(&w, "denied");
    metric_add_word(&w, "busy");
    metrics_words(&out, "r_total", "reason", &w);
    assert_string_equal(out.data, "r_total{reason=\"busy\"} 2\nr_total{reason=\"denied\"} 1\n");
    for (int i = 0; i < METRIC_WORDS_MAX; i++) {
        char word[16];
        snprintf(word, sizeof word, "w%d", i);
        metric_add_word(&w, word);
    }
    metric_add_word(&w, "busy"); /* known ones go on in a full table */
    buf_clear(&out);
    metrics_words(&out, "r_total", "reason", &w);
    assert_non_null(strstr(out.data, "{reason=\"busy\"} 3\n"));
    assert_non_null(strstr(out.data, "{reason=\"other\"} 2\n"));
    buf_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),         cmocka_unit_test(test_labels_are_escaped),
        cmocka_unit_test(test_buckets_add_up), cmocka_unit_test(test_scales_rise),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
