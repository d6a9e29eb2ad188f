/* SPDX-License-Identifier: Apache-2.0 */
/* compose_test.c - notices as programs that sort bounces read them */
#include "bounce/compose.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"

static char ann[] = "ann@example.com", bob[] = "bob@example.org", carl[] = "c rl@example.net",
            al[] = "al@example.org";
static char said[] =
    "host mx.example.org[192.0.2.7] said: 550 5.1.1 <bob@example.org>: no such user {here} "
    "(in reply to RCPT TO command)";
static char reply[] = "550 5.1.1 <bob@example.org>: no such user\r\nAction: delivered";
static char mx[] = "mx.example.org", orcpt[] = "rfc822;al@example.org", envid[] = "QQ314159",
            busy[] = "busy";

static struct params params = {
    .myhostname = "mail.example.com",
    .myorigin = "mail.example.com",
    .append_at_myorigin = true,
    .mail_name = "Postern",
    .bounce_size_limit = 50000,
    .maximal_queue_lifetime = 432000,
};

static struct queue_rcpt rcpts[] = {
    { .address = bob, .orig = al, .dsn_orcpt = orcpt, .state = RCPT_BOUNCED, .dsn = "5.1.1", .text = said,
      .remote_mta = mx, .remote_reply = reply, .last_us = 1700000100000000 },
    { .address = carl, .state = RCPT_DEFERRED, .dsn = "4.2.0", .text = busy },
    { .address = al, .state = RCPT_SENT, .dsn_notify = DSN_SUCCESS, .dsn = "2.0.0", .text = busy },
};

static struct queue_envelope envelope = {
    .id = "4cK9vQ1zRm",
    .arrival_us = 1700000000000000,
    .sender = ann,
    .dsn_envid = envid,
    .rcpts = rcpts,
    .n_rcpts = ARRAY_LEN(rcpts),
    .content_offset = 100,
    .content_size = 1000,
};

static void has(struct span text, const char *needle)
{
    if (span_find(text, span_of(needle)) < 0)
        fail_msg("not found: %s\nin:\n%.*s", needle, SPAN_ARG(text));
}

static void has_not(struct span text, const char *needle)
{
    if (span_find(text, span_of(needle)) >= 0)
        fail_msg("found: %s\nin:\n%.*s", needle, SPAN_ARG(text));
}

static struct templates templates;

static void head(struct str *ret, const struct queue_envelope *e, enum report_kind kind)
{
    struct notice n;

    notice_init(&n, &params, &templates, e, kind, 1700000200);
    notice_add_head(ret, &n);
}

