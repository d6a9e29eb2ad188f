/* SPDX-License-Identifier: Apache-2.0 */
/* deliver_test.c - one recipient: headers, loops, results */
#include "local/agent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <glob.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "table/table.h"

static struct str text_of(const char *text)
{
    struct str s = STR_INIT;

    str_add_str(&s, text);
    return s;
}

static void recipient_done(struct recipient *r)
{
    str_free(&r->rcpt.address);
    str_free(&r->rcpt.orig);
    str_free(&r->outcome.text);
}

static void message_done(struct message *m)
{
    str_free(&m->head);
    str_free(&m->request.sender);
    if (m->fd > 0)
        close(m->fd);
}

static void test_a_delivered_to_of_the_header_is_a_loop(void **state)
{
    static const struct {
        const char *head, *address;
        bool loop;
    } cases[] = {
        { "Delivered-To: ann@example.com\r\n\r\n", "ann@example.com", true },
        { "A: b\r\nDELIVERED-TO:Ann@Example.com \r\nC: d\r\n\r\n", "ann@example.com", true },
        { "Delivered-To: bob@example.com\r\n\r\n", "ann@example.com", false },
        { "A: b\r\n\r\nDelivered-To: ann@example.com\r\n", "ann@example.com", false },
        { "X-Delivered-To: ann@example.com\r\n\r\n", "ann@example.com", false },
        { "", "ann@example.com", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(message_done) struct message m = { .head = text_of(cases[i].head) };

        print_message("case %zu\n", i);
        assert_int_equal(message_has_looped(&m, span_of(cases[i].address)), cases[i].loop);
    }
}

static void test_the_trace_headers_are_those_of_postfix(void **state)
{
    static const struct {
        const char *sender, *address, *orig, *want;
    } cases[] = {
        { "a@b", "ann@example.com", "",
          "Return-Path: <a@b>\nX-Original-To: ann@example.com\nDelivered-To: ann@example.com\n" },
        { "", "ann@example.com", "all@example.com",
          "Return-Path: <>\nX-Original-To: all@example.com\nDelivered-To: ann@example.com\n" },
        { "a b@c", "x\nEvil: y@z", "",
          "Return-Path: <\"a b\"@c>\nX-Original-To: x?Evil: y@z\nDelivered-To: x?Evil: y@z\n" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct params p = { .enable_original_recipient = true };
        struct server sv = { .params = &p };
        struct agent agent = { .sv = &sv };
        _cleanup_(message_done) struct message m = { .agent = &agent, .request.sender = text_of(cases[i].sender) };
        _cleanup_(recipient_done) struct recipient r = {
            .rcpt.address = text_of(cases[i].address),
            .rcpt.orig = text_of(cases[i].orig),
        };
        _cleanup_(str_free) struct str lines = STR_INIT;

        deliver_prepend(&m, &r, true, &lines);
        assert_string_equal(lines.data, cases[i].want);
    }
}

static void test_a_failure_has_this_code(void **state)
{
    static const struct {
        int error;
        enum outcome_status status;
        const char *dsn;
    } cases[] = {
        { EDQUOT, OUTCOME_DEFERRED, "4.2.2" }, { ENOSPC, OUTCOME_DEFERRED, "4.3.1" },
        { EFBIG, OUTCOME_BOUNCED, "5.2.3" },   { EACCES, OUTCOME_DEFERRED, "4.2.0" },
        { EIO, OUTCOME_DEFERRED, "4.3.0" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(recipient_done) struct recipient r = { .outcome.number = 0 };

        deliver_failed(&r.outcome, "/m", -cases[i].error);
        assert_int_equal(r.outcome.status, cases[i].status);
        assert_string_equal(r.outcome.dsn, cases[i].dsn);
        assert_non_null(strstr(r.outcome.text.data, "maildir delivery failed: /m: "));
    }
}

static void test_a_message_lands_in_the_maildir_of_its_recipient(void **state)
{
    char base[] = "/tmp/deliver_test.XXXXXX", maps[200], pattern[100], command[100], content[100] = "";
    glob_t found;

    (void)state;
    assert_non_null(mkdtemp(base));
    snprintf(maps, sizeof maps, "inline:{ {ann@example.com = ann/} {bob@example.com = bob} }");
    struct params p;
    memset(&p, 0, sizeof p);
    p.enable_original_recipient = true;
    p.virtual_mailbox_base = base;
    p.virtual_mailbox_maps = maps;
    p.virtual_uid_maps = p.virtual_gid_maps = "static:5000";
    p.virtual_minimum_uid = 100;
    p.virtual_mailbox_quota = p.recipient_delimiter = p.home_mailbox = p.mydestination = "";
    struct server sv = { .params = &p, .single_user = true };
    struct agent a = { .sv = &sv };
    _cleanup_(str_free) struct str err = STR_INIT;
    assert_int_equal(maps_open("", &a.limits, &err), 0);
    assert_int_equal(locator_open(NULL, &p, &a.locator, &err), 0);

    _cleanup_(message_done) struct message m = { .agent = &a, .fd = memfd_create("m", 0) };
    m.head = text_of("A: b\r\n\r\nx\r\n");
    m.request.content_size = m.head.len;
    m.request.sender = text_of("s@t");
    static const struct {
        const char *address, *dsn, *text;
    } cases[] = {
        { "ann@example.com", "2.0.0", "delivered to maildir" },
        { "who@example.com", "5.1.1", "unknown user: \"who@example.com\"" },
        { "bob@example.com", "4.3.5", "mail system configuration error: the path in virtual_mailbox_maps is no "
                                      "Maildir: it must end in '/'" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(recipient_done) struct recipient r = { .rcpt.address = text_of(cases[i].address) };

        deliver_recipient(&m, &r);
        assert_string_equal(r.outcome.dsn, cases[i].dsn);
        assert_string_equal(r.outcome.text.data, cases[i].text);
    }
    snprintf(pattern, sizeof pattern, "%s/ann/new/*", base);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    FILE *f = fopen(found.gl_pathv[0], "r");
    assert_true(fread(content, 1, sizeof content - 1, f) > 0);
    fclose(f);
    globfree(&found);
    assert_string_equal(content, "Return-Path: <s@t>\nX-Original-To: ann@example.com\n"
                                 "Delivered-To: ann@example.com\nA: b\n\nx\n");
    maps_free(a.limits);
    locator_free(a.locator);
    snprintf(command, sizeof command, "rm -rf %s", base);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_delivered_to_of_the_header_is_a_loop),
        cmocka_unit_test(test_the_trace_headers_are_those_of_postfix),
        cmocka_unit_test(test_a_failure_has_this_code),
        cmocka_unit_test(test_a_message_lands_in_the_maildir_of_its_recipient),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
