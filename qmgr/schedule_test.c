/* SPDX-License-Identifier: Apache-2.0 */
/* schedule_test.c - fairness, windows and suspensions, in virtual time */
#include "qmgr/schedule.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WINDOW(first, most)                                                                        \
    { .initial = (first), .limit = (most), .positive = { .milli = 1000 },                          \
      .negative = { .milli = 1000 }, .cohorts_milli = 1000 }

static const struct span ok = SPAN("");
static const struct span down = SPAN("connect to mx: refused");

static void limits_of_test(const char *transport, struct sched_limits *ret, void *arg)
{
    (void)transport;
    *ret = *(const struct sched_limits *)arg;
}

static void start(struct sched *s, struct sched_limits *limits)
{
    struct sched_policy p = { .limits = limits_of_test, .arg = limits, .min_backoff_ms = 300000,
                              .max_backoff_ms = 1000000, .transport_retry_ms = 60000 };

    sched_init(s, &p);
}

static struct sched_job *add_job(struct sched *s, const char *dest, uint32_t n_rcpts, uint64_t now)
{
    struct sched_transport *t = sched_transport(s, span_of("smtp"));
    struct sched_job *j = sched_job_new(t, span_of(dest), span_of(dest), 0, NULL);

    for (uint32_t i = 0; i < n_rcpts; i++)
        sched_job_add_rcpt(j, i);
    assert_int_equal(sched_job_queue(j, now), 0);
    return j;
}

static struct sched_task next(struct sched *s, uint64_t now)
{
    struct sched_task task;

    assert_true(sched_next(sched_transport(s, span_of("smtp")), now, &task));
    return task;
}

static bool idle(struct sched *s, uint64_t now)
{
    struct sched_task task;

    return !sched_next(sched_transport(s, span_of("smtp")), now, &task);
}

static void test_destinations_take_turns(void **state)
{
    struct sched_limits limits = { .window = WINDOW(5, 20), .rcpts = 10 };
    struct sched s;
    struct sched_job *jobs[3];

    (void)state;
    start(&s, &limits);
    jobs[0] = add_job(&s, "a", 40, 0);
    jobs[1] = add_job(&s, "b", 40, 0);
    jobs[2] = add_job(&s, "c", 10, 0);
    const char *order = "abcababab";
    for (const char *w = order; *w; w++) {
        struct sched_task task = next(&s, 0);

        assert_int_equal(task.job->dest->key[0], *w);
        assert_int_equal(task.n, 10);
        sched_task_done(&task, SCHED_ANSWERED, "", ok, 0);
    }
    assert_true(idle(&s, 0));
    for (int i = 0; i < 3; i++)
        sched_job_free(jobs[i]);
    sched_done(&s);
}

static void test_a_large_message_delays_a_small_one_by_one_delivery(void **state)
{
    struct sched_limits limits = { .window = WINDOW(1, 1), .rcpts = 50 };
    struct sched s;

    (void)state;
    start(&s, &limits);
    struct sched_job *large = add_job(&s, "a", 10000, 0);
    struct sched_task task = next(&s, 0);
    struct sched_job *small = add_job(&s, "a", 1, 0);

    assert_true(idle(&s, 0)); /* the window is 1 */
    sched_task_done(&task, SCHED_ANSWERED, "", ok, 0);
    task = next(&s, 0);
    assert_ptr_equal(task.job, large); /* had queued before */
    sched_task_done(&task, SCHED_ANSWERED, "", ok, 0);
    task = next(&s, 0);
    assert_ptr_equal(task.job, small);
    sched_task_done(&task, SCHED_ANSWERED, "", ok, 0);
    task = next(&s, 0);
    assert_ptr_equal(task.job, large);
    assert_int_equal(task.first, 100);
    sched_task_done(&task, SCHED_ANSWERED, "", ok, 0);
    sched_job_free(large);
    sched_job_free(small);
    sched_done(&s);
}

