/* SPDX-License-Identifier: Apache-2.0 */
/* wants_test.c - which reports the sender of a message wants to have */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "queue/queue.h"

static const struct {
    uint32_t notify;
    bool success, failure, delay;
} cases[] = {
    { 0, false, true, true },           /* nothing said: RFC 3461 section 4.1 */
    { DSN_NEVER, false, false, false },
    { DSN_NEVER | DSN_FAILURE, false, false, false },
    { DSN_SUCCESS, true, false, false },
    { DSN_FAILURE, false, true, false },
    { DSN_SUCCESS | DSN_FAILURE | DSN_DELAY, true, true, true },
};

static void test_the_sender_gets_what_notify_asks_for_and_by_default_failures_and_delays(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct queue_rcpt r = { .dsn_notify = cases[i].notify };

        assert_int_equal(queue_rcpt_wants(&r, DSN_SUCCESS), cases[i].success);
        assert_int_equal(queue_rcpt_wants(&r, DSN_FAILURE), cases[i].failure);
        assert_int_equal(queue_rcpt_wants(&r, DSN_DELAY), cases[i].delay);
    }
}

static void test_a_server_that_confirms_itself_is_not_confirmed_here(void **state)
{
    struct queue_rcpt r = { .dsn_notify = DSN_SUCCESS, .fate = FATE_DELIVERED };

    (void)state;
    assert_true(queue_rcpt_wants_success(&r, false));
    r.fate = FATE_CONFIRMING;
    assert_false(queue_rcpt_wants_success(&r, false));
}

static void test_the_end_of_a_delay_is_told_to_whom_the_delay_was_told(void **state)
{
    struct queue_rcpt r = { .was_delayed = true };

    (void)state;
    assert_true(queue_rcpt_wants_success(&r, true));
    assert_false(queue_rcpt_wants_success(&r, false));
    r.was_delayed = false;
    assert_false(queue_rcpt_wants_success(&r, true));
    r.was_delayed = true;
    r.dsn_notify = DSN_FAILURE;
    assert_false(queue_rcpt_wants_success(&r, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_sender_gets_what_notify_asks_for_and_by_default_failures_and_delays),
        cmocka_unit_test(test_a_server_that_confirms_itself_is_not_confirmed_here),
        cmocka_unit_test(test_the_end_of_a_delay_is_told_to_whom_the_delay_was_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
