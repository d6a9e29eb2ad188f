/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args_test.c - the command line of a server
 */
#include "daemon/args.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"

static void test_options_and_other_arguments_are_told_apart(void **state)
{
    char *argv[] = { "pipe", "-n",    "filter",       "-t", "unix", "-o", "a = b c", "-ox=y",
                     "-vv",  "-v",    "user=nobody",  "-o", "argv=/bin/cat", NULL };
    struct daemon_args a;
    _cleanup_(str_free) struct str err = STR_INIT;

    (void)state;
    assert_int_equal(daemon_args_parse(argv, &a, &err), 0);
    assert_string_equal(a.service, "filter");
    assert_string_equal(a.type, "unix");
    assert_int_equal(a.verbose, 3);
    assert_int_equal(a.n_overrides, 2);
    assert_true(span_eq_str(a.overrides[0], "a = b c"));
    assert_true(span_eq_str(a.overrides[1], "x=y"));
    assert_string_equal(a.rest[0], "user=nobody");
    assert_string_equal(a.rest[1], "-o");
    assert_null(a.rest[3]);
}

static void test_a_wrong_command_line_is_refused_with_its_reason(void **state)
{
    static char *const cases[][4] = {
        { "smtpd", NULL },
        { "smtpd", "-n", NULL },
        { "smtpd", "-n", "", NULL },
        { "smtpd", "-x", "smtp", NULL },
        { "smtpd", "-vx", "smtp", NULL },
        { "smtpd", "--", "-n", NULL },
        { "smtpd", "smtp", "-n", NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct daemon_args a;
        _cleanup_(str_free) struct str err = STR_INIT;

        assert_int_equal(daemon_args_parse(cases[i], &a, &err), -EINVAL);
        assert_true(err.len > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_and_other_arguments_are_told_apart),
        cmocka_unit_test(test_a_wrong_command_line_is_refused_with_its_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