static void test_the_window_grows_with_answers_up_to_the_limit(void **state)
{
    struct sched_limits limits = { .window = WINDOW(5, 7), .rcpts = 1 };
    struct sched s;

    (void)state;
    start(&s, &limits);
    struct sched_job *j = add_job(&s, "a", 100, 0);
    struct sched_task tasks[20];

    for (int i = 0; i < 5; i++)
        tasks[i] = next(&s, 0);
    assert_true(idle(&s, 0));
    for (int i = 0; i < 5; i++)
        sched_task_done(&tasks[i], SCHED_ANSWERED, "", ok, 0);
    for (int i = 0; i < 7; i++)
        tasks[i] = next(&s, 0);
    assert_true(idle(&s, 0));
    for (int i = 0; i < 7; i++)
        sched_task_done(&tasks[i], SCHED_ANSWERED, "", ok, 0);
    sched_job_free(j);
    sched_done(&s);
}

static void test_no_limit_means_none(void **state)
{
    struct sched_limits limits = { .window = WINDOW(1, 0) };
    struct sched s;

    (void)state;
    start(&s, &limits);
    struct sched_job *j = add_job(&s, "a", 100, 0);
    struct sched_task task = next(&s, 0);

    assert_int_equal(task.n, 100);
    sched_task_done(&task, SCHED_ANSWERED, "", ok, 0);
    sched_job_free(j);
    sched_done(&s);
}

static void test_the_transport_limit_counts_all_destinations(void **state)
{
    struct sched_limits limits = { .window = WINDOW(5, 20), .rcpts = 1, .total = 2 };
    struct sched s;

    (void)state;
    start(&s, &limits);
    struct sched_job *a = add_job(&s, "a", 9, 0), *b = add_job(&s, "b", 9, 0);
    struct sched_task t1 = next(&s, 0), t2 = next(&s, 0);

    assert_true(idle(&s, 0));
    sched_task_done(&t1, SCHED_ANSWERED, "", ok, 0);
    assert_false(idle(&s, 0));
    t1.job->tasks--; /* the one that idle() took */
    sched_task_done(&t2, SCHED_ANSWERED, "", ok, 0);
    sched_job_free(a);
    sched_job_free(b);
    sched_done(&s);
}

/* Fail deliveries one after the other until the destination is suspended; how many that took. */
static int fail_until_suspended(struct sched *s, struct sched_job *j, uint64_t now)
{
    int n = 0;

    while (!sched_trouble(j->dest, now)) {
        struct sched_task task = next(s, now);

        sched_task_done(&task, SCHED_DEAD, "4.4.1", down, now);
        n++;
    }
    return n;
}

static void test_a_dead_destination_is_suspended_and_probed_with_growing_intervals(void **state)
{
    struct sched_limits limits = { .window = WINDOW(5, 20), .rcpts = 1 };
    struct sched s;
    static const struct {
        int failures;
        uint64_t wait;
    } rounds[] = { { 4, 300000 }, { 1, 600000 }, { 1, 1000000 }, { 1, 1000000 } };
    uint64_t now = 5;

    (void)state;
    start(&s, &limits);
    struct sched_job *other = add_job(&s, "b", 100, now);
    for (size_t i = 0; i < ARRAY_LEN(rounds); i++) {
        struct sched_job *j =
            sched_job_new(sched_transport(&s, span_of("smtp")), span_of("a"), span_of("a"), 0, NULL);

        for (uint32_t n = 0; n < 100; n++)
            sched_job_add_rcpt(j, n);
        sched_job_remove(other);
        assert_int_equal(sched_job_queue(j, now), 0);
        assert_int_equal(fail_until_suspended(&s, j, now), rounds[i].failures);
        assert_string_equal(sched_trouble(j->dest, now)->reason, "connect to mx: refused");
        assert_string_equal(sched_trouble(j->dest, now)->dsn, "4.4.1");
        assert_true(idle(&s, now));
        assert_int_equal(sched_next_wake(&s), now + rounds[i].wait);
        assert_ptr_equal(sched_take_stuck(j->dest, now), j);
        assert_null(sched_take_stuck(j->dest, now));
        assert_int_equal(sched_job_queue(j, now), -EHOSTDOWN);
        sched_job_free(j);

        assert_int_equal(sched_job_queue(other, now), 0); /* others are not concerned */
        struct sched_task task = next(&s, now);
        sched_task_done(&task, SCHED_ANSWERED, "", ok, now);

        now += rounds[i].wait;
        assert_non_null(sched_wake(&s, now));
        assert_null(sched_wake(&s, now));
    }
    sched_job_free(other);
    sched_done(&s);
}

