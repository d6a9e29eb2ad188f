/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_test.c - master.cf made concrete, and what two plans have in common
 */
#include "master/plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"

#define STOCK_PARAMS                                                                               \
    {                                                                                              \
        .inet_interfaces = "all", .inet_protocols = "all", .default_process_limit = 100,           \
        .imap_process_limit = 2000, .pop3_process_limit = 2000                                     \
    }

/* Make a plan of this text; what went wrong or was noted is in the last two. */
static int make(const char *text, const struct params *params, struct plan *plan, struct str *notes,
                struct str *err)
{
    _cleanup_(master_cf_done) struct master_cf cf = { 0 };

    assert_int_equal(master_cf_parse(span_of(text), "master.cf", &cf, err), 0);
    return plan_make(&cf, params, "master.cf", plan, notes, err);
}

static void test_endpoints_follow_name_type_and_interfaces(void **state)
{
    static const struct {
        const char *text, *interfaces, *protocols, *keys;
    } cases[] = {
        { "smtp inet n - n - - smtpd", "all", "all", "inet 0.0.0.0 25;inet :: 25;" },
        { "smtp inet n - n - - smtpd", "all", "ipv4", "inet 0.0.0.0 25;" },
        { "smtps inet n - n - - smtpd", "loopback-only", "all", "inet 127.0.0.1 465;inet ::1 465;" },
        { "25 inet n - n - - smtpd", "192.0.2.1, [2001:db8::1]", "all",
          "inet 192.0.2.1 25;inet 2001:db8::1 25;" },
        { "25 inet n - n - - smtpd", "localhost 127.0.0.1", "ipv4", "inet 127.0.0.1 25;" },
        { "127.0.0.1:2525 inet n - n - - smtpd", "all", "all", "inet 127.0.0.1 2525;" },
        { "[::1]:imap inet n - n - - imapd-login", "all", "all", "inet ::1 143;" },
        { "::1:143 inet n - n - - imapd-login", "all", "all", "inet ::1 143;" },
        { "localhost:pop3 inet n - n - - x", "all", "ipv4", "inet 127.0.0.1 110;" },
        { "cleanup unix - - n - 0 cleanup", "all", "all", "unix private/cleanup;" },
        { "qmgr fifo n - n 300 1 qmgr", "all", "all", "fifo public/qmgr;" },
        { "smtpd pass - - n - - smtpd", "all", "all", "unix private/smtpd;" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(plan_done) struct plan plan = { 0 };
        _cleanup_(str_free) struct str notes = STR_INIT, err = STR_INIT, keys = STR_INIT;
        struct params params = STOCK_PARAMS;

        params.inet_interfaces = cases[i].interfaces;
        params.inet_protocols = cases[i].protocols;
        if (make(cases[i].text, &params, &plan, &notes, &err) < 0)
            fail_msg("%s: %s", cases[i].text, str_cstr(&err));
        for (size_t k = 0; k < plan.services[0].n_endpoints; k++)
            str_addf(&keys, "%s;", plan.services[0].endpoints[k].key);
        assert_string_equal(str_cstr(&keys), cases[i].keys);
    }
}

static void test_a_wrong_entry_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text, *interfaces;
    } cases[] = {
        { "\nnosuchport inet n - n - - smtpd", "all" },
        { "\n0 inet n - n - - smtpd", "all" },
        { "\n65536 inet n - n - - smtpd", "all" },
        { "\nmail.example.com:25 inet n - n - - smtpd", "all" },
        { "\n:25 inet n - n - - smtpd", "all" },
        { "\nsmtp inet n - n - - smtpd", "mail.example.com" },
        { "\nsmtp inet n - n - - smtpd", "" },
        { "\n../evil unix - - n - - cleanup", "all" },
        { "\na=b unix - - n - - cleanup", "all" },
        { "25 inet n - n - - smtpd\nsmtp inet n - n - - smtpd", "all" },
        { "x unix - - n - - smtpd\nx pass - - n - - smtpd", "all" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(plan_done) struct plan plan = { 0 };
        _cleanup_(str_free) struct str notes = STR_INIT, err = STR_INIT;
        struct params params = STOCK_PARAMS;

        params.inet_interfaces = cases[i].interfaces;
        if (make(cases[i].text, &params, &plan, &notes, &err) == 0)
            fail_msg("taken: %s", cases[i].text);
        if (!strstr(str_cstr(&err), "master.cf, line 2: "))
            fail_msg("no line: %s", str_cstr(&err));
    }
}

static void test_limits_come_from_master_cf_or_the_default(void **state)
{
    _cleanup_(plan_done) struct plan plan = { 0 };
    _cleanup_(str_free) struct str notes = STR_INIT, err = STR_INIT;
    const struct params params = STOCK_PARAMS;

    (void)state;
    assert_int_equal(make("a unix - - n - - local\nb unix - - n - 0 local\nc unix - - n 300? 1 local\n"
                          "imapd unix - - n - - imapd\n", &params, &plan, &notes, &err), 0);
    assert_int_equal(plan.services[0].limit, 100);
    assert_int_equal(plan.services[1].limit, 0);
    assert_int_equal(plan.services[2].limit, 1);
    assert_int_equal(plan.services[2].wakeup_s, 300);
    assert_true(plan.services[2].wakeup_if_used);
    assert_int_equal(plan.services[3].limit, 2000);
}

