/* SPDX-License-Identifier: Apache-2.0 */
/* keepalive_test.c - lines that keep connections open: in time, together for one client, spread over all */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "login/keepalive.h"

static const struct {
    uint64_t now, interval, client, want;
} cases[] = {
    { 0, 10, 0, 10 },
    { 1, 10, 0, 10 },
    { 9, 10, 0, 10 },
    { 10, 10, 0, 20 },
    { 0, 10, 3, 3 },
    { 3, 10, 13, 13 },      /* now is its moment: the next one */
    { 2, 10, 13, 3 },
    { 4, 10, 13, 13 },
    { 4, 0, 13, CLOCK_NEVER },
};

static void test_the_next_moment_is_the_client_s_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t next = keepalive_next(cases[i].now, cases[i].interval, cases[i].client);

        assert_int_equal(next, cases[i].want);
    }
}

static void test_ten_thousand_that_park_together_are_not_called_together(void **state)
{
    enum { N = 10000, INTERVAL = 120000, SLOT = 1000 };
    static unsigned in_slot[INTERVAL / SLOT + 1];

    (void)state;
    for (uint64_t i = 0; i < N; i++)
        in_slot[keepalive_next(5, INTERVAL, i * 0x9e3779b97f4a7c15) / SLOT]++;
    for (size_t i = 0; i < ARRAY_LEN(in_slot); i++)
        assert_true(in_slot[i] < 3 * N / (INTERVAL / SLOT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_next_moment_is_the_client_s_own),
        cmocka_unit_test(test_ten_thousand_that_park_together_are_not_called_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
