/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message_test.c - questions as bytes, and answers whole, cut and malformed
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "dns/internal.h"

/* Header of an answer: id, flags, one question, n answers; then the question "a.b" of type t. */
#define ANSWER(flags, n, t)                                                                        \
    "\0\7" flags "\0\1\0" n "\0\0\0\0"                                                             \
    "\1a\1b\0"                                                                                     \
    "\0" t "\0\1"
#define RR(t, rdlen) "\xc0\x0c\0" t "\0\1\0\0\1\0\0" rdlen

static void test_a_question_is_built_with_ad_and_edns0(void **state)
{
    static const char want[] = "\x12\x34\x01\x20\0\1\0\0\0\0\0\1\7example\3com\0\0\x0f\0\1"
                               "\0\0\x29\x04\xd0\0\0\0\0\0\0";
    unsigned char buf[DNS_QUERY_MAX];

    (void)state;
    assert_int_equal(dns_message_query("example.com", DNS_MX, 0x1234, buf), sizeof want - 1);
    assert_memory_equal(buf, want, sizeof want - 1);
    assert_int_equal(dns_message_query("example.com.", DNS_MX, 0x1234, buf), sizeof want - 1);
}

static void test_names_that_cannot_be_asked_for_are_refused(void **state)
{
    char label[65] = {0}, name[400] = {0};
    static const char *const bad[] = {"", ".", "a..b", ".a", "a..", "a b", "a\tb", "a\x80"};
    unsigned char buf[DNS_QUERY_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (dns_message_query(bad[i], DNS_A, 1, buf) != -EINVAL)
            fail_msg("row %zu: \"%s\"", i, bad[i]);
    memset(label, 'x', 64);
    assert_int_equal(dns_message_query(label, DNS_A, 1, buf), -EINVAL);
    label[63] = '\0';
    assert_true(dns_message_query(label, DNS_A, 1, buf) > 0);
    for (size_t i = 0; i < 254; i++)
        name[i] = i % 2 ? '.' : 'x';
    assert_int_equal(dns_message_query(name, DNS_A, 1, buf),
                     12 + 255 + 4 + 11); /* dot at the end */
    name[254] = 'x';
    assert_int_equal(dns_message_query(name, DNS_A, 1, buf), -EINVAL);
}

/* show - an answer as text: status, bit, records */
static void show(const struct dns_answer *a, struct str *ret)
{
    static const char *const names[] = {"OK", "NOT_FOUND", "NO_DATA", "TEMPORARY", "INVALID"};
    char buf[INET6_ADDRSTRLEN];

    str_addf(ret, "%s%s", names[a->status], a->authentic ? " ad" : "");
    if (a->alias)
        str_addf(ret, " =%s", a->alias);
    for (size_t i = 0; i < a->len; i++) {
        const struct dns_record *rec = &a->records[i];

        str_addf(ret, " |%u", rec->ttl);
        if (rec->type == DNS_A || rec->type == DNS_AAAA)
            str_addf(ret, " %s", socket_addr_print(&rec->addr, buf));
        if (rec->type == DNS_MX)
            str_addf(ret, " %u", rec->preference);
        if (rec->name)
            str_addf(ret, " <%s>", rec->name);
        if (rec->data)
            str_addf(ret, " %zu", rec->data_len);
    }
}

static const struct {
    enum dns_type type;
    struct span msg;
    const char *want;
} cases[] = {
    {DNS_A,                   SPAN(ANSWER("\x81\x80",               "\1",                                                         "\1") RR("\1", "\4") "\xc0\0\2\7"), "OK |256 192.0.2.7"},
    {DNS_A,    SPAN(ANSWER("\x81\xa0",                     "\1",                                                                                 "\1") RR("\1", "\4") "\xc0\0\2\7"),
     "OK ad |256 192.0.2.7"},
    {DNS_A,
     SPAN(ANSWER("\x81\xa0", "\2", "\1") RR("\5", "\4") "\1c\xc0\x0c" RR("\1", "\4") "\xc0\0\2\7"),
     "OK ad =c.a.b |256 192.0.2.7"}, /* behind an alias */
    {DNS_A,
     SPAN(ANSWER("\x81\x80", "\2", "\1") RR("\5", "\4") "\1c\xc0\x0c" RR("\5", "\4") "\1d\xc0\x0c"),
     "NO_DATA =d.a.b"}, /* aliases that lead nowhere */
    {DNS_A, SPAN(ANSWER("\x81\x80", "\1", "\1") RR("\5", "\3") "\1;\0"), "INVALID"},
    {DNS_CNAME, SPAN(ANSWER("\x81\xa0", "\1", "\5") RR("\5", "\4") "\1c\xc0\x0c"), "OK ad |256 <c.a.b>"},
    {DNS_TLSA, SPAN(ANSWER("\x81\xa0", "\1", "\x34") RR("\x34", "\4") "\3\1\1h"), "OK ad |256 4"},
    {DNS_AAAA,
     SPAN(ANSWER("\x81\x80",                                      "\1",                                                                                              "\x1c")
              RR("\x1c", "\x10") "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"),
     "OK |256 2001:db8::1"},
    {DNS_MX,
     SPAN(ANSWER("\x81\x80",                                 "\2",                                                                                             "\x0f")
              RR("\x0f", "\7") "\0\x14\2m2\xc0\x0c" RR("\x0f", "\7") "\0\x0a\2m1\xc0\x0c"),
     "OK |256 10 <m1.a.b> |256 20 <m2.a.b>"},
    {DNS_MX,     SPAN(ANSWER("\x81\x80",                                         "\1",                                                                                              "\x0f") RR("\x0f", "\3") "\0\0\0"),
     "OK |256 0 <>"}, /* RFC 7505 */
    {DNS_PTR,                   SPAN(ANSWER("\x81\x80","\1",       "\x0c") RR("\x0c", "\2") "\xc0\x0c"), "OK |256 <a.b>"},
    {DNS_TXT,                       SPAN(ANSWER("\x81\x80",                                                      "\1",                                                                                                      "\x10") RR("\x10", "\7") "\3abc\2de"), "OK |256 5"},
    {DNS_TLSA, SPAN(ANSWER("\x81\x80", "\1",                                  "\x34") RR("\x34", "\5") "\3\1\1hi"), "OK |256 5"},
    {DNS_A,                       SPAN(ANSWER("\x81\x80",                                                      "\0",                                                                                        "\1")), "NO_DATA"},
    {DNS_A,      SPAN(ANSWER("\x81\x83",                           "\0",                                                                                                              "\1")), "NOT_FOUND"},
    {DNS_A,                 SPAN(ANSWER("\x81\x82",             "\0",                                                                          "\1")), "TEMPORARY"},
    {DNS_A,      SPAN(ANSWER("\x01\x80",                           "\1",                                                                                       "\1") RR("\1", "\4") "\xc0\0\2\7"),
     "INVALID"}, /* a question */
    {DNS_A,SPAN(ANSWER("\x81\x80","\1","\1") RR("\1", "\5") "\xc0\0\2\7\7"), "INVALID"},
    {DNS_A,            SPAN(ANSWER("\x81\x80",                                                "\1",                                                                                                     "\1") RR("\1", "\4") "\xc0\0\2"), "INVALID"},
    {DNS_A,                   SPAN(ANSWER("\x81\x80",                                      "\2",                                                "\1") RR("\1", "\4") "\xc0\0\2\7"), "INVALID"},
    {DNS_MX,                       SPAN(ANSWER("\x81\x80",                                                       "\1",                                                                       "\x0f") RR("\x0f", "\4") "\0\0\xc0\x23"),
     "INVALID"}, /* a loop */
    {DNS_MX,                 SPAN(ANSWER("\x81\x80",                                            "\1",                 "\x0f") RR("\x0f", "\6") "\0\0\2;r\0"), "INVALID"},
    {DNS_MX,SPAN(ANSWER("\x81\x80",  "\1","\x0f") RR("\x0f", "\1") "\0"), "INVALID"},
    {DNS_MX,                       SPAN(ANSWER("\x81\x80",                                                       "\1",                                                                             "\x0f") RR("\x0f", "\5") "\0\0\0xx"), "INVALID"},
    {DNS_TXT,                 SPAN(ANSWER("\x81\x80",                                          "\1",                             "\x10") RR("\x10", "\4") "\7abc"), "INVALID"},
    {DNS_TLSA,SPAN(ANSWER("\x81\x80",  "\1","\x34") RR("\x34", "\3") "\3\1\1"), "INVALID"},
    {DNS_A,               SPAN(""),                                                   "INVALID"                                                                                                          },
};

static void test_answers_are_understood_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str shown = STR_INIT;
        _cleanup_(dns_answer_done) struct dns_answer a;

        dns_message_parse(cases[i].msg.ptr, cases[i].msg.len, cases[i].type, &a);
        show(&a, &shown);
        if (!span_eq_str(str_span(&shown), cases[i].want))
            fail_msg("row %zu: %s instead of %s", i, shown.data, cases[i].want);
    }
}

