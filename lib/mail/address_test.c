/* SPDX-License-Identifier: Apache-2.0 */
/* address_test.c - tests of address.c and address_header.c */
#include "mail/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/own.h"

#define NUL      ADDRESS_NULL
#define LENIENT  ADDRESS_LENIENT
#define NODOMAIN ADDRESS_NODOMAIN
#define UTF8     ADDRESS_UTF8

static const struct {
    const char *in;
    unsigned flags;
    const char *want; /* NULL: refused */
    const char *rest;
} paths[] = {
    { "<ann@example.com>", 0, "ann@example.com", "" },
    { "<ann@example.com> SIZE=10", 0, "ann@example.com", " SIZE=10" },
    { "<ann.b+x=y@example.com>", 0, "ann.b+x=y@example.com", "" },
    { "<\"ann b\"@example.com>", 0, "ann b@example.com", "" },
    { "<\"a\\\"b\\@\"@example.com>", 0, "a\"b@@example.com", "" },
    { "<\"\"@example.com>", LENIENT, NULL, NULL },
    { "<ann@[192.0.2.1]>", 0, "ann@[192.0.2.1]", "" },
    { "<ann@[IPv6:2001:db8::1]>", 0, "ann@[IPv6:2001:db8::1]", "" },
    { "<@a.example,@b.example:ann@example.com>", 0, "ann@example.com", "" },
    { "<>", NUL, "", "" },
    { "<> BODY=7BIT", NUL, "", " BODY=7BIT" },
    { "<>", 0, NULL, NULL },
    { "<postmaster>", NODOMAIN, "postmaster", "" },
    { "<postmaster>", 0, NULL, NULL },
    { "<\"a@b\">", NODOMAIN, NULL, NULL },
    { "ann@example.com", 0, NULL, NULL },
    { "ann@example.com SIZE=1", LENIENT, "ann@example.com", " SIZE=1" },
    { " < ann@example.com >", LENIENT, "ann@example.com", "" },
    { " <ann@example.com>", 0, NULL, NULL },
    { "<ann..b.@example.com>", LENIENT, "ann..b.@example.com", "" },
    { "<ann..b@example.com>", 0, NULL, NULL },
    { "<.ann@example.com>", 0, NULL, NULL },
    { "<ann@example.com.>", LENIENT, "ann@example.com", "" },
    { "<ann@example.com.>", 0, NULL, NULL },
    { "<ann@example.com", LENIENT, NULL, NULL },
    { "<ann@example.com>x", 0, NULL, NULL },
    { "<ann@>", 0, NULL, NULL },
    { "<@example.com>", 0, NULL, NULL },
    { "<ann@exa mple.com>", LENIENT, NULL, NULL },
    { "<ann@-example.com>", 0, NULL, NULL },
    { "<ann@a..b>", LENIENT, NULL, NULL },
    { "<ann@[300.0.0.1]>", 0, NULL, NULL },
    { "<ann@[]>", 0, NULL, NULL },
    { "<ann\r@example.com>", LENIENT, NULL, NULL },
    { "<\"ann\r\n\"@example.com>", LENIENT, NULL, NULL },
    { "<ann@example.com\x01>", LENIENT, NULL, NULL },
    { "<\xc3\xbc@example.com>", UTF8, "\xc3\xbc@example.com", "" },
    { "<\xc3\xbc@example.com>", 0, NULL, NULL },
    { "<\xff@example.com>", UTF8, NULL, NULL },
    { "<@a.example>", 0, NULL, NULL },
    { "<@:ann@example.com>", 0, NULL, NULL },
    { "", LENIENT | NUL, NULL, NULL },
    { "<", LENIENT | NUL, NULL, NULL },
    { "\"", LENIENT | NUL, NULL, NULL },
};

static void test_a_path_is_read_whole_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;
        struct span in = span_of(paths[i].in);
        int r = address_parse_path(&in, paths[i].flags, 256, &got);

        if (!!paths[i].want != (r == 0))
            fail_msg("%s: %d %s", paths[i].in, r, str_cstr(&got));
        if (!paths[i].want)
            continue;
        assert_string_equal(str_cstr(&got), paths[i].want);
        assert_true(span_eq_str(in, paths[i].rest));
    }
}

static void test_an_address_over_the_limit_is_told_apart_from_a_wrong_one(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str got = STR_INIT;
    struct span in = span_of("<ann@example.com>");

    assert_int_equal(address_parse_path(&in, 0, 14, &got), -EMSGSIZE);
    assert_true(span_eq_str(in, "<ann@example.com>"));
    assert_int_equal(address_parse_path(&in, 0, 15, &got), 0);
}