static void test_entries_of_postfix_that_mean_nothing_here_are_noted_and_left_out(void **state)
{
    _cleanup_(plan_done) struct plan plan = { 0 };
    _cleanup_(str_free) struct str notes = STR_INIT, err = STR_INIT;
    const struct params params = STOCK_PARAMS;

    (void)state;
    assert_int_equal(make("rewrite unix - - n - - trivial-rewrite\npostlog unix-dgram n - n - 1 postlogd\n"
                          "other unix-dgram n - n - 1 other\ncleanup unix n - y - 0 cleanup\n",
                          &params, &plan, &notes, &err), 0);
    assert_int_equal(plan.len, 1);
    assert_non_null(plan_find(&plan, "cleanup", SERVICE_UNIX));
    assert_non_null(strstr(str_cstr(&notes), "line 1: service rewrite"));
    assert_non_null(strstr(str_cstr(&notes), "line 2: service postlog"));
    assert_non_null(strstr(str_cstr(&notes), "line 3: service other"));
    assert_non_null(strstr(str_cstr(&notes), "line 4: service cleanup: there is no chroot"));
}

static void test_what_two_plans_share_is_found_by_endpoint_and_by_name_and_type(void **state)
{
    _cleanup_(plan_done) struct plan old = { 0 }, new = { 0 };
    _cleanup_(str_free) struct str notes = STR_INIT, err = STR_INIT;
    struct params params = STOCK_PARAMS;

    (void)state;
    params.inet_protocols = "ipv4";
    assert_int_equal(make("25 inet n - n - - smtpd\na unix - - n - - local\n", &params, &old, &notes, &err), 0);
    assert_int_equal(make("smtp inet n - n - - smtpd\na unix n - n - - local\n", &params, &new, &notes, &err), 0);
    assert_true(plan_has_endpoint(&new, old.services[0].endpoints[0].key));
    assert_null(plan_find(&new, "25", SERVICE_INET));
    assert_non_null(plan_find(&new, "a", SERVICE_UNIX));
    assert_null(plan_find(&new, "a", SERVICE_FIFO));
    assert_false(plan_has_endpoint(&new, old.services[1].endpoints[0].key));
}

static void test_postscreen_is_served_by_smtpd_with_the_options_of_both(void **state)
{
    _cleanup_(plan_done) struct plan plan = { 0 };
    _cleanup_(str_free) struct str notes = STR_INIT, err = STR_INIT, args = STR_INIT;
    const struct params params = STOCK_PARAMS;

    (void)state;
    assert_int_equal(make("smtp inet n - y - 1 postscreen -o postscreen_greet_wait=2s\n"
                          "smtpd pass - - y - - smtpd -o content_filter=x\n"
                          "dnsblog unix - - y - 0 dnsblog\n"
                          "tlsproxy unix - - y - 0 tlsproxy\n"
                          "submission inet n - y - - smtpd\n",
                          &params, &plan, &notes, &err), 0);
    assert_int_equal(plan.len, 2);
    assert_string_equal(plan.services[0].program, "smtpd");
    assert_int_equal(plan.services[0].limit, 100);
    for (char **a = plan.services[0].args; *a; a++)
        str_addf(&args, "%s ", *a);
    assert_string_equal(str_cstr(&args),
                        "-o smtpd_prescreen=yes -o content_filter=x -o postscreen_greet_wait=2s ");
    assert_null(plan.services[1].args[0]);
    assert_non_null(strstr(str_cstr(&notes), "line 1: service smtp: postscreen is a part of smtpd"));
    assert_non_null(strstr(str_cstr(&notes), "line 2: service smtpd: its options are used where postscreen"));
    assert_non_null(strstr(str_cstr(&notes), "line 3: service dnsblog: this program has no counterpart"));
    assert_non_null(strstr(str_cstr(&notes), "line 4: service tlsproxy"));
}

static void test_an_smtpd_that_takes_passed_connections_stays_without_postscreen(void **state)
{
    _cleanup_(plan_done) struct plan plan = { 0 };
    _cleanup_(str_free) struct str notes = STR_INIT, err = STR_INIT;
    const struct params params = STOCK_PARAMS;

    (void)state;
    assert_int_equal(make("smtpd pass - - n - - smtpd\n", &params, &plan, &notes, &err), 0);
    assert_int_equal(plan.len, 1);
    assert_int_equal(notes.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_postscreen_is_served_by_smtpd_with_the_options_of_both),
        cmocka_unit_test(test_an_smtpd_that_takes_passed_connections_stays_without_postscreen),
        cmocka_unit_test(test_endpoints_follow_name_type_and_interfaces),
        cmocka_unit_test(test_a_wrong_entry_is_refused_with_its_line),
        cmocka_unit_test(test_limits_come_from_master_cf_or_the_default),
        cmocka_unit_test(test_entries_of_postfix_that_mean_nothing_here_are_noted_and_left_out),
        cmocka_unit_test(test_what_two_plans_share_is_found_by_endpoint_and_by_name_and_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
