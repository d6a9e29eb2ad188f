/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules_test.c - regexp, pcre and cidr tables
 */
#include "table/rules.h"

#include "base/mem.h"
#include "table/test_files.h"

enum { REGEXP = 1, PCRE = 2, BOTH = 3, CIDR = 4 };

static const struct {
    unsigned bit;
    const struct rule_kind *kind;
} kinds[] = { { REGEXP, &rule_kind_regexp }, { PCRE, &rule_kind_pcre }, { CIDR, &rule_kind_cidr } };

static void test_rules_answer(void **state)
{
    static const struct {
        unsigned in;
        const char *table, *key, *want;
    } rows[] = {
        { BOTH,   "/^a$/ one\n/./ two",                   "A",              "one" },
        { BOTH,   "/^a$/i one\n/./ two",                  "A",              "two" },
        { BOTH,   "/^a$/ one",                            "b",              "-" },
        { BOTH,   "/^(.*)\\+(.*)@(.*)$/ $1@$3 $2 $$ ${1}x $(2)", "u+e@d",   "u@d e $ ux e" },
        { BOTH,   "/^(a)|b$/ x$1y",                       "b",              "xy" },
        { BOTH,   "!/^a/ not a",                          "b",              "not a" },
        { BOTH,   "!/^a/ not a",                          "a",              "-" },
        { BOTH,   "! !/^a/ double",                       "a",              "double" },
        { BOTH,   "if /a/\n/b/ ab\nendif\n/./ rest",      "ab",             "ab" },
        { BOTH,   "if /a/\n/b/ ab\nendif\n/./ rest",      "b",              "rest" },
        { BOTH,   "if !/a/\n/b/ b\nendif\n/./ rest",      "b",              "b" },
        { BOTH,   "if /a/\nif /b/\n/c/ abc\nendif\n/./ a\nendif", "abc",    "abc" },
        { BOTH,   "if /a/\nif /b/\n/c/ abc\nendif\n/./ a\nendif", "ax",     "a" },
        { BOTH,   "#x\n\n%a/b% slash\n  goes on",         "a/b",            "slash  goes on" },
        { BOTH,   "/a\\/b/ slash",                        "a/b",            "slash" },
        { BOTH,   "/^$/ empty",                           "",               "empty" },
        { REGEXP, "/^\\(a\\)$/x basic",                   "a",              "basic" },
        { PCRE,   "/a.b/ dotall",                         "a\nb",           "dotall" },
        { PCRE,   "/a.b/s no dotall",                     "a\nb",           "-" },
        { PCRE,   "/^(?:a|b)(?<!b)$/ look",               "a",              "look" },
        { PCRE,   "/^(a+)+$/ slow",                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "E" },
        { CIDR,   "192.0.2.0/24 net\n0.0.0.0/0 all",      "192.0.2.9",      "net" },
        { CIDR,   "192.0.2.0/24 net\n0.0.0.0/0 all",      "10.0.0.1",       "all" },
        { CIDR,   "192.0.2.0/24 net\n0.0.0.0/0 all",      "::1",            "-" },
        { CIDR,   "192.0.2.0/24 net\n0.0.0.0/0 all",      "host.example",   "-" },
        { CIDR,   "192.0.2.1 one",                        "192.0.2.1",      "one" },
        { CIDR,   "[2001:db8::]/33 v6",                   "2001:db8:7fff::","v6" },
        { CIDR,   "2001:db8::/33 v6",                     "2001:db8:8000::","-" },
        { CIDR,   "::ffff:192.0.2.0/120 mapped",          "192.0.2.5",      "mapped" },
        { CIDR,   "!192.0.2.0/24 outside",                "10.1.1.1",       "outside" },
        { CIDR,   "if 10.0.0.0/8\n10.1.0.0/16 in\nendif\n0.0.0.0/0 out", "10.1.2.3", "in" },
        { CIDR,   "if 10.0.0.0/8\n10.1.0.0/16 in\nendif\n0.0.0.0/0 out", "10.2.2.3", "out" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
            _cleanup_(str_free) struct str value = STR_INIT, err = STR_INIT;
            _cleanup_(rules_free_ptr_) struct rules *rules = NULL;

            if (!(rows[i].in & kinds[k].bit))
                continue;
            if (rules_parse(kinds[k].kind, span_of(rows[i].table), "t", &rules, &err) < 0)
                fail_msg("%s: %s", rows[i].table, str_cstr(&err));
            int r = rules_get(rules, span_of(rows[i].key), &value);

            if (strcmp(shown(r, &value), rows[i].want) != 0)
                fail_msg("%s: %s gave \"%s\"", rows[i].table, rows[i].key, shown(r, &value));
        }
    }
}

