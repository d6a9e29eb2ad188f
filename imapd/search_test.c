/* SPDX-License-Identifier: Apache-2.0 */
/* search_test.c - search programs, and text found where it is */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "search.h"
#include "search_text.h"

static const char *const kinds[] = {
    [SEARCH_AND] = "and",           [SEARCH_OR] = "or",
    [SEARCH_FLAG] = "flag",         [SEARCH_KEYWORD] = "keyword",
    [SEARCH_RECENT] = "recent",     [SEARCH_NEW] = "new",           [SEARCH_SEQ] = "seq",
    [SEARCH_UID] = "uid",           [SEARCH_LARGER] = "larger",
    [SEARCH_SMALLER] = "smaller",   [SEARCH_MODSEQ] = "modseq",
    [SEARCH_BEFORE] = "before",     [SEARCH_ON] = "on",
    [SEARCH_SINCE] = "since",       [SEARCH_OLDER] = "older",
    [SEARCH_YOUNGER] = "younger",   [SEARCH_SENTBEFORE] = "sentbefore",
    [SEARCH_SENTON] = "senton",     [SEARCH_SENTSINCE] = "sentsince",
    [SEARCH_SAVEDBEFORE] = "savedbefore", [SEARCH_SAVEDON] = "savedon",
    [SEARCH_SAVEDSINCE] = "savedsince", [SEARCH_EMAILID] = "emailid", [SEARCH_THREADID] = "threadid",
    [SEARCH_HEADER] = "header",     [SEARCH_BODY] = "body",
    [SEARCH_TEXT] = "text",
};

/* "and(flag !header:From:a)" */
static void describe(const struct search *q, uint32_t node, struct str *out)
{
    const struct search_node *n = &q->nodes[node];

    str_addf(out, "%s%s", n->negate ? "!" : "", kinds[n->kind]);
    if (n->field.len > 0)
        str_addf(out, ":%.*s", SPAN_ARG(n->field));
    if (n->text.len > 0)
        str_addf(out, ":%.*s", SPAN_ARG(n->text));
    if (n->first_child == SEARCH_NONE)
        return;
    str_add_char(out, '(');
    for (uint32_t i = n->first_child; i != SEARCH_NONE; i = q->nodes[i].next) {
        if (i != n->first_child)
            str_add_char(out, ' ');
        describe(q, i, out);
    }
    str_add_char(out, ')');
}

