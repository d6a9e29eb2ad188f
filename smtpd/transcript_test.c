/* SPDX-License-Identifier: Apache-2.0 */
/* transcript_test.c - what a transcript keeps, and of which class a reply is */
#include "smtpd/transcript.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mail/notify.h"

static void test_the_class_follows_the_reply(void **state)
{
    static const struct {
        const char *reply;
        unsigned class;
    } rows[] = {
        { "250 2.1.0 Ok", 0 },
        { "354 End data", 0 },
        { "221 2.0.0 Bye", 0 },
        { "502 5.5.2 Error: command not recognized", NOTIFY_PROTOCOL },
        { "555 5.5.4 Unsupported option: X", NOTIFY_PROTOCOL },
        { "554 5.7.1 <x@y>: Relay access denied", NOTIFY_POLICY },
        { "550 5.1.1 unknown", NOTIFY_POLICY },
        { "450 4.7.1 Error: too much mail", NOTIFY_POLICY },
        { "452 4.5.3 Error: too many recipients", NOTIFY_POLICY },
        { "452 4.3.1 Insufficient system storage", NOTIFY_RESOURCE },
        { "451 4.3.0 Error: queue file write error", NOTIFY_RESOURCE },
        { "451 4.3.0 <x>: Temporary lookup failure", NOTIFY_DATA },
        { "451 4.3.5 Server configuration error", NOTIFY_SOFTWARE },
        { "454 4.7.0 Temporary authentication failure", NOTIFY_SOFTWARE },
        { "", 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (transcript_class(span_of(rows[i].reply)) != rows[i].class)
            fail_msg("%s", rows[i].reply);
}

static void test_it_is_bounded_escaped_and_without_passwords(void **state)
{
    struct service sv = { .notify = NOTIFY_PROTOCOL };
    struct smtpd s = { .sv = &sv };

    (void)state;
    transcript_in(&s, span_of("auth PLAIN AGFubgBzZWNyZXQ="));
    transcript_out(&s, span_of("550-5.1.1 a\r\n550 5.1.1 b"));
    transcript_in(&s, span_of("NOOP \x1b[2J"));
    assert_string_equal(str_cstr(&s.transcript), " In:  AUTH [not shown]\r\n Out: 550-5.1.1 a\r\n Out: 550 5.1.1 b\r\n"
                                                 " In:  NOOP ?[2J\r\n");
    for (int i = 0; i < 100000; i++)
        transcript_in(&s, span_of("NOOP"));
    assert_in_range(s.transcript.len, 32768, 33900);
    str_free(&s.transcript);
}

static void test_nothing_is_kept_where_nobody_wants_it(void **state)
{
    struct service sv = { .notify = 0 };
    struct smtpd s = { .sv = &sv };

    (void)state;
    transcript_in(&s, span_of("NOOP"));
    transcript_out(&s, span_of("502 5.5.2 no"));
    assert_int_equal(s.transcript.len, 0);
    assert_int_equal(s.trouble, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_class_follows_the_reply),
        cmocka_unit_test(test_it_is_bounded_escaped_and_without_passwords),
        cmocka_unit_test(test_nothing_is_kept_where_nobody_wants_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