static const struct {
    const char *addr, *want;
} quotings[] = {
    { "ann@example.com", "ann@example.com" },
    { "ann b@example.com", "\"ann b\"@example.com" },
    { "a\"b\\c@x", "\"a\\\"b\\\\c\"@x" },
    { "a@b@x", "\"a@b\"@x" },
    { ".a@x", "\".a\"@x" },
    { "a..b@x", "\"a..b\"@x" },
    { "@x", "\"\"@x" },
    { "ann", "ann" },
    { "", "" },
    { "a\r\nRCPT@x", "\"a??RCPT\"@x" },
    { "\xc3\xbc@x", "\xc3\xbc@x" },
};

static void test_an_address_is_quoted_only_where_it_must_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(quotings); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;

        address_quote(&got, span_of(quotings[i].addr));
        assert_string_equal(str_cstr(&got), quotings[i].want);
    }
}

static const struct {
    const char *local, *delimiters, *user, *ext;
} splits[] = {
    { "ann+lists", "+", "ann", "lists" }, { "ann", "+", "ann", "" },
    { "ann+a+b", "+", "ann", "a+b" },     { "+ann", "+", "+ann", "" },
    { "ann-x+y", "+-", "ann", "x+y" },    { "owner-x", "-", "owner-x", "" },
    { "x-request", "-", "x-request", "" }, { "owner-x+y", "+", "owner-x", "y" },
    { "double-bounce", "-", "double-bounce", "" }, { "ann+", "+", "ann", "" },
    { "ann+b", "", "ann+b", "" },         { "Mailer-Daemon", "-", "Mailer-Daemon", "" },
};

static void test_an_extension_is_cut_at_the_first_delimiter(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(splits); i++) {
        struct span user, ext;

        address_split_extension(span_of(splits[i].local), splits[i].delimiters, &user, &ext);
        if (!span_eq_str(user, splits[i].user) || !span_eq_str(ext, splits[i].ext))
            fail_msg("%s", splits[i].local);
    }
}

static const struct {
    const char *domain;
    bool valid;
    const char *literal; /* NULL: none */
} domains[] = {
    { "example.com", true, NULL },  { "a_b.example", true, NULL },
    { "xn--bro-hoa.x", true, NULL }, { "example.com.", false, NULL },
    { "-a.example", false, NULL },  { "a-.example", false, NULL },
    { "a..b", false, NULL },        { "", false, NULL },
    { "a b", false, NULL },         { "[192.0.2.1]", false, "192.0.2.1" },
    { "[IPv6:::1]", false, "::1" }, { "[ipv6:2001:db8::1]", false, "2001:db8::1" },
    { "[::1]", false, NULL },       { "[192.0.2]", false, NULL },
    { "[IPv6:192.0.2.1]", false, NULL }, { "[", false, NULL },
    { "a.0123456789012345678901234567890123456789012345678901234567890123", false, NULL },
};

static void test_domains_and_literals_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(domains); i++) {
        struct span inner = SPAN_NULL;
        bool literal = address_literal(span_of(domains[i].domain), &inner);

        if (address_domain_valid(span_of(domains[i].domain)) != domains[i].valid ||
            literal != !!domains[i].literal)
            fail_msg("%s", domains[i].domain);
        if (literal)
            assert_true(span_eq_str(inner, domains[i].literal));
    }
}

/* "display|mailbox|host" of every item (with a route "@a,@bmailbox"), groups as "{name" and "}", a name alone as "~name" */
static void print_list(const char *value, size_t max, struct str *ret)
{
    struct header_address_list l;

    header_addresses_parse(span_of(value), max, &l);
    for (size_t i = 0; i < l.len; i++) {
        struct header_address *a = &l.items[i];

        if (ret->len > 0)
            str_add_char(ret, ' ');
        if (a->kind == HDR_ADDR_GROUP_START)
            str_addf(ret, "{" SPAN_FMT, SPAN_ARG(a->display));
        else if (a->kind == HDR_ADDR_GROUP_END)
            str_add_char(ret, '}');
        else if (a->kind == HDR_ADDR_NAME)
            str_addf(ret, "~" SPAN_FMT, SPAN_ARG(a->display));
        else
            str_addf(ret, SPAN_FMT "|" SPAN_FMT "%s|%s", SPAN_ARG(a->display), SPAN_ARG(a->route), str_cstr(&a->mailbox),
                     str_cstr(&a->host));
    }
    header_addresses_done(&l);
}

