/* SPDX-License-Identifier: Apache-2.0 */
/* policy_test.c - who gets a report */
#include "bounce/policy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"

static void open_policy(struct policy *ret, const char *origins, int64_t rate)
{
    const struct params p = {
        .bounce_report_origins = origins,
        .bounce_report_suppress_checks = "inline:{ {x-spam-flag: yes = drop} }",
        .bounce_report_rate_limit = rate,
        .bounce_report_rate_time_unit = 60,
        .mynetworks = "192.0.2.0/24",
    };
    _cleanup_(str_free) struct str err = STR_INIT;

    if (policy_open(ret, &p, &err) < 0)
        fail_msg("%s", str_cstr(&err));
}

static void test_origins_decide_whose_mail_is_reported_on(void **state)
{
    static char ann[] = "ann@example.com", user[] = "ann", near[] = "192.0.2.7", far[] = "198.51.100.7";
    static const struct {
        const char *origins;
        struct queue_envelope e;
        bool told;
    } rows[] = {
        { "local", { .origin = SUBMIT_LOCAL, .sender = ann }, true },
        { "remote", { .origin = SUBMIT_LOCAL, .sender = ann }, false },
        { "local, forwarded", { .origin = SUBMIT_INTERNAL, .sender = ann }, true },
        { "local", { .origin = SUBMIT_INTERNAL, .sender = ann }, false },
        { "remote", { .origin = SUBMIT_NETWORK, .sender = ann, .client_addr = far }, true },
        { "remote", { .origin = SUBMIT_NETWORK, .sender = ann, .client_addr = near }, true },
        { "mynetworks", { .origin = SUBMIT_NETWORK, .sender = ann, .client_addr = near }, true },
        { "mynetworks", { .origin = SUBMIT_NETWORK, .sender = ann, .client_addr = far }, false },
        { "authenticated", { .origin = SUBMIT_NETWORK, .sender = ann, .client_addr = far, .sasl_username = user }, true },
        { "authenticated", { .origin = SUBMIT_NETWORK, .sender = ann, .client_addr = near }, false },
        { "", { .origin = SUBMIT_NETWORK, .sender = ann, .client_addr = near }, false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(policy_close) struct policy p = { 0 };

        open_policy(&p, rows[i].origins, 0);
        if ((policy_refuses(&p, &rows[i].e, SPAN_NULL, 1000) == NULL) != rows[i].told)
            fail_msg("row %zu", i);
    }
}

static void test_an_unknown_origin_is_refused_by_name(void **state)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    unsigned bits;

    (void)state;
    assert_int_equal(report_origins_parse(span_of("local stranger"), &bits, &err), -22);
    assert_non_null(strstr(str_cstr(&err), "\"stranger\""));
}

static void test_a_header_line_that_a_table_has_suppresses_the_report(void **state)
{
    static char ann[] = "ann@example.com";
    struct queue_envelope e = { .origin = SUBMIT_LOCAL, .sender = ann };
    _cleanup_(policy_close) struct policy p = { 0 };

    (void)state;
    open_policy(&p, "local", 0);
    assert_null(policy_refuses(&p, &e, span_of("Subject: x\r\nX-Spam-Flag: NO\r\n"), 1000));
    assert_non_null(policy_refuses(&p, &e, span_of("Subject: x\r\nX-Spam-Flag: YES\r\nTo: y\r\n"), 1000));
}

static void test_reports_to_one_address_are_limited_in_time(void **state)
{
    static char ann[] = "ann@example.com", Ann[] = "Ann@Example.com", bob[] = "bob@example.com";
    struct queue_envelope a = { .sender = ann }, b = { .sender = bob }, c = { .sender = Ann };
    _cleanup_(policy_close) struct policy p = { 0 };

    (void)state;
    open_policy(&p, "remote", 2);
    assert_null(policy_refuses(&p, &a, SPAN_NULL, 1000));
    assert_null(policy_refuses(&p, &c, SPAN_NULL, 1001));
    assert_non_null(policy_refuses(&p, &a, SPAN_NULL, 1002));
    assert_null(policy_refuses(&p, &b, SPAN_NULL, 1003));
    assert_non_null(policy_refuses(&p, &c, SPAN_NULL, 1059));
    assert_null(policy_refuses(&p, &a, SPAN_NULL, 1060));
}

static void test_a_flood_of_senders_costs_bounded_memory(void **state)
{
    _cleanup_(policy_close) struct policy p = { 0 };

    (void)state;
    open_policy(&p, "remote", 1);
    for (int i = 0; i < 50000; i++) {
        char sender[32];
        struct queue_envelope e = { .sender = sender };

        snprintf(sender, sizeof sender, "u%d@example.com", i);
        policy_refuses(&p, &e, SPAN_NULL, 1000);
    }
    assert_in_range(p.senders.len, 1, 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origins_decide_whose_mail_is_reported_on),
        cmocka_unit_test(test_an_unknown_origin_is_refused_by_name),
        cmocka_unit_test(test_a_header_line_that_a_table_has_suppresses_the_report),
        cmocka_unit_test(test_reports_to_one_address_are_limited_in_time),
        cmocka_unit_test(test_a_flood_of_senders_costs_bounded_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
