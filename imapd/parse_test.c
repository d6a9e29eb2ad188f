/* SPDX-License-Identifier: Apache-2.0 */
/* parse_test.c - the grammar of commands, sequence sets, LIST patterns */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "append.h"
#include "base/mem.h"
#include "mailbox_name.h"
#include "parse.h"
#include "seqset.h"

typedef bool string_rule(struct parse *p, struct span *ret);

static void test_strings_are_taken_or_refused(void **state)
{
    static const struct {
        string_rule *rule;
        const char *in;
        const char *want, *rest; /* want NULL: refused */
    } cases[] = {
        { parse_astring, "abc def", "abc", " def" },
        { parse_astring, "a]b(", "a]b", "(" },
        { parse_astring, "\"a b\"c", "a b", "c" },
        { parse_astring, "\"a\\\"\\\\b\"", "a\"\\b", "" },
        { parse_astring, "\"a\\b\"", NULL, NULL },
        { parse_astring, "\"abc", NULL, NULL },
        { parse_astring, "\"a\\", NULL, NULL },
        { parse_astring, "\"a\r\n\"", NULL, NULL },
        { parse_astring, "{3}\r\na\"b rest", "a\"b", " rest" },
        { parse_astring, "{3+}\r\nabc", "abc", "" },
        { parse_astring, "{0}\r\n", "", "" },
        { parse_astring, "{4}\r\nabc", NULL, NULL },
        { parse_astring, "{3}abc", NULL, NULL },
        { parse_astring, "{99999999999}\r\nabc", NULL, NULL },
        { parse_astring, "", NULL, NULL },
        { parse_astring, "(", NULL, NULL },
        { parse_astring, "\x80", NULL, NULL },
        { parse_atom, "a]", "a", "]" },
        { parse_atom, "%", NULL, NULL },
        { parse_tag, "a.1 x", "a.1", " x" },
        { parse_tag, "a+1 x", NULL, NULL },
        { parse_nstring, "nil", "", "" },
        { parse_nstring, "\"NIL\"", "NIL", "" },
        { parse_nstring, "nill", NULL, NULL },
        { parse_list_mailbox, "a%*] x", "a%*]", " x" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(parse_done) struct parse p;
        struct span got = SPAN_NULL;

        parse_init(&p, span_of(cases[i].in));

        bool taken = cases[i].rule(&p, &got);

        if (taken != (cases[i].want != NULL) ||
            (taken && (!span_eq_str(got, cases[i].want) || !span_eq_str(p.in, cases[i].rest))))
            fail_msg("case %zu: %s", i, cases[i].in);
    }
}

static void test_a_literal_is_announced_at_the_end_of_a_line(void **state)
{
    static const struct {
        const char *line;
        bool want;
        uint64_t size;
        bool sync;
    } cases[] = {
        { "a LOGIN {5}",              true,  5,          true  },
        { "a LOGIN {5+}",             true,  5,          false },
        { "a LOGIN {5} ",             false, 0,          false },
        { "a LOGIN \"{x}",            false, 0,          false },
        { "{",                        false, 0,          false },
        { "}",                        false, 0,          false },
        { "{}",                       false, 0,          false },
        { "{+}",                      false, 0,          false },
        { "{4294967296}",             true,  4294967296, true  },
        { "{18446744073709551615+}",  true,  UINT64_MAX, false },
        { "{18446744073709551616+}",  true,  UINT64_MAX, false },
        { "{99999999999999999999+}",  true,  UINT64_MAX, false },
        { "{-1}",                     false, 0,          false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct span rest;
        uint64_t size = 0;
        bool sync = false;
        bool is = parse_literal_spec(span_of(cases[i].line), &rest, &size, &sync);

        if (is != cases[i].want || (is && (size != cases[i].size || sync != cases[i].sync)))
            fail_msg("case %zu: %s", i, cases[i].line);
    }
}

static void test_the_message_of_append_is_told_from_other_literals(void **state)
{
    static const struct {
        const char *before;
        bool want;
    } cases[] = {
        { "a APPEND INBOX ", true },
        { "a append \"a b\" (\\Seen x) ", true },
        { "a APPEND {3}\r\na b () \"17-Jul-1996 02:44:25 -0700\" ", true },
        { "a APPEND x \" 1-Jul-1996 02:44:25 -0700\" ", true },
        { "a APPEND ", false },
        { "a APPEND INBOX (\\Bogus) ", false },
        { "a APPEND INBOX \"yesterday\" ", false },
        { "a LOGIN x ", false },
        { "a UID APPEND INBOX ", false },
        { "", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (append_is_message(span_of(cases[i].before)) != cases[i].want)
            fail_msg("case %zu: %s", i, cases[i].before);
}

static void test_sequence_sets_are_ordered_and_merged(void **state)
{
    static const struct {
        const char *text;
        uint32_t star;
        const char *want; /* NULL: refused */
    } cases[] = {
        { "1", 9, "1" },
        { "2,4:7,9,12:*", 15, "2,4:7,9,12:15" },
        { "*:4,5:7", 10, "4:10" },
        { "7:5,6,5", 10, "5:7" },
        { "1,2,3", 10, "1:3" },
        { "3291:*", 10, "10:3291" },
        { "*", 4, "4" },
        { "4294967295,1:4294967294", 4, "1:4294967295" },
        { "0", 9, NULL },
        { "1:0", 9, NULL },
        { "4294967296", 9, NULL },
        { "", 9, NULL },
        { "1,", 9, NULL },
        { ",1", 9, NULL },
        { "1:", 9, NULL },
        { "1:2:3", 9, NULL },
        { "**", 9, NULL },
        { "a", 9, NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(seqset_done) struct seqset set = SEQSET_INIT;
        _cleanup_(str_free) struct str got = STR_INIT;
        int r = seqset_parse(span_of(cases[i].text), &set);

        if ((r == 0) != (cases[i].want != NULL))
            fail_msg("case %zu: %s gives %d", i, cases[i].text, r);
        if (r < 0)
            continue;
        seqset_resolve(&set, cases[i].star);
        for (size_t k = 0; k < set.len; k++) {
            str_addf(&got, k ? ",%u" : "%u", set.items[k].from);
            if (set.items[k].to != set.items[k].from)
                str_addf(&got, ":%u", set.items[k].to);
            assert_true(seqset_has(&set, set.items[k].from) && seqset_has(&set, set.items[k].to));
        }
        assert_false(seqset_has(&set, 0));
        assert_string_equal(str_cstr(&got), cases[i].want);
    }
}

static void test_numbers_are_written_as_a_set(void **state)
{
    _cleanup_(str_free) struct str out = STR_INIT;
    struct seqset_printer p = { .out = &out };
    static const uint32_t numbers[] = { 1, 2, 3, 5, 7, 8 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        seqset_print(&p, numbers[i]);
    seqset_print_end(&p);
    assert_string_equal(str_cstr(&out), "1:3,5,7:8");
}

static void test_list_patterns_match_as_the_wildcards_say(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool want;
    } cases[] = {
        { "*", "a/b/c", true },     { "%", "a", true },          { "%", "a/b", false },
        { "a/%", "a/b", true },     { "a/%", "a/b/c", false },   { "a/%", "a", false },
        { "%/%", "a/b", true },     { "*b", "a/bb", true },      { "*b%", "a/bcb", true },
        { "*%c", "a/b/c", true },   { "%b*", "ab/x", true },     { "", "", true },
        { "a", "A", false },        { "%a%b", "xaxbxab", true }, { "*a/%d", "x/a/bc/a/cd", true },
        { "%x", "a/x", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (mailbox_name_matches(span_of(cases[i].name), span_of(cases[i].pattern)) !=
            cases[i].want)
            fail_msg("case %zu: %s, %s", i, cases[i].pattern, cases[i].name);
}

/* RFC 3501 section 6.3.8 word by word */
static bool matches_slowly(const char *name, const char *pattern)
{
    if (*pattern == '*')
        return matches_slowly(name, pattern + 1) || (*name && matches_slowly(name + 1, pattern));
    if (*pattern == '%')
        return matches_slowly(name, pattern + 1) || (*name && *name != '/' && matches_slowly(name + 1, pattern));
    return *pattern == *name && (!*name || matches_slowly(name + 1, pattern + 1));
}

static void test_list_patterns_match_as_a_slow_matcher_says(void **state)
{
    uint32_t seed = 1;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        char name[9] = "", pattern[9] = "";

        for (int k = 0; k < 8; k++) {
            seed = seed * 1664525 + 1013904223;
            name[k] = "ab//aab"[seed >> 16 & 7];
            pattern[k] = "ab/*%*%"[seed >> 20 & 7];
        }
        if (mailbox_name_matches(span_of(name), span_of(pattern)) != matches_slowly(name, pattern))
            fail_msg("%s, %s", name, pattern);
    }
}

static void test_no_list_pattern_takes_long(void **state)
{
    static const char *const pieces[] = { "*%a", "%a", "*a", "%*", "*", "a%a%*", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa*%" };
    char name[301];

    (void)state;
    memset(name, 'a', 300);
    name[300] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        _cleanup_(str_free) struct str pattern = STR_INIT;

        while (pattern.len < 60000)
            str_add_str(&pattern, pieces[i]);
        str_add_char(&pattern, 'b');
        for (int n = 0; n < 100; n++)
            assert_false(mailbox_name_matches(span_of(name), str_span(&pattern)));
    }
}

static void test_names_are_decoded_at_the_edge(void **state)
{
    static const struct {
        const char *wire, *want; /* want NULL: refused */
    } cases[] = {
        {"inbox",           "INBOX"          },
        {"Inbox/x",         "INBOX/x"        },
        {"Inboxes",         "Inboxes"        },
        {"Entw&APw-rfe",    "Entw\xc3\xbcrfe"},
        {"a&-b",            "a&b"            },
        {"Entw\xc3\xbcrfe", "Entw\xc3\xbcrfe"},
        {"a&b",             NULL             },
        {"\xff",            NULL             },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;
        int r = mailbox_name_decode(span_of(cases[i].wire), NAMES_UTF7, &got);

        if ((r == 0) != (cases[i].want != NULL) ||
            (r == 0 && !span_eq_str(str_span(&got), cases[i].want)))
            fail_msg("case %zu: %s", i, cases[i].wire);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings_are_taken_or_refused),
        cmocka_unit_test(test_a_literal_is_announced_at_the_end_of_a_line),
        cmocka_unit_test(test_the_message_of_append_is_told_from_other_literals),
        cmocka_unit_test(test_sequence_sets_are_ordered_and_merged),
        cmocka_unit_test(test_numbers_are_written_as_a_set),
        cmocka_unit_test(test_list_patterns_match_as_the_wildcards_say),
        cmocka_unit_test(test_list_patterns_match_as_a_slow_matcher_says),
        cmocka_unit_test(test_no_list_pattern_takes_long),
        cmocka_unit_test(test_names_are_decoded_at_the_edge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
