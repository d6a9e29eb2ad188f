/* SPDX-License-Identifier: Apache-2.0 */
/* ehlo_test.c - what a server announces */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "smtp/smtp.h"

static void test_keywords_are_known_in_any_case_and_others_are_passed_over(void **state)
{
    static const struct {
        const char *line;
        unsigned features;
        uint64_t size;
    } cases[] = {
        { "PIPELINING", FEATURE_PIPELINING, 0 },
        { "pipelining", FEATURE_PIPELINING, 0 },
        { "SIZE 1000", FEATURE_SIZE, 1000 },
        { "SIZE", FEATURE_SIZE, 0 },
        { "SIZE 99999999999999999999", FEATURE_SIZE, 0 },
        { "SIZE -1", FEATURE_SIZE, 0 },
        { "STARTTLS x", FEATURE_STARTTLS, 0 },
        { "STARTTLSX", 0, 0 },
        { "X-PIPELINING", 0, 0 },
        { "", 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ehlo e = { 0 };

        ehlo_note_line(&e, span_of(cases[i].line), SPAN_NULL);
        if (e.features != cases[i].features || e.size_limit != cases[i].size)
            fail_msg("%s: %x %llu", cases[i].line, e.features, (unsigned long long)e.size_limit);
        ehlo_done(&e);
    }
}

static void test_mechanisms_of_both_spellings_are_joined_and_bounded(void **state)
{
    struct ehlo e = { 0 };

    (void)state;
    ehlo_note_line(&e, span_of("AUTH PLAIN LOGIN"), SPAN_NULL);
    ehlo_note_line(&e, span_of("auth=CRAM-MD5"), SPAN_NULL);
    assert_string_equal(str_cstr(&e.auth), "PLAIN LOGIN CRAM-MD5");
    assert_int_equal(e.features, FEATURE_AUTH);
    for (int i = 0; i < 1000; i++)
        ehlo_note_line(&e, span_of("AUTH xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), SPAN_NULL);
    assert_in_range(e.auth.len, 100, 600);
    ehlo_done(&e);
}

static void test_limits_are_numbers_above_zero(void **state)
{
    static const struct {
        const char *line;
        uint32_t mail_max, rcpt_max;
    } cases[] = {
        { "LIMITS MAILMAX=20 RCPTMAX=100", 20, 100 },
        { "LIMITS rcptmax=7 RCPTDOMAINMAX=1", 0, 7 },
        { "LIMITS RCPTMAX=0 MAILMAX=-1", 0, 0 },
        { "LIMITS RCPTMAX=99999999999 MAILMAX=", 0, 0 },
        { "LIMITS", 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ehlo e = { 0 };

        ehlo_note_line(&e, span_of(cases[i].line), SPAN_NULL);
        if (e.mail_max != cases[i].mail_max || e.rcpt_max != cases[i].rcpt_max)
            fail_msg("%s: %u %u", cases[i].line, e.mail_max, e.rcpt_max);
    }
}

static void test_keywords_that_are_to_be_discarded_leave_no_trace(void **state)
{
    struct ehlo e = { 0 };

    (void)state;
    ehlo_note_line(&e, span_of("CHUNKING"), span_of("dsn, chunking"));
    ehlo_note_line(&e, span_of("AUTH PLAIN"), span_of("auth"));
    ehlo_note_line(&e, span_of("AUTH=PLAIN"), span_of("auth"));
    ehlo_note_line(&e, span_of("DSN"), span_of("dsnx"));
    assert_int_equal(e.features, FEATURE_DSN);
    assert_int_equal(e.auth.len, 0);
    ehlo_done(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keywords_are_known_in_any_case_and_others_are_passed_over),
        cmocka_unit_test(test_mechanisms_of_both_spellings_are_joined_and_bounded),
        cmocka_unit_test(test_limits_are_numbers_above_zero),
        cmocka_unit_test(test_keywords_that_are_to_be_discarded_leave_no_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
