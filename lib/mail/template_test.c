/* SPDX-License-Identifier: Apache-2.0 */
/* template_test.c - bounce_template_file */
#include "mail/template.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mail/notify.h"

static void test_what_a_file_does_not_give_stays_as_it_is_built_in(void **state)
{
    _cleanup_(templates_done) struct templates t;
    _cleanup_(str_free) struct str problems = STR_INIT;

    (void)state;
    templates_init(&t);
    size_t n = templates_parse(&t, span_of("# mine\n\nfailure_template = <<END\nsubject: Returned\n\nHello $myhostname\n  EOF\nEND\n"),
                               &problems);
    assert_int_equal(n, 0);
    assert_string_equal(str_cstr(&t.of[TEMPLATE_FAILURE].subject), "Returned");
    assert_string_equal(str_cstr(&t.of[TEMPLATE_FAILURE].text), "Hello $myhostname\n  EOF\n");
    assert_string_equal(str_cstr(&t.of[TEMPLATE_FAILURE].from), "MAILER-DAEMON (Mail Delivery System)");
    assert_string_equal(str_cstr(&t.of[TEMPLATE_FAILURE].postmaster_subject), "Postmaster Copy: Undelivered Mail");
    assert_string_equal(str_cstr(&t.of[TEMPLATE_DELAY].subject), "Delayed Mail (still being retried)");
    assert_int_equal(t.of[TEMPLATE_SUCCESS].postmaster_subject.len, 0);
}

static void test_a_wrong_template_is_told_of_and_the_built_in_one_stays(void **state)
{
    static const struct {
        const char *text, *problem;
    } rows[] = {
        { "failure_template = <<EOF\nFrom: me\n\nno end\n", "line 1: the template has no end" },
        { "failure_template = <<EOF\nColour: red\n\ntext\nEOF\n", "line 2: expected Charset:" },
        { "failure_template = <<EOF\nSubject\n\ntext\nEOF\n", "line 2: expected Charset:" },
        { "failure_template = <<EOF\nSubject:\n\ntext\nEOF\n", "line 2: a header field needs a value" },
        { "failure_template = <<EOF\nSubject: gr\xc3\xbc\xc3\x9f\n\ntext\nEOF\n", "line 2: a header field needs a value" },
        { "failure_template = <<EOF\nCharset: utf-8; x=y\n\ntext\nEOF\n", "line 2: not the name of a character set" },
        { "failure_template = <<EOF\nFrom: me\n\ngr\xc3\xbc\xc3\x9f\nEOF\n", "the text is not ASCII" },
        { "failure_template = text\n", "line 1: expected NAME_template" },
        { "failure_template = <<\n", "line 1: expected NAME_template" },
        { "\n#\nloss_template = <<EOF\nEOF\n", "line 3: expected failure_template" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(templates_done) struct templates t;
        _cleanup_(str_free) struct str problems = STR_INIT;

        templates_init(&t);
        if (templates_parse(&t, span_of(rows[i].text), &problems) != 1 ||
            !strstr(str_cstr(&problems), rows[i].problem))
            fail_msg("row %zu: %s", i, str_cstr(&problems));
        assert_string_equal(str_cstr(&t.of[TEMPLATE_FAILURE].from), "MAILER-DAEMON (Mail Delivery System)");
        assert_true(str_span(&t.of[TEMPLATE_FAILURE].text).len > 100);
    }
}

static void test_one_wrong_template_leaves_the_others_of_the_file_in_force(void **state)
{
    _cleanup_(templates_done) struct templates t;
    _cleanup_(str_free) struct str problems = STR_INIT;

    (void)state;
    templates_init(&t);
    templates_parse(&t, span_of("failure_template = <<EOF\nbad\n\nx\nEOF\ndelay_template = <<EOF\r\nCharset: utf-8\r\n\r\n"
                                "gr\xc3\xbc\xc3\x9f\r\nEOF\r\n"), &problems);
    assert_string_equal(str_cstr(&problems), "line 2: expected Charset:, From:, Subject:, Postmaster-Subject: or an empty line\n");
    assert_string_equal(str_cstr(&t.of[TEMPLATE_DELAY].text), "gr\xc3\xbc\xc3\x9f\n");
    assert_string_equal(str_cstr(&t.of[TEMPLATE_DELAY].charset), "utf-8");
}

static void test_names_and_times_are_expanded(void **state)
{
    static const struct {
        const char *text, *wanted; /* NULL: an error */
    } rows[] = {
        { "host $myhostname", "host mx.example" },
        { "host ${myhostname}!", "host mx.example!" },
        { "costs $$5", "costs $5" },
        { "$delay_warning_time_hours hours", "4 hours" },
        { "${delay_warning_time_minutes}m $(delay_warning_time_seconds)s", "240m 14400s" },
        { "$maximal_queue_lifetime_days days, $maximal_queue_lifetime_weeks weeks", "5 days, 0 weeks" },
        { "$$delay_warning_time_hours", "$delay_warning_time_hours" },
        { "${delay_warning_time_hours", NULL },
    };
    _cleanup_(conf_free_ptr_) struct conf *c = conf_new(NULL);
    _cleanup_(params_free_ptr_) struct params *p = NULL;
    _cleanup_(str_free) struct str err = STR_INIT;

    (void)state;
    assert_int_equal(conf_override(c, span_of("myhostname=mx.example"), &err), 0);
    assert_int_equal(conf_override(c, span_of("delay_warning_time=4h"), &err), 0);
    assert_int_equal(conf_params(c, &p, &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct template t = { .text = { (char *)rows[i].text, strlen(rows[i].text), 0 } };
        _cleanup_(str_free) struct str text = STR_INIT;
        int r = template_expand(&t, c, p, &text, &err);

        if ((r == 0) != (rows[i].wanted != NULL) || (r == 0 && strcmp(str_cstr(&text), rows[i].wanted) != 0))
            fail_msg("row %zu: %d %s", i, r, str_cstr(&text));
    }
}

static void test_notify_classes_are_a_list_of_known_words(void **state)
{
    static const struct {
        const char *list;
        int r;
        unsigned bits;
    } rows[] = {
        { "", 0, 0 },
        { "resource, software", 0, NOTIFY_RESOURCE | NOTIFY_SOFTWARE },
        { "bounce", 0, NOTIFY_BOUNCE | NOTIFY_2BOUNCE },
        { "2bounce Delay,policy", 0, NOTIFY_2BOUNCE | NOTIFY_DELAY | NOTIFY_POLICY },
        { "data protocol", 0, NOTIFY_DATA | NOTIFY_PROTOCOL },
        { "bounces", -22, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(str_free) struct str err = STR_INIT;
        unsigned bits = 0;

        if (notify_classes_parse(span_of(rows[i].list), &bits, &err) != rows[i].r || bits != rows[i].bits)
            fail_msg("row %zu: %x %s", i, bits, str_cstr(&err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_file_does_not_give_stays_as_it_is_built_in),
        cmocka_unit_test(test_a_wrong_template_is_told_of_and_the_built_in_one_stays),
        cmocka_unit_test(test_one_wrong_template_leaves_the_others_of_the_file_in_force),
        cmocka_unit_test(test_names_and_times_are_expanded),
        cmocka_unit_test(test_notify_classes_are_a_list_of_known_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
