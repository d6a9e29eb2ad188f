/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rand_test.c - random bytes, and the clocks
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rand.h"

static void test_a_forked_child_draws_other_bytes_than_its_parent(void **state)
{
    unsigned char mine[16], childs[16];
    int fds[2], status;

    (void)state;
    rand_bytes(mine, 1); /* the buffer is filled */
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        rand_bytes(childs, sizeof childs);
        _exit(write(fds[1], childs, sizeof childs) == sizeof childs ? 0 : 1);
    }
    rand_bytes(mine, sizeof mine);
    assert_int_equal(read(fds[0], childs, sizeof childs), sizeof childs);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(memcmp(mine, childs, sizeof mine) != 0);
    close(fds[0]);
    close(fds[1]);
}

static void test_draws_of_any_size_are_filled_to_the_end(void **state)
{
    static const size_t sizes[] = {1, 7, 255, 256, 257, 3000};
    unsigned char buf[3001];

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        bool last_differs = false;

        for (int k = 0; k < 40; k++) {
            buf[sizes[i] - 1] = 0;
            buf[sizes[i]] = 0xaa;
            rand_bytes(buf, sizes[i]);
            last_differs = last_differs || buf[sizes[i] - 1] != 0;
            assert_int_equal(buf[sizes[i]], 0xaa);
        }
        assert_true(last_differs);
    }
}

static void test_numbers_below_n_are_all_drawn_and_no_other(void **state)
{
    unsigned seen = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = rand_below(5);

        assert_true(x < 5);
        seen |= 1U << x;
    }
    assert_int_equal(seen, 31);
    assert_int_equal(rand_below(1), 0);
    assert_true(rand_below(UINT64_MAX) < UINT64_MAX);
}

static void test_deadlines_lie_ahead_and_never_wrap(void **state)
{
    uint64_t now = clock_ms();

    (void)state;
    assert_in_range(clock_deadline_ms(1000), now + 1000, now + 2000);
    assert_true(clock_deadline_ms(0) == CLOCK_NEVER);
    assert_true(clock_deadline_ms(-5) == CLOCK_NEVER);
    assert_true(clock_deadline_ms(INT64_MAX) > now);
    assert_in_range(clock_us() / 1000, now, now + 1000);
    assert_in_range(clock_real_us() / 1000000 - clock_real() + 1, 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_forked_child_draws_other_bytes_than_its_parent),
        cmocka_unit_test(test_draws_of_any_size_are_filled_to_the_end),
        cmocka_unit_test(test_numbers_below_n_are_all_drawn_and_no_other),
        cmocka_unit_test(test_deadlines_lie_ahead_and_never_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