#define DENIAL(rcode, rest) "\x12\x34\x81" rcode "\0\1\0\0\0\1\0\0" "\1a\1b\0\0\1\0\1" rest
#define SOA(ttl, len, minimum) "\xc0\x0c\0\6\0\1" ttl len "\0\0" "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4" minimum

static void test_a_denial_holds_as_long_as_its_soa_says(void **state)
{
    static const struct {
        struct span msg;
        uint32_t ttl;
    } denials[] = {
        { SPAN(DENIAL("\x83", SOA("\0\0\2\x58", "\0\x16", "\0\0\0\x3c"))), 60 },
        { SPAN(DENIAL("\x83", SOA("\0\0\0\x1e", "\0\x16", "\0\0\0\x3c"))), 30 },
        { SPAN(DENIAL("\x80", SOA("\0\0\2\x58", "\0\x16", "\0\0\0\x3c"))), 60 },
        { SPAN(DENIAL("\x83", SOA("\xff\xff\xff\xff", "\0\x16", "\xff\xff\xff\xff"))), 0 },
        { SPAN(DENIAL("\x83", SOA("\0\0\2\x58", "\0\x17", "\0\0\0\x3c"))), 0 }, /* cut */
        { SPAN(DENIAL("\x83", "")), 0 },
        { SPAN(DENIAL("\x83", "\xc0\x0c\0\2\0\1\0\0\2\x58\0\2\xc0\x0c")), 0 }, /* an NS record */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(denials); i++) {
        _cleanup_(dns_answer_done) struct dns_answer a;

        dns_message_parse(denials[i].msg.ptr, denials[i].msg.len, DNS_A, &a);
        if (a.status == DNS_OK || a.negative_ttl != denials[i].ttl)
            fail_msg("row %zu: %u", i, a.negative_ttl);
    }
}

static void test_an_answer_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t cut = 0; cut < cases[i].msg.len; cut++) {
            _cleanup_free_ char *exact = mem_dup_span(span_first(cases[i].msg, cut));
            _cleanup_(dns_answer_done) struct dns_answer a;

            exact = mem_realloc(exact, cut, 1); /* so that a byte too far is noticed */
            dns_message_parse(exact, cut, cases[i].type, &a);
            if (a.status == DNS_OK || a.len > 0)
                fail_msg("row %zu cut at %zu", i, cut);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_question_is_built_with_ad_and_edns0),
        cmocka_unit_test(test_names_that_cannot_be_asked_for_are_refused),
        cmocka_unit_test(test_answers_are_understood_or_refused),
        cmocka_unit_test(test_a_denial_holds_as_long_as_its_soa_says),
        cmocka_unit_test(test_an_answer_cut_anywhere_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