static void test_programs_are_parsed_or_refused(void **state)
{
    static const struct {
        const char *in, *want; /* want NULL: refused */
    } cases[] = {
        { "ALL", "and(and)" },
        { "seen UNSEEN", "and(flag !flag)" },
        { "NOT DELETED", "and(!and(flag))" },
        { "NOT NOT DELETED", "and(!and(!and(flag)))" },
        { "OR FROM a (TO \"b c\" 1:3)", "and(or(header:From:a and(header:To:b c seq)))" },
        { "OR OR 1 2 3", "and(or(or(seq seq) seq))" },
        { "HEADER X-a {3+}\r\nd e", "and(header:X-a:d e)" },
        { "KEYWORD work UNKEYWORD $Forwarded", "and(keyword:work !flag:$Forwarded)" },
        { "UID 1:* LARGER 5 SMALLER 10", "and(uid larger smaller)" },
        { "BEFORE 1-Feb-2020 SENTSINCE \"02-Mar-2021\"", "and(before sentsince)" },
        { "NEW RECENT OLD", "and(new recent !recent)" },
        { "YOUNGER 5 OLDER 5 MODSEQ 5", "and(younger older modseq)" },
        { "MODSEQ \"/flags/\\\\draft\" all 5", "and(modseq)" },
        { "( ALL )", "and(and(and))" },
        { "( )", NULL },
        { "((1))", "and(and(and(seq)))" },
        { "", NULL },
        { "BOGUS", NULL },
        { "FROM", NULL },
        { "FROM ", NULL },
        { "HEADER a", NULL },
        { "OR 1", NULL },
        { "NOT", NULL },
        { "(1", NULL },
        { "()", NULL },
        { "1)", NULL },
        { "1  2", "and(seq seq)" },
        { "1,", NULL },
        { "BEFORE yesterday", NULL },
        { "BEFORE 40-Jan-2020", NULL },
        { "LARGER x", NULL },
        { "LARGER 9223372036854775807", "and(larger)" },
        { "LARGER 9223372036854775808", NULL },
        { "YOUNGER 0", NULL },
        { "(((((1)))))", "and(and(and(and(and(and(seq))))))" },
        { "((((((1))))))", NULL }, /* deeper than 5 */
        { "NOT NOT NOT NOT NOT 1", "and(!and(!and(!and(!and(!and(seq))))))" },
        { "NOT NOT NOT NOT NOT NOT 1", NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(parse_done) struct parse p;
        _cleanup_(search_done) struct search q = SEARCH_INIT;
        _cleanup_(str_free) struct str got = STR_INIT;

        parse_init(&p, span_of(cases[i].in));

        bool good = parse_search(&p, &(struct search_context){ .max_depth = 5, .max_keys = 20 }, &q);

        if (good)
            describe(&q, 0, &got);
        if (good != (cases[i].want != NULL) ||
            (good && !span_eq_str(str_span(&got), cases[i].want)))
            fail_msg("case %zu: %s gives %s", i, cases[i].in, good ? str_cstr(&got) : "nothing");
    }
}

static void test_text_is_found_in_either_case(void **state)
{
    static const struct {
        const char *in, *text;
        bool want;
    } cases[] = {
        { "Hello World", "o w", true }, { "Hello", "HELLO", true }, { "Hello", "hellow", false },
        { "aAaab", "aab", true },       { "x", "", true },          { "", "x", false },
        { "a1b", "1B", true },          { "\xc3\xa9t\xc3\xa9", "\xc3\xa9T", true },
        { "@`", "`", true },            { "[{", "{", true },        { "[", "{", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (search_contains(span_of(cases[i].in), span_of(cases[i].text), NULL) != cases[i].want)
            fail_msg("case %zu: %s in %s", i, cases[i].text, cases[i].in);
}

#define MIXED                                                                                      \
    "Subject: =?iso-8859-1?q?Gr=FC=DFe?= an\r\n alle\r\nX-Empty:\r\nContent-Type: "                \
    "multipart/mixed; boundary=b\r\n\r\n"                                                          \
    "preamble\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"                          \
    "Content-Transfer-Encoding: quoted-printable\r\n\r\nsch=F6n wei=\r\nch\r\n--b\r\n"             \
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "                       \
    "base64\r\n\r\nZ2VoZWlt\r\n--b\r\n"                                                            \
    "Content-Type: image/png\r\n\r\npicture\r\n--b\r\nContent-Type: "                              \
    "message/rfc822\r\n\r\nSubject: inner\r\n\r\n"                                                 \
    "core\r\n--b--\r\n"

static void test_text_is_found_behind_its_encodings(void **state)
{
    static const struct {
        const char *text;
        bool in_header, in_body;
    } cases[] = {
        { "gr\xc3\xbc\xc3\x9f" "e an alle", true, false },
        { "x-empty", true, false },
        { "sch\xc3\xb6n WEICH", false, true },
        { "geheim", false, true },
        { "Z2Vo", false, false },
        { "inner", false, true },
        { "core", false, true },
        { "picture", false, false },
        { "preamble", false, false },
    };
    _cleanup_(mime_done) struct mime m = MIME_INIT;

    (void)state;
    mime_parse(span_of(MIXED), 10, 100, NULL, &m);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool in_header = search_header(m.parts[0].header, SPAN_NULL, span_of(cases[i].text), NULL);
        bool in_body = search_body(&m, span_of(cases[i].text), NULL);

        if (in_header != cases[i].in_header || in_body != cases[i].in_body)
            fail_msg("case %zu: %s", i, cases[i].text);
    }
    assert_true(search_header(m.parts[0].header, span_of("x-empty"), span_of(""), NULL));
    assert_false(search_header(m.parts[0].header, span_of("x-none"), span_of(""), NULL));
}

static void test_a_header_field_is_searched_as_it_is_read(void **state)
{
    static const struct {
        const char *header, *field, *text;
        bool found;
    } cases[] = {
        { "Subject: Hello World\r\n", "subject", "world", true },
        { "Subject: Hello World\r\n", "Subject", "hello w", true },
        { "Subject: Hello World\r\n", "From", "hello", false },
        { "Subject: Hello World\r\n", "Subject", "subject", false },
        { "Subject: Hello\r\n World\r\n", "Subject", "hello world", true },
        { "Subject: Hello\tWorld\r\n", "Subject", "hello world", true },
        { "Subject: Hello\r\n World\r\n", "Subject", "world", true },
        { "Subject: =?utf-8?q?H=65llo?=\r\n", "Subject", "hello", true },
        { "Subject: =?utf-8?q?H=65llo?=\r\n", "Subject", "utf-8", false },
        { "From: hello\r\nSubject: =?utf-8?b?d29ybGQ=?=\r\n", "Subject", "hello", false },
        { "From: x\r\nSubject: =?utf-8?b?d29ybGQ=?=\r\n", "Subject", "world", true },
        { "Subject: a\r\nSubject: b\r\n", "Subject", "b", true },
        { "Subject: a\r\n", "Subject", "", true },
        { "Subject: a\r\n", "To", "", false },
        { "To: a\r\nX-b: c\r\n", NULL, "x-B: C", true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct span field = cases[i].field ? span_of(cases[i].field) : SPAN_NULL;

        if (search_header(span_of(cases[i].header), field, span_of(cases[i].text), NULL) != cases[i].found)
            fail_msg("case %zu: \"%s\" for \"%s\"", i, cases[i].header, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_programs_are_parsed_or_refused),
        cmocka_unit_test(test_text_is_found_in_either_case),
        cmocka_unit_test(test_text_is_found_behind_its_encodings),
        cmocka_unit_test(test_a_header_field_is_searched_as_it_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
