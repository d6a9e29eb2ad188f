/* SPDX-License-Identifier: Apache-2.0 */
/* privilege_test.c - whose calls a service takes */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "daemon/internal.h"

enum { ROOT = 0, QUEUE = 101, NET = 102, AUTH = 103, SOMEBODY = 1000 };

static const uid_t uids[] = { ROOT, QUEUE, NET, AUTH, SOMEBODY };

static struct running running_as(const struct daemon *d, bool is_public)
{
    struct running rd = {
        .sv = { .daemon = d },
        .accounts = { .queue = { QUEUE, QUEUE }, .net = { NET, NET }, .auth = { AUTH, AUTH } },
        .is_public = is_public,
    };

    return rd;
}

static void test_a_service_takes_the_calls_of_its_row_in_the_caller_table_and_of_root(void **state)
{
    static const struct {
        const char *program;
        bool is_public;
        bool allowed[ARRAY_LEN(uids)];      /* as in uids */
    } cases[] = {
        { "cleanup", false, { true, true, true, false, false } },   /* smtpd, pickup */
        { "imapd",   false, { true, false, true, false, false } },  /* the fronts only */
        { "pop3d",   false, { true, false, true, false, false } },
        { "auth",    false, { true, true, true, false, false } },   /* imapd starts as the queue's owner */
        { "bounce",  false, { true, true, false, false, false } },
        { "tlsmgr",  false, { true, false, true, false, false } },
        /* in public/: for people, but not for processes that talk to strangers, unless the table has them */
        { "pickup",  true,  { true, true, false, false, true } },
        { "qmgr",    true,  { true, true, true, false, true } },
        /* of no row: nobody, or where master.cf makes it public, everybody who is no account of ours */
        { "unknown", false, { true, false, false, false, false } },
        { "unknown", true,  { true, true, false, false, true } },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t u = 0; u < ARRAY_LEN(uids); u++) {
            const struct daemon d = { .name = cases[i].program };
            const struct running rd = running_as(&d, cases[i].is_public);

            if (caller_is_allowed(&rd, uids[u]) != cases[i].allowed[u])
                fail_msg("%s, uid %u", cases[i].program, uids[u]);
        }
}

static void test_alone_one_is_everybody_and_no_front(void **state)
{
    const struct daemon d = { .name = "imapd" };
    struct running rd = running_as(&d, false);

    (void)state;
    rd.sv.single_user = true;
    assert_true(caller_is_allowed(&rd, geteuid()));
    assert_false(caller_is_allowed(&rd, geteuid() + 1));
    assert_true(daemon_is_superuser(&rd.sv, geteuid()));
    assert_false(daemon_is_front(&rd.sv, NET));
}

static void test_superusers_are_root_and_the_queue_s_owner(void **state)
{
    const struct daemon d = { .name = "qmgr" };
    const struct running rd = running_as(&d, false);

    (void)state;
    for (size_t u = 0; u < ARRAY_LEN(uids); u++) {
        assert_int_equal(daemon_is_superuser(&rd.sv, uids[u]), uids[u] == ROOT || uids[u] == QUEUE);
        assert_int_equal(daemon_is_front(&rd.sv, uids[u]), uids[u] == NET);
    }
}

static void test_nobody_becomes_root(void **state)
{
    const struct daemon d = { .name = "imapd" };
    const struct running rd = running_as(&d, false);

    (void)state;
    assert_int_equal(daemon_become_user(&rd.sv, 0, 5, NULL, 0), -EPERM);
    assert_int_equal(daemon_become_user(&rd.sv, 5, 0, NULL, 0), -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_service_takes_the_calls_of_its_row_in_the_caller_table_and_of_root),
        cmocka_unit_test(test_alone_one_is_everybody_and_no_front),
        cmocka_unit_test(test_superusers_are_root_and_the_queue_s_owner),
        cmocka_unit_test(test_nobody_becomes_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