static void test_a_failure_names_recipient_status_and_reply(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;

    (void)state;
    head(&s, &envelope, REPORT_FAILED);
    static const char *const wanted[] = {
        "\r\nFrom: MAILER-DAEMON@mail.example.com (Mail Delivery System)\r\n",
        "\r\nSubject: Undelivered Mail Returned to Sender\r\n", "\r\nTo: ann@example.com\r\n",
        "\r\nAuto-Submitted: auto-replied\r\n", "multipart/report; report-type=delivery-status;\r\n\tboundary=\"4cK9vQ1zRm.",
        "\r\n\r\nThis is the mail system at host $myhostname.\r\n", /* expanded by templates_load() */
        "\r\n<bob@example.org> (expanded from <al@example.org>): host\r\n    mx.example.org[192.0.2.7] said: 550 5.1.1",
        "no such user\r\n    {here} (in reply to RCPT TO command)\r\n",
        "\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mail.example.com\r\n",
        "\r\nOriginal-Envelope-Id: QQ314159\r\n", "\r\nX-Postern-Queue-ID: 4cK9vQ1zRm\r\n",
        "\r\nX-Postern-Sender: rfc822; ann@example.com\r\n", "\r\nArrival-Date: ",
        "\r\n\r\nFinal-Recipient: rfc822; bob@example.org\r\nOriginal-Recipient: rfc822;al@example.org\r\n"
        "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.org\r\nDiagnostic-Code: smtp; 550 5.1.1",
        "\r\nLast-Attempt-Date: ", "\r\nContent-Type: message/rfc822\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        has(str_span(&s), wanted[i]);
    has_not(str_span(&s), "\r\nAction: delivered"); /* the peer's line end was escaped */
    has_not(str_span(&s), "example.net");           /* the deferred one is not told of */
    has_not(str_span(&s), "8bit");
}

static void test_a_delay_tells_until_when_it_is_tried(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;

    (void)state;
    head(&s, &envelope, REPORT_DELAYED);
    has(str_span(&s), "\r\nSubject: Delayed Mail (still being retried)\r\n");
    has(str_span(&s), "# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\r\n");
    has(str_span(&s),
        "\r\nFinal-Recipient: rfc822; \"c rl\"@example.net\r\nAction: delayed\r\nStatus: 4.2.0\r\n"
        "Diagnostic-Code: X-Postern; busy\r\nWill-Retry-Until: ");
    has(str_span(&s), "\r\nContent-Type: text/rfc822-headers\r\n\r\n");
    has_not(str_span(&s), "bob@");
}

static void test_success_is_told_only_to_those_who_asked(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;
    struct queue_rcpt quiet = { .address = bob, .state = RCPT_SENT, .dsn = "2.0.0" };
    struct queue_envelope e = envelope;
    struct notice n;

    (void)state;
    head(&s, &envelope, REPORT_SUCCESS);
    has(str_span(&s), "\r\nSubject: Successful Mail Delivery Report\r\n");
    has(str_span(&s), "Action: delivered\r\nStatus: 2.0.0\r\n");
    e.rcpts = &quiet;
    e.n_rcpts = 1;
    notice_init(&n, &params, &templates, &e, REPORT_SUCCESS, 0);
    assert_int_equal(notice_count(&n), 0);
    quiet.dsn_notify = DSN_SUCCESS;
    assert_int_equal(notice_count(&n), 1);
    quiet.fate = FATE_CONFIRMING; /* the next hop will tell */
    assert_int_equal(notice_count(&n), 0);
}

static void test_a_success_says_how_far_the_message_went(void **state)
{
    static const struct {
        enum outcome_fate fate;
        const char *action;
    } rows[] = {
        { FATE_DELIVERED, "\r\nAction: delivered\r\n" },
        { FATE_RELAYED, "\r\nAction: relayed\r\n" },
        { FATE_EXPANDED, "\r\nAction: expanded\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(str_free) struct str s = STR_INIT;
        static char ip[] = "2001:db8::1";
        struct queue_rcpt r = { .address = bob, .state = RCPT_SENT, .dsn_notify = DSN_SUCCESS, .fate = rows[i].fate,
                                .remote_mta = ip };
        struct queue_envelope e = envelope;

        e.rcpts = &r;
        e.n_rcpts = 1;
        head(&s, &e, REPORT_SUCCESS);
        has(str_span(&s), rows[i].action);
        has(str_span(&s), "\r\nRemote-MTA: dns; [IPv6:2001:db8::1]\r\n");
    }
}

static void test_the_end_of_a_delay_is_told_where_it_is_asked_for(void **state)
{
    struct params confirm = params;
    struct queue_rcpt r = { .address = bob, .state = RCPT_SENT, .was_delayed = true };
    struct notice n = { .params = &params, .e = &envelope, .kind = REPORT_SUCCESS };

    (void)state;
    assert_false(notice_concerns(&n, &r));
    confirm.confirm_delay_cleared = true;
    n.params = &confirm;
    assert_true(notice_concerns(&n, &r));
    r.dsn_notify = DSN_FAILURE;
    assert_false(notice_concerns(&n, &r));
    r.dsn_notify = 0;
    r.was_delayed = false;
    assert_false(notice_concerns(&n, &r));
}

static void test_the_postmaster_gets_the_facts_and_the_header(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;
    struct notice n;

    (void)state;
    notice_init(&n, &params, &templates, &envelope, REPORT_FAILED, 1700000200);
    n.audience = TO_POSTMASTER;
    n.to = "postmaster@mail.example.com";
    notice_add_head(&s, &n);
    has(str_span(&s), "\r\nSubject: Postmaster Copy: Undelivered Mail\r\nTo: postmaster@mail.example.com\r\n");
    has(str_span(&s), "\r\nContent-Type: text/rfc822-headers\r\n");
    has(str_span(&s), "<bob@example.org> (expanded from");
    has_not(str_span(&s), "This is the mail system");
    assert_false(notice_returns_body(&n));
}

static void test_a_report_that_failed_is_shown_to_the_postmaster_although_it_asks_for_nothing(void **state)
{
    struct queue_rcpt r = { .address = bob, .state = RCPT_BOUNCED, .dsn_notify = DSN_NEVER };
    struct queue_envelope e = envelope;
    struct notice n = { .params = &params, .e = &e, .kind = REPORT_FAILED, .audience = TO_POSTMASTER_INSTEAD };

    (void)state;
    e.origin = SUBMIT_INTERNAL;
    assert_true(notice_concerns(&n, &r));
    assert_true(notice_returns_body(&n));
    e.origin = SUBMIT_NETWORK; /* somebody else's: as he asked */
    assert_false(notice_concerns(&n, &r));
}

static void count_spilled(struct str *text, void *arg)
{
    size_t *most = arg;

    *most = text->len > *most ? text->len : *most;
    str_reset(text);
}

static void test_ten_thousand_recipients_need_not_be_in_memory_as_text(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;
    struct queue_rcpt *many = mem_new_n(struct queue_rcpt, 10000);
    struct queue_envelope e = envelope;
    struct notice n;
    size_t most = 0;

    (void)state;
    for (size_t i = 0; i < 10000; i++)
        many[i] = rcpts[0];
    e.rcpts = many;
    e.n_rcpts = 10000;
    notice_init(&n, &params, &templates, &e, REPORT_FAILED, 1700000200);
    n.spill = count_spilled;
    n.spill_arg = &most;
    notice_add_head(&s, &n);
    assert_in_range(most, 32768, 40000);
    free(many);
}

static void test_notify_decides_who_is_told_of(void **state)
{
    static const struct {
        enum queue_rcpt_state rcpt;
        uint32_t notify;
        enum report_kind kind;
        bool want;
    } rows[] = {
        { RCPT_BOUNCED, 0, REPORT_FAILED, true },
        { RCPT_BOUNCED, DSN_NEVER, REPORT_FAILED, false },
        { RCPT_BOUNCED, DSN_SUCCESS | DSN_DELAY, REPORT_FAILED, false },
        { RCPT_BOUNCED, DSN_FAILURE, REPORT_FAILED, true },
        { RCPT_REPORTED, 0, REPORT_FAILED, false },
        { RCPT_DEFERRED, 0, REPORT_DELAYED, true },
        { RCPT_DEFERRED, DSN_FAILURE, REPORT_DELAYED, false },
        { RCPT_DEFERRED, 0, REPORT_FAILED, false },
        { RCPT_SENT, 0, REPORT_SUCCESS, false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct queue_rcpt r = { .state = rows[i].rcpt, .dsn_notify = rows[i].notify };
        struct notice n = { .e = &envelope, .params = &params, .kind = rows[i].kind };

        if (notice_concerns(&n, &r) != rows[i].want)
            fail_msg("row %zu", i);
    }
}

static void test_how_much_comes_back_follows_ret_and_the_limit(void **state)
{
    static const struct {
        uint32_t ret;
        uint64_t size;
        enum report_kind kind;
        bool body;
    } rows[] = {
        { DSN_RET_NONE, 50000, REPORT_FAILED, true },  { DSN_RET_NONE, 50001, REPORT_FAILED, false },
        { DSN_RET_FULL, 50001, REPORT_FAILED, false }, { DSN_RET_HDRS, 10, REPORT_FAILED, false },
        { DSN_RET_FULL, 10, REPORT_DELAYED, false },   { DSN_RET_FULL, 10, REPORT_SUCCESS, false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct queue_envelope e = envelope;
        struct notice n = { .e = &e, .params = &params, .kind = rows[i].kind };

        e.dsn_ret = rows[i].ret;
        e.content_size = rows[i].size;
        if (notice_returns_body(&n) != rows[i].body)
            fail_msg("row %zu", i);
    }
}

static void test_smtputf8_mail_gets_the_global_forms(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;
    char user[] = "ж@example.org";
    struct queue_rcpt r = { .address = user, .state = RCPT_BOUNCED, .dsn = "5.1.1", .text = busy };
    struct queue_envelope e = envelope;

    (void)state;
    e.flags = SUBMIT_SMTPUTF8;
    e.rcpts = &r;
    e.n_rcpts = 1;
    head(&s, &e, REPORT_FAILED);
    has(str_span(&s), "report-type=global-delivery-status;");
    has(str_span(&s), "Content-Type: message/global-delivery-status\r\n");
    has(str_span(&s), "Final-Recipient: utf-8; ж@example.org\r\n");
    has(str_span(&s), "Content-Type: text/plain; charset=utf-8\r\n");
    has(str_span(&s), "Content-Type: message/global\r\n");
}

static void test_no_line_is_longer_than_mail_allows(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;
    static char longest[2000];
    struct queue_rcpt r = {
        .address = longest, .state = RCPT_BOUNCED, .dsn = "5.1.1", .text = longest
    };
    struct queue_envelope e = envelope;

    (void)state;
    memset(longest, 'x', sizeof longest - 1);
    e.sender = longest;
    e.rcpts = &r;
    e.n_rcpts = 1;
    head(&s, &e, REPORT_FAILED);
    for (struct span rest = str_span(&s); rest.len > 0;)
        assert_in_range(span_cut(&rest, '\n').len, 0, 999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_success_says_how_far_the_message_went),
        cmocka_unit_test(test_the_end_of_a_delay_is_told_where_it_is_asked_for),
        cmocka_unit_test(test_the_postmaster_gets_the_facts_and_the_header),
        cmocka_unit_test(test_a_report_that_failed_is_shown_to_the_postmaster_although_it_asks_for_nothing),
        cmocka_unit_test(test_ten_thousand_recipients_need_not_be_in_memory_as_text),
        cmocka_unit_test(test_a_failure_names_recipient_status_and_reply),
        cmocka_unit_test(test_a_delay_tells_until_when_it_is_tried),
        cmocka_unit_test(test_success_is_told_only_to_those_who_asked),
        cmocka_unit_test(test_notify_decides_who_is_told_of),
        cmocka_unit_test(test_how_much_comes_back_follows_ret_and_the_limit),
        cmocka_unit_test(test_smtputf8_mail_gets_the_global_forms),
        cmocka_unit_test(test_no_line_is_longer_than_mail_allows),
    };
    templates_init(&templates);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    templates_done(&templates);
    return failed;
}
