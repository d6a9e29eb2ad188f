/* SPDX-License-Identifier: Apache-2.0 */
/* retry_test.c - retry times, and the verdict on recipients that were deferred */
#include "qmgr/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"

static const struct retry_policy policy = {
    .min_backoff = 300,
    .max_backoff = 4000,
    .lifetime = 432000,
    .bounce_lifetime = 86400,
    .max_attempts = 5,
    .fault_backoff = 60,
};

static void test_the_time_between_attempts_doubles_up_to_the_maximum(void **state)
{
    static const struct {
        uint32_t attempts;
        int64_t delay, fault;
    } rows[] = {
        { 0, 300, 1 },   { 1, 300, 1 },   { 2, 600, 2 },    { 3, 1200, 4 },       { 4, 2400, 8 },
        { 5, 4000, 16 }, { 6, 4000, 32 }, { 7, 4000, 60 }, { 4000000, 4000, 60 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(retry_delay(&policy, rows[i].attempts), rows[i].delay);
        assert_int_equal(retry_fault_delay(&policy, rows[i].attempts), rows[i].fault);
    }
}

static void test_a_least_time_above_the_greatest_wins(void **state)
{
    struct retry_policy odd = { .min_backoff = 500, .max_backoff = 10 };

    (void)state;
    assert_int_equal(retry_delay(&odd, 1), 500);
    assert_int_equal(retry_delay(&odd, 9), 500);
}

static void test_a_recipient_is_given_up_when_too_old_too_often_or_told_so(void **state)
{
    static const struct {
        struct retry_facts facts;
        enum retry_verdict want;
    } rows[] = {
        { { .age = 0, .attempts = 1 }, RETRY_AGAIN },
        { { .age = 431999, .attempts = 4 }, RETRY_AGAIN },
        { { .age = 432000, .attempts = 1 }, RETRY_TOO_OLD },
        { { .age = 86400, .attempts = 1 }, RETRY_AGAIN },
        { { .age = 86400, .attempts = 1, .null_sender = true }, RETRY_TOO_OLD },
        { { .age = 1, .attempts = 5 }, RETRY_TOO_OFTEN },
        { { .age = 1, .attempts = 1, .force_expire = true }, RETRY_FORCED },
    };
    struct retry_policy endless = policy, once = policy;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(retry_judge(&policy, &rows[i].facts), rows[i].want);
    endless.max_attempts = 0;
    assert_int_equal(retry_judge(&endless, &(struct retry_facts){ .attempts = 100000 }),
                     RETRY_AGAIN);
    once.lifetime = 0;
    assert_int_equal(retry_judge(&once, &(struct retry_facts){ .attempts = 1 }), RETRY_TOO_OLD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_time_between_attempts_doubles_up_to_the_maximum),
        cmocka_unit_test(test_a_least_time_above_the_greatest_wins),
        cmocka_unit_test(test_a_recipient_is_given_up_when_too_old_too_often_or_told_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
