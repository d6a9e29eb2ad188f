/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backoff_test.c - when a service is left alone, and for how long
 */
#include "master/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

static void test_the_delay_doubles_up_to_a_minute(void **state)
{
    static const int64_t want[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000 };
    struct backoff b = { 0, 0 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        backoff_failed(&b, 5000);
        assert_int_equal(b.delay_ms, want[i]);
        assert_true(backoff_holds(&b, 5000 + (uint64_t)want[i] - 1));
        assert_false(backoff_holds(&b, 5000 + (uint64_t)want[i]));
    }
}

static void test_a_good_start_ends_the_delay(void **state)
{
    struct backoff b = { 0, 0 };

    (void)state;
    backoff_failed(&b, 0);
    backoff_failed(&b, 0);
    backoff_succeeded(&b);
    assert_false(backoff_holds(&b, 0));
    backoff_failed(&b, 0);
    assert_int_equal(b.delay_ms, BACKOFF_FIRST_MS);
}

static void test_only_a_start_at_fault_is_a_bad_start(void **state)
{
    static const struct {
        struct ending e;
        bool want;
    } cases[] = {
        /* was_ready, normal, killed, lived_ms */
        { { false, false, false, 10 }, true },
        { { false, true, false, 10 }, true },
        { { false, false, false, 90000 }, true },
        { { true, false, false, 10 }, true },
        { { true, true, false, 10 }, false },
        { { true, false, false, 1000 }, false },
        { { true, false, true, 10 }, false },
        { { false, false, true, 10 }, false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(ending_is_bad_start(&cases[i].e), cases[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_delay_doubles_up_to_a_minute),
        cmocka_unit_test(test_a_good_start_ends_the_delay),
        cmocka_unit_test(test_only_a_start_at_fault_is_a_bad_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