static uint64_t most_of(uint64_t max_ms)
{
    return max_ms;
}

static void test_a_suspension_has_some_jitter(void **state)
{
    struct sched_limits limits = { .window = WINDOW(5, 20), .rcpts = 1 };
    struct sched s;

    (void)state;
    start(&s, &limits);
    s.policy.jitter = most_of;
    struct sched_job *j = add_job(&s, "a", 9, 0);

    fail_until_suspended(&s, j, 1000);
    assert_int_equal(sched_trouble(j->dest, 1000)->suspended_until, 1000 + 300000 + 300000 / 8);
    sched_job_free(j);
    sched_done(&s);
}

static void test_failures_that_come_one_at_a_time_add_up(void **state)
{
    struct sched_limits limits = { .window = WINDOW(5, 20), .rcpts = 1 };
    struct sched s;
    uint64_t now = 0;
    int n = 0;

    (void)state;
    start(&s, &limits);
    for (bool suspended = false; !suspended; n++, now += 1000) { /* nothing else waits for it meanwhile */
        struct sched_job *j = add_job(&s, "a", 1, now);
        struct sched_task task = next(&s, now);

        sched_task_done(&task, SCHED_DEAD, "4.4.1", down, now);
        suspended = sched_trouble(j->dest, now) != NULL;
        sched_job_free(j);
    }
    assert_int_equal(n, 4);
    sched_done(&s);
}

static void test_a_healthy_destination_is_forgotten_with_its_last_job(void **state)
{
    struct sched_limits limits = { .window = WINDOW(5, 20), .rcpts = 1 };
    struct sched s;

    (void)state;
    start(&s, &limits);
    sched_job_free(add_job(&s, "a", 1, 0));
    assert_true(list_empty(&sched_transport(&s, span_of("smtp"))->all));

    struct sched_job *j = add_job(&s, "b", 9, 0);
    fail_until_suspended(&s, j, 0);
    sched_job_free(j);
    assert_false(list_empty(&sched_transport(&s, span_of("smtp"))->all));
    assert_non_null(sched_wake(&s, 300000));
    assert_false(list_empty(&sched_transport(&s, span_of("smtp"))->all));
    assert_null(sched_wake(&s, 600000)); /* its history is over */
    assert_true(list_empty(&sched_transport(&s, span_of("smtp"))->all));
    sched_done(&s);
}

