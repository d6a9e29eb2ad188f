/* SPDX-License-Identifier: Apache-2.0 */
/* master_cf_test.c - master.cf: Postfix's eight columns */
#include "conf/master_cf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_an_entry_gives_its_columns_and_arguments(void **state)
{
    static const char text[] = "# service type ...\n"
                               "smtp inet n - y - - smtpd\n"
                               "127.0.0.1:587 inet n - n 60? 50 smtpd -v\n"
                               "  -o syslog_name=x/submission\n"
                               "# comment\n"
                               "  -o { smtpd_banner = a b  c } -osmtpd_timeout=5\n"
                               "qmgr unix n n n 300 1 qmgr\n";
    _cleanup_(master_cf_done) struct master_cf m = { NULL, 0 };
    _cleanup_(str_free) struct str err = STR_INIT;

    (void)state;
    assert_int_equal(master_cf_parse(span_of(text), "master.cf", &m, &err), 0);
    assert_int_equal(m.len, 3);
    assert_string_equal(m.services[0].name, "smtp");
    assert_true(m.services[0].chroot);
    assert_int_equal(m.services[0].max_processes, -1);
    assert_int_equal(m.services[1].wakeup, 60);
    assert_true(m.services[1].wakeup_if_used);
    assert_int_equal(m.services[1].max_processes, 50);
    assert_false(m.services[1].is_private);
    assert_int_equal(m.services[1].argc, 6);
    assert_string_equal(m.services[1].overrides[0], "syslog_name=x/submission");
    assert_string_equal(m.services[1].overrides[1], "smtpd_banner=a b  c");
    assert_string_equal(m.services[1].overrides[2], "smtpd_timeout=5");
    assert_null(m.services[1].overrides[3]);
    assert_int_equal(m.services[2].type, SERVICE_UNIX);
    assert_int_equal(m.services[2].line, 7);
}

static void test_options_end_where_the_arguments_of_the_program_begin(void **state)
{
    _cleanup_(master_cf_done) struct master_cf m = { NULL, 0 };
    _cleanup_(str_free) struct str err = STR_INIT;

    (void)state;
    assert_int_equal(master_cf_parse(span_of("x unix - n n - - pipe -v -o a=b user=u argv=/bin/cat -o -\n"),
                                     "master.cf", &m, &err), 0);
    assert_int_equal(m.services[0].argc, 7);
    assert_string_equal(m.services[0].overrides[0], "a=b");
    assert_null(m.services[0].overrides[1]);
}

static void test_a_bad_entry_is_refused_with_line_and_accepted_form(void **state)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        { "\nsmtp inet n - n - -\n", "line 2: entry \"smtp\": expected eight fields" },
        { "smtp tcp n - n - - smtpd\n", "type \"tcp\": expected inet" },
        { "smtp inet x - n - - smtpd\n", "private \"x\"" },
        { "smtp inet n - n soon - smtpd\n", "wakeup time" },
        { "smtp inet n - n - many smtpd\n", "process limit" },
        { "smtp inet n - n - - ../smtpd\n", "name of a program" },
        { "smtp inet n - n - - smtpd -o\n", "-o" },
        { "smtp inet n - n - - smtpd -o x\n", "name=value" },
        { "a unix n - n - - smtpd\na unix n - n - - smtpd\n", "line 2: service \"a\": expected one entry" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct master_cf m = { NULL, 0 };
        _cleanup_(str_free) struct str err = STR_INIT;
        assert_int_equal(master_cf_parse(span_of(cases[i].text), "master.cf", &m, &err), -EINVAL);
        if (!strstr(str_cstr(&err), cases[i].wanted))
            fail_msg("%s: %s", cases[i].text, str_cstr(&err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_gives_its_columns_and_arguments),
        cmocka_unit_test(test_options_end_where_the_arguments_of_the_program_begin),
        cmocka_unit_test(test_a_bad_entry_is_refused_with_line_and_accepted_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