static void test_wrong_rules_are_refused_with_their_line(void **state)
{
    static const struct {
        unsigned in;
        const char *table, *want;
    } rows[] = {
        { BOTH,   "/a/ x\n/b",                "t, line 2: no closing '/'" },
        { BOTH,   "/a/",                      "t, line 1: expected format: pattern whitespace result" },
        { BOTH,   "/a/!x y",                  "t, line 1: expected format" },
        { BOTH,   "/(a)/ $2",                 "t, line 1: $2 in the result, but the pattern has 1" },
        { BOTH,   "!/(a)/ $1",                "no $1 in the result of a !pattern" },
        { BOTH,   "/a/ $x",                   "bad $name" },
        { BOTH,   "/a/ ${1",                  "bad $name" },
        { BOTH,   "/a/ $",                    "bad $name" },
        { BOTH,   "/a/ $99",                  "bad $name" },
        { BOTH,   "if /a/\n/b/ x",            "t, line 1: \"if\" without \"endif\"" },
        { BOTH,   "/b/ x\nendif",             "t, line 2: \"endif\" without \"if\"" },
        { BOTH,   "if /a/ x\nendif",          "text behind the pattern" },
        { BOTH,   "if /a/\nendif x",          "text behind \"endif\"" },
        { BOTH,   "abc x",                    "expected a pattern" },
        { BOTH,   "  /a/ x",                  "t, line 1: expected a pattern" },
        { BOTH,   "/[/ x",                    "bad pattern" },
        { BOTH,   "/a\\",                     "no closing" },
        { CIDR,   "10.0.0.1/8 x",             "10.0.0.0/8" },
        { CIDR,   "10.0.0/8 x",               "bad network address" },
        { CIDR,   "10.0.0.0/-1 x",            "0 to 32" },
        { CIDR,   "10.0.0.0/8",               "expected format" },
        { CIDR,   "10.0.0.0/8 $1",            "but the pattern has 0" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
            _cleanup_(str_free) struct str err = STR_INIT;
            struct rules *rules = NULL;

            if (!(rows[i].in & kinds[k].bit))
                continue;
            assert_true(rules_parse(kinds[k].kind, span_of(rows[i].table), "t", &rules, &err) < 0);
            if (!strstr(str_cstr(&err), rows[i].want))
                fail_msg("%s: \"%s\" lacks \"%s\"", rows[i].table, str_cstr(&err), rows[i].want);
        }
    }
}

static void test_nesting_has_a_limit(void **state)
{
    _cleanup_(str_free) struct str table = STR_INIT, err = STR_INIT;
    struct rules *rules = NULL;

    (void)state;
    for (int i = 0; i <= RULE_NESTING_MAX; i++)
        str_add_str(&table, "if /a/\n");
    assert_true(rules_parse(&rule_kind_regexp, str_span(&table), "t", &rules, &err) < 0);
    assert_non_null(strstr(str_cstr(&err), "line 65: more than 64"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_answer),
        cmocka_unit_test(test_wrong_rules_are_refused_with_their_line),
        cmocka_unit_test(test_nesting_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
