/* SPDX-License-Identifier: Apache-2.0 */
/* mail_args_test.c - tests of mail_args.c */
#include "smtpd/mail_args.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/own.h"

static const struct {
    const char *in;
    int want;
    unsigned seen;
    const char *bad;
} mail_cases[] = {
    { "", 0, 0, NULL },
    { " ", 0, 0, NULL },
    { " SIZE=1234", 0, ARG_SIZE, NULL },
    { " size=0 body=8bitmime", 0, ARG_SIZE | ARG_BODY, NULL },
    { " BODY=7BIT SMTPUTF8", 0, ARG_BODY | ARG_UTF8, NULL },
    { " RET=HDRS ENVID=a+2Bb", 0, ARG_RET | ARG_ENVID, NULL },
    { " AUTH=<>", 0, ARG_AUTH, NULL },
    { " SIZE=", -EINVAL, 0, "SIZE" },
    { " SIZE=-1", -EINVAL, 0, "SIZE" },
    { " SIZE=99999999999999999999999", -EINVAL, 0, "SIZE" },
    { " SIZE=1 SIZE=1", -EINVAL, 0, "SIZE" },
    { " BODY=BINARYMIM", -EINVAL, 0, "BODY" },
    { " SMTPUTF8=yes", -EINVAL, 0, "SMTPUTF8" },
    { " RET=SOME", -EINVAL, 0, "RET" },
    { " ENVID=", -EINVAL, 0, "ENVID" },
    { " ENVID=a+ZZ", -EINVAL, 0, "ENVID" },
    { " FOO=bar", -ENOTSUP, 0, "FOO" },
    { " NOTIFY=NEVER", -ENOTSUP, 0, "NOTIFY" },
    { " =", -ENOTSUP, 0, "" },
};

static void test_mail_parameters_are_read_whole_or_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(mail_cases); i++) {
        _cleanup_(mail_args_done) struct mail_args args = { 0 };
        struct span bad = SPAN_NULL;
        int r = mail_args_parse(span_of(mail_cases[i].in), &args, &bad);

        if (r != mail_cases[i].want || args.seen != mail_cases[i].seen)
            fail_msg("%s: %d", mail_cases[i].in, r);
        if (mail_cases[i].bad)
            assert_true(span_eq_str(bad, mail_cases[i].bad));
    }
}

static const struct {
    const char *in;
    int want;
    uint32_t notify;
    const char *orcpt;
} rcpt_cases[] = {
    { "", 0, 0, "" },
    { " NOTIFY=NEVER", 0, DSN_NEVER, "" },
    { " NOTIFY=SUCCESS,failure,DELAY", 0, DSN_SUCCESS | DSN_FAILURE | DSN_DELAY, "" },
    { " ORCPT=rfc822;ann+40example.com", 0, 0, "rfc822;ann@example.com" },
    { " NOTIFY=NEVER,SUCCESS", -EINVAL, 0, "" },
    { " NOTIFY=DELAY,DELAY", -EINVAL, 0, "" },
    { " NOTIFY=", -EINVAL, 0, "" },
    { " NOTIFY=,", -EINVAL, 0, "" },
    { " ORCPT=rfc822;", -EINVAL, 0, "" },
    { " ORCPT=;ann", -EINVAL, 0, "" },
    { " ORCPT=ann", -EINVAL, 0, "" },
    { " ORCPT=rfc822;a+0D+0AB", -EINVAL, 0, "" },
    { " ORCPT=rf(c;a", -EINVAL, 0, "" },
    { " SIZE=1", -ENOTSUP, 0, "" },
};

static void test_rcpt_parameters_are_read_whole_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rcpt_cases); i++) {
        _cleanup_(rcpt_args_done) struct rcpt_args args = { 0 };
        struct span bad;
        int r = rcpt_args_parse(span_of(rcpt_cases[i].in), &args, &bad);

        if (r != rcpt_cases[i].want || args.notify != rcpt_cases[i].notify)
            fail_msg("%s: %d", rcpt_cases[i].in, r);
        assert_string_equal(str_cstr(&args.orcpt), rcpt_cases[i].orcpt);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mail_parameters_are_read_whole_or_refused_by_name),
        cmocka_unit_test(test_rcpt_parameters_are_read_whole_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
