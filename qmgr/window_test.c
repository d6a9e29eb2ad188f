/* SPDX-License-Identifier: Apache-2.0 */
/* window_test.c - feedback texts, Postfix's window, and growth beyond the limit */
#include "qmgr/window.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"

static void test_feedback_texts(void **state)
{
    static const struct {
        const char *text;
        int result;
        uint32_t milli;
        enum feedback_divisor by;
    } rows[] = {
        { "1", 0, 1000, FEEDBACK_BY_NOTHING },
        { "0", 0, 0, FEEDBACK_BY_NOTHING },
        { "0.5", 0, 500, FEEDBACK_BY_NOTHING },
        { "0.0625", 0, 62, FEEDBACK_BY_NOTHING },
        { "1/8", 0, 125, FEEDBACK_BY_NOTHING },
        { "1 / concurrency", 0, 1000, FEEDBACK_BY_WINDOW },
        { "0.5/sqrt_concurrency", 0, 500, FEEDBACK_BY_SQRT },
        { "2", -EINVAL, 0, 0 },
        { "", -EINVAL, 0, 0 },
        { "-1", -EINVAL, 0, 0 },
        { "1.", -EINVAL, 0, 0 },
        { "1/0", -EINVAL, 0, 0 },
        { "1/", -EINVAL, 0, 0 },
        { "1/cube_concurrency", -EINVAL, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct feedback f = { 0 };
        int r = feedback_parse(span_of(rows[i].text), &f);

        if (r != rows[i].result || f.milli != rows[i].milli || f.by != rows[i].by)
            fail_msg("\"%s\": %d, %u by %d", rows[i].text, r, f.milli, f.by);
    }
}

static struct window_limits limits_of(const char *positive, const char *negative)
{
    struct window_limits l = { .initial = 5, .limit = 20, .cohorts_milli = 1000 };

    assert_int_equal(feedback_parse(span_of(positive), &l.positive), 0);
    assert_int_equal(feedback_parse(span_of(negative), &l.negative), 0);
    return l;
}

static void test_the_positive_feedback_says_how_many_answers_a_step_takes(void **state)
{
    static const struct {
        const char *feedback;
        int answers; /* from 5 to 20 */
    } rows[] = { { "1", 15 }, { "0.5", 30 }, { "1/5", 75 }, { "1/sqrt_concurrency", 53 }, { "1/concurrency", 183 } };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct window_limits l = limits_of(rows[i].feedback, "1");
        struct window w;
        int n = 0;

        window_init(&w, &l);
        for (; w.size < 20; n++)
            window_answered(&w, &l, w.size, 100, 0);
        if (n < rows[i].answers - 2 || n > rows[i].answers + 10)
            fail_msg("%s: %d answers", rows[i].feedback, n);
        window_answered(&w, &l, w.size, 100, 0);
        assert_int_equal(w.size, 20);
    }
}

static void test_a_window_that_is_not_used_does_not_grow(void **state)
{
    struct window_limits l = limits_of("1", "1");
    struct window w;

    (void)state;
    window_init(&w, &l);
    for (int i = 0; i < 100; i++)
        window_answered(&w, &l, 1, 100, 0);
    assert_int_equal(w.size, 6); /* one in use, and the initial concurrency on top */
}

static void test_failures_shrink_it_and_a_cohort_of_them_is_enough(void **state)
{
    struct window_limits l = limits_of("1", "1/concurrency");
    struct window w;
    int n = 1;

    (void)state;
    l.cohorts_milli = 3000;
    window_init(&w, &l);
    while (!window_failed(&w, &l, 0))
        n++;
    assert_in_range(n, 9, 15); /* three cohorts of a window that shrinks from 5 */
    l.cohorts_milli = 0;
    for (int i = 0; i < 1000; i++)
        assert_false(window_failed(&w, &l, 0));
    assert_int_equal(w.size, 1);
}

/* A destination that answers everything after took_ms; the window after n deliveries. */
static void answer(struct window *w, const struct window_limits *l, int n, uint64_t took_ms, uint64_t now)
{
    for (int i = 0; i < n; i++)
        window_answered(w, l, w->size, took_ms, now);
}

static void test_beyond_the_limit_it_grows_only_where_waiting_sets_the_pace(void **state)
{
    struct window_limits l = limits_of("1", "1");
    struct window w;

    (void)state;
    l.ceiling = 1000;
    window_init(&w, &l);
    answer(&w, &l, 5000, 10, 0);
    assert_int_equal(w.size, 20); /* fast enough */
    window_init(&w, &l);
    answer(&w, &l, 5000, 500, 0);
    assert_int_equal(w.size, 1000);
    l.ceiling = 0;
    window_init(&w, &l);
    answer(&w, &l, 5000, 500, 0);
    assert_int_equal(w.size, 20);
}

static void test_when_deliveries_become_slower_it_stops_and_shrinks(void **state)
{
    struct window_limits l = limits_of("1", "1");
    struct window w;

    (void)state;
    l.ceiling = 1000;
    window_init(&w, &l);
    answer(&w, &l, 200, 500, 0);
    uint32_t before = w.size;

    assert_in_range(before, 100, 300);
    answer(&w, &l, 200, 1400, 0);
    assert_in_range(w.size, before, before + 20);
    answer(&w, &l, 50, 2000, 0);
    assert_in_range(w.size, 20, before);
    answer(&w, &l, 2000, 2000, 0);
    assert_int_equal(w.size, 20);
}

static void test_who_puts_somebody_off_gets_the_limit_at_once_and_for_ten_minutes(void **state)
{
    struct window_limits l = limits_of("1", "1");
    struct window w;

    (void)state;
    l.ceiling = 1000;
    window_init(&w, &l);
    answer(&w, &l, 2000, 500, 0);
    assert_int_equal(w.size, 1000);
    window_reluctant(&w, &l, 7000);
    assert_int_equal(w.size, 20);
    answer(&w, &l, 2000, 500, 7000 + WINDOW_WARY_MS - 1);
    assert_int_equal(w.size, 20);
    answer(&w, &l, 2000, 500, 7000 + WINDOW_WARY_MS);
    assert_int_equal(w.size, 1000);
    window_failed(&w, &l, 7000 + WINDOW_WARY_MS);
    assert_int_equal(w.size, 19);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feedback_texts),
        cmocka_unit_test(test_the_positive_feedback_says_how_many_answers_a_step_takes),
        cmocka_unit_test(test_a_window_that_is_not_used_does_not_grow),
        cmocka_unit_test(test_failures_shrink_it_and_a_cohort_of_them_is_enough),
        cmocka_unit_test(test_beyond_the_limit_it_grows_only_where_waiting_sets_the_pace),
        cmocka_unit_test(test_when_deliveries_become_slower_it_stops_and_shrinks),
        cmocka_unit_test(test_who_puts_somebody_off_gets_the_limit_at_once_and_for_ten_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