static void test_jobs_wait_for_a_transport_that_fails_and_come_back_when_it_is_given_up(
    void **state)
{
    struct sched_limits limits = { .window = WINDOW(5, 20), .rcpts = 1 };
    struct sched s;
    static const uint64_t waits[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000 };
    uint64_t now = 0;

    (void)state;
    start(&s, &limits);
    struct sched_transport *t = sched_transport(&s, span_of("smtp"));
    struct sched_job *j = add_job(&s, "a", 100, now);

    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        bool last = i + 1 >= SCHED_TRANSPORT_PATIENCE;
        struct sched_task task = next(&s, now), same = next(&s, now);

        sched_task_done(&task, SCHED_NO_TRANSPORT, "4.3.0", down, now);
        sched_task_done(&same, SCHED_NO_TRANSPORT, "4.3.0", down, now);
        assert_true(idle(&s, now));
        assert_int_equal(sched_next_wake(&s), now + waits[i]);
        if (last) {
            assert_ptr_equal(sched_take_stuck_transport(t, now), j);
            assert_int_equal(sched_job_queue(j, now), -EHOSTDOWN);
        }
        assert_null(sched_take_stuck_transport(t, now));
        now += waits[i];
        assert_ptr_equal(sched_wake(&s, now), t);
        if (last)
            assert_int_equal(sched_job_queue(j, now), 0);
    }
    struct sched_task task = next(&s, now);
    sched_task_done(&task, SCHED_ANSWERED, "", ok, now);
    assert_int_equal(t->health.suspensions, 0);
    sched_job_free(j);
    sched_done(&s);
}

static void test_a_transport_that_does_not_exist_is_given_up_at_once(void **state)
{
    struct sched_limits limits = { .window = WINDOW(5, 20), .rcpts = 1 };
    struct sched s;

    (void)state;
    start(&s, &limits);
    struct sched_transport *t = sched_transport(&s, span_of("smtp"));
    struct sched_job *j = add_job(&s, "a", 9, 0);
    struct sched_task task = next(&s, 0);

    sched_task_done(&task, SCHED_NO_SERVICE, "4.3.0", down, 0);
    assert_ptr_equal(sched_take_stuck_transport(t, 0), j);
    sched_job_free(j);
    sched_done(&s);
}

static void test_a_flush_ends_suspensions_at_once(void **state)
{
    struct sched_limits limits = { .window = WINDOW(5, 20), .rcpts = 1 };
    struct sched s;

    (void)state;
    start(&s, &limits);
    struct sched_job *j = add_job(&s, "a", 9, 0);
    fail_until_suspended(&s, j, 10);
    sched_resume_all(&s);
    assert_non_null(sched_wake(&s, 10));
    assert_null(sched_wake(&s, 10));
    assert_null(sched_trouble(j->dest, 10));
    assert_false(idle(&s, 10));
    j->tasks--;
    sched_job_free(j);
    sched_done(&s);
}

static void test_an_agent_that_dies_tells_nothing_about_the_destination(void **state)
{
    struct sched_limits limits = { .window = WINDOW(1, 20), .rcpts = 1 };
    struct sched s;

    (void)state;
    start(&s, &limits);
    struct sched_job *j = add_job(&s, "a", 50, 0);
    for (int i = 0; i < 50; i++) {
        struct sched_task task = next(&s, 0);

        assert_true(idle(&s, 0));
        sched_task_done(&task, SCHED_UNKNOWN, "", ok, 0);
    }
    sched_job_free(j);
    sched_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_destinations_take_turns),
        cmocka_unit_test(test_a_large_message_delays_a_small_one_by_one_delivery),
        cmocka_unit_test(test_the_window_grows_with_answers_up_to_the_limit),
        cmocka_unit_test(test_no_limit_means_none),
        cmocka_unit_test(test_the_transport_limit_counts_all_destinations),
        cmocka_unit_test(test_a_dead_destination_is_suspended_and_probed_with_growing_intervals),
        cmocka_unit_test(test_a_suspension_has_some_jitter),
        cmocka_unit_test(test_failures_that_come_one_at_a_time_add_up),
        cmocka_unit_test(test_a_healthy_destination_is_forgotten_with_its_last_job),
        cmocka_unit_test(
            test_jobs_wait_for_a_transport_that_fails_and_come_back_when_it_is_given_up),
        cmocka_unit_test(test_a_transport_that_does_not_exist_is_given_up_at_once),
        cmocka_unit_test(test_a_flush_ends_suspensions_at_once),
        cmocka_unit_test(test_an_agent_that_dies_tells_nothing_about_the_destination),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