static const struct {
    const char *value, *want;
} lists[] = {
    { " ann@example.com", "|ann|example.com" },
    { "Ann B <ann@example.com>, bob@x", "Ann B|ann|example.com |bob|x" },
    { "\"B, Ann\" <ann@example.com>", "B, Ann|ann|example.com" },
    { "\"A\" \"B\" <a@x>", "\"A\" \"B\"|a|x" },
    { "ann@example.com (Ann B)", "Ann B|ann|example.com" },
    { "\"ann b\"@example.com", "|ann b|example.com" },
    { "ann . b @ example . com", "|ann.b|example.com" },
    { "<@a,@b:ann@x>", "|@a,@bann|x" },
    { "Ann <@a : ann@x>", "Ann|@aann|x" },
    { "ann@x>, bob@y", "|ann|x |bob|y" },
    { "MAILER-DAEMON <>", "~MAILER-DAEMON" },
    { "\"A B\" <>, <> (C)", "~A B ~C" },
    { "A B c@x", "~A B c@x" },
    { "Team: ann@x, Bob <bob@y>;, carol@z", "{Team |ann|x Bob|bob|y } |carol|z" },
    { "undisclosed-recipients:;", "{undisclosed-recipients }" },
    { "Team: ann@x", "{Team |ann|x }" },
    { "ann@x; bob@y", "|ann|x |bob|y" },
    { ", ,ann@x,,", "|ann|x" },
    { "ann", "|ann|" },
    { "two words, ann@x", "~two words |ann|x" },
    { "<>", "" },
    { "ann@", "~ann@" },
    { "@x", "~@x" },
    { "A (comment \\) more (nested)) <a@x>", "A|a|x" },
    { "<a@x, b@y", "|a|x |b|y" },
    { "\"unclosed <a@x>, b@y", "\"unclosed|a|x |b|y" },
    { "a@[IPv6:2001:db8::1], b@y", "|a|[IPv6:2001:db8::1] |b|y" },
    { "a@[x, b@y", "|a|[x |b|y" },
    { "Ann\r\n <ann@x>,\r\n\tbob@y", "Ann|ann|x |bob|y" },
    { "(only a comment)", "" },
    { "(((((", "" },
    { "", "" },
};

static void test_address_lists_as_people_write_them_are_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;

        print_list(lists[i].value, 100, &got);
        if (!span_eq_str(str_span(&got), lists[i].want))
            fail_msg("%s: %s, not %s", lists[i].value, str_cstr(&got), lists[i].want);
    }
}

static void test_a_list_stops_at_its_limit(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str got = STR_INIT;

    print_list("a@x, b@x, c@x", 2, &got);
    assert_string_equal(str_cstr(&got), "|a|x |b|x");
}

static int complete(struct span in, struct str *out, void *arg)
{
    (void)arg;
    if (span_chr(in, '@') >= 0)
        return 0;
    str_set(out, in);
    str_add_str(out, "@here.example");
    return 1;
}

static const struct {
    const char *value, *want; /* NULL: unchanged */
} rewrites[] = {
    { " ann", " ann@here.example" },
    { " Ann <ann>, bob@x,\r\n\tcarol (C)", " Ann <ann@here.example>, bob@x,\r\n\tcarol@here.example (C)" },
    { "\"a b\"", "\"a b\"@here.example" },
    { "Team: ann, bob;", "Team: ann@here.example, bob@here.example;" },
    { "ann@x", NULL },
    { "two words", NULL },
    { "<>", NULL },
    { "", NULL },
};

static void test_rewriting_changes_addresses_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rewrites); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;
        int r = header_addresses_rewrite(span_of(rewrites[i].value), complete, NULL, &got);

        assert_int_equal(r, rewrites[i].want ? 1 : 0);
        if (rewrites[i].want)
            assert_string_equal(str_cstr(&got), rewrites[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_path_is_read_whole_or_refused),
        cmocka_unit_test(test_an_address_over_the_limit_is_told_apart_from_a_wrong_one),
        cmocka_unit_test(test_an_address_is_quoted_only_where_it_must_be),
        cmocka_unit_test(test_an_extension_is_cut_at_the_first_delimiter),
        cmocka_unit_test(test_domains_and_literals_are_told_apart),
        cmocka_unit_test(test_address_lists_as_people_write_them_are_understood),
        cmocka_unit_test(test_a_list_stops_at_its_limit),
        cmocka_unit_test(test_rewriting_changes_addresses_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
