/* SPDX-License-Identifier: Apache-2.0 */
/*
 * span_test.c - cutting, comparing, numbers, hashing
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/chars.h"
#include "base/mem.h"
#include "base/own.h"
#include "base/span.h"
#include "base/str.h"
#include "base/utf8.h"

static void test_words_are_cut_as_main_cf_writes_lists(void **state)
{
    static const struct {
        const char *text, *seps, *want; /* words, each followed by '|' */
    } cases[] = {
        {"a, b  c",    " \t,", "a|b|c|"    },
        {" ,, ",       " ,",   ""          },
        {"",           " ,",   ""          },
        {"{ a, b } c", " ,",   " a, b |c|" },
        {"{a {b} c}d", " ,",   "a {b} c|d|"},
        {"{open a",    " ,",   "{open|a|"  },
        {"x{a b}",     " ,",   "x{a|b}|"   },
        {"{a}:b",      ":",    "{a}|b|"    },
        {"{}",         " ",    "|"         },
        {"a:b",        " ",    "a:b|"      },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;
        struct span s = span_of(cases[i].text), word;

        while (span_word(&s, cases[i].seps, &word)) {
            str_add(&got, word);
            str_add_char(&got, '|');
        }
        if (strcmp(str_cstr(&got), cases[i].want) != 0)
            fail_msg("row %zu: %s", i, got.data);
    }
}

static void test_a_cut_takes_the_separator_with_it(void **state)
{
    struct span s = SPAN("a=b=c"), empty = SPAN_NULL;

    (void)state;
    assert_true(span_eq_str(span_cut(&s, '='), "a"));
    assert_true(span_eq_str(span_cut_any(&s, ";="), "b"));
    assert_true(span_eq_str(span_cut(&s, '='), "c"));
    assert_int_equal(s.len, 0);
    assert_int_equal(span_cut(&s, '=').len, 0);
    assert_int_equal(span_cut(&empty, '=').len, 0);
    assert_int_equal(span_cut_any(&empty, "=").len, 0);
}

static void test_spans_may_hold_nul_and_may_be_null(void **state)
{
    static const struct span a = SPAN("a\0b"), b = SPAN("a\0c");

    (void)state;
    assert_false(span_eq(a, b));
    assert_false(span_eq_str(a, "a"));
    assert_true(span_cmp(a, b) < 0);
    assert_int_equal(span_chr(a, '\0'), 1);
    assert_int_equal(span_find(a, (struct span)SPAN("\0b")), 1);
    assert_int_equal(span_chr(SPAN_NULL, 'x'), -1);
    assert_int_equal(span_rchr(SPAN_NULL, 'x'), -1);
    assert_int_equal(span_find(SPAN_NULL, a), -1);
    assert_int_equal(span_find(SPAN_NULL, SPAN_NULL), 0);
    assert_int_equal(span_find_nocase(SPAN_NULL, a), -1);
    assert_true(span_eq(SPAN_NULL, span_of("")));
    assert_true(span_eq_nocase(SPAN_NULL, span_of("")));
    assert_true(span_starts(a, SPAN_NULL) && span_starts_nocase(a, SPAN_NULL));
    assert_int_equal(span_from(a, 9).len, 0);
    assert_int_equal(span_from(SPAN_NULL, 1).len, 0);
    assert_int_equal(span_trim(SPAN_NULL).len, 0);
    assert_int_equal(span_hash(SPAN_NULL), span_hash(span_of("")));
}

static void test_case_is_folded_for_ascii_only(void **state)
{
    (void)state;
    assert_true(span_eq_nocase_str(span_of("MAIL"), "mail"));
    assert_false(span_eq_nocase_str(span_of("\xc4"), "\xe4"));
    assert_false(span_eq_nocase_str(span_of("@[`{"), "`{@["));
    assert_int_equal(span_cmp_nocase(span_of("AB"), span_of("abc")), -1);
    assert_int_equal(span_cmp_nocase(span_of("B"), span_of("a")), 1);
    assert_int_equal(span_cmp_nocase(span_of("a"), span_of("A")), 0);
    assert_int_equal(span_find_nocase(span_of("xxFrOm:"), span_of("from")), 2);
    assert_true(span_ends_nocase(span_of("x.COM"), span_of(".com")));
    assert_false(span_ends_nocase(span_of("com"), span_of(".com")));
}

static void test_prefixes_are_taken_only_when_there(void **state)
{
    struct span s = SPAN("FROM:<a>");

    (void)state;
    assert_false(span_take_nocase(&s, "to:"));
    assert_true(span_take_nocase(&s, "from:"));
    assert_true(span_take(&s, '<'));
    assert_false(span_take(&s, '<'));
    assert_true(span_eq_str(s, "a>"));
    assert_true(span_eq_str(span_skip_ws(span_of(" \t a ")), "a "));
    assert_true(span_eq_str(span_trim(span_of(" \r\n\ta b\t\r\n")), "a b"));
    assert_int_equal(span_trim(span_of(" \r\n")).len, 0);
}

static void test_numbers_are_digits_in_range_and_nothing_else(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
        int r;
        uint64_t n;
    } cases[] = {
        {"0",                     9,          0,       0         },
        {"007",                   9,          0,       7         },
        {"18446744073709551615",  UINT64_MAX, 0,       UINT64_MAX},
        {"18446744073709551616",  UINT64_MAX, -ERANGE, 0         },
        {"99999999999999999999",  UINT64_MAX, -ERANGE, 0         },
        {"10",                    9,          -ERANGE, 0         },
        {"",                      9,          -EINVAL, 0         },
        {"-1",                    9,          -EINVAL, 0         },
        {"+1",                    9,          -EINVAL, 0         },
        {" 1",                    9,          -EINVAL, 0         },
        {"1x",                    9,          -EINVAL, 0         },
        {"99999999999999999999x", 9,          -EINVAL, 0         },
    };
    int64_t i64;
    uint32_t u32;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t n = 0;
        int r = span_u64(span_of(cases[i].text), cases[i].max, &n);

        if (r != cases[i].r || n != cases[i].n)
            fail_msg("row %zu: %d", i, r);
    }
    assert_int_equal(span_i64(span_of("-9223372036854775808"), &i64), 0);
    assert_true(i64 == INT64_MIN);
    assert_int_equal(span_i64(span_of("9223372036854775808"), &i64), -ERANGE);
    assert_int_equal(span_i64(span_of("--1"), &i64), -EINVAL);
    assert_int_equal(span_i64(span_of("-"), &i64), -EINVAL);
    assert_int_equal(span_u32(span_of("4294967295"), UINT32_MAX, &u32), 0);
    assert_int_equal(u32, UINT32_MAX);
    assert_int_equal(span_u32(span_of("4294967296"), UINT32_MAX, &u32), -ERANGE);
}

static void test_the_distance_of_names_is_the_number_of_characters_to_change(void **state)
{
    static const struct {
        const char *a, *b;
        size_t wanted;
    } cases[] = {
        { "", "", 0 },
        { "", "abc", 3 },
        { "smtpd_timeout", "smtpd_timeout", 0 },
        { "smtpd_timout", "smtpd_timeout", 1 },
        { "smptd_timeout", "smtpd_timeout", 2 },
        { "abc", "xyz", 3 },
    };
    char longer[300];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (span_distance(span_of(cases[i].a), span_of(cases[i].b)) != cases[i].wanted)
            fail_msg("%s, %s", cases[i].a, cases[i].b);
    memset(longer, 'a', sizeof longer);
    assert_int_equal(span_distance(span_make(longer, sizeof longer), span_make(longer, sizeof longer - 1)), 0);
}

static void test_hashes_see_every_byte_and_fold_case_when_asked(void **state)
{
    char a[40], b[40];

    (void)state;
    for (size_t len = 1; len < sizeof a; len++) {
        for (size_t i = 0; i < len; i++) {
            memset(a, 'q', len);
            memset(b, 'q', len);
            b[i] = 'Q';
            assert_true(span_hash(span_make(a, len)) != span_hash(span_make(b, len)));
            assert_true(span_hash_nocase(span_make(a, len)) == span_hash_nocase(span_make(b, len)));
            b[i] = 'r';
            assert_true(span_hash_nocase(span_make(a, len)) != span_hash_nocase(span_make(b, len)));
        }
        assert_true(span_hash(span_make(a, len)) != span_hash(span_make(a, len - 1)));
    }
    for (int c = 0; c < 256; c++) { /* exactly A-Z are folded */
        char x = (char)c, lower = char_lower(x), other = (char)(c ^ 32);

        assert_true(span_hash_nocase(span_make(&x, 1)) == span_hash_nocase(span_make(&lower, 1)));
        if (!char_is(x, CHAR_ALPHA))
            assert_true(span_hash_nocase(span_make(&x, 1)) !=
                        span_hash_nocase(span_make(&other, 1)));
    }
}

static void test_character_classes_are_those_of_ascii(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool digit = c >= '0' && c <= '9', upper = c >= 'A' && c <= 'Z',
             lower = c >= 'a' && c <= 'z';
        bool special = c > 0 && c < 128 && strchr("!#$%&'*+-/=?^_`{|}~", c);

        assert_int_equal(char_is((char)c, CHAR_DIGIT), digit);
        assert_int_equal(char_is((char)c, CHAR_UPPER), upper);
        assert_int_equal(char_is((char)c, CHAR_LOWER), lower);
        assert_int_equal(char_is((char)c, CHAR_XDIGIT),
                         digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
        assert_int_equal(char_is((char)c, CHAR_CTL), c < 32 || c == 127);
        assert_int_equal(char_is((char)c, CHAR_BLANK), c == ' ' || c == '\t');
        assert_int_equal(char_is((char)c, CHAR_HIGH), c > 127);
        assert_int_equal(char_is((char)c, CHAR_ATEXT), digit || upper || lower || special);
    }
}

static void test_only_well_formed_utf8_is_decoded(void **state)
{
    static const struct {
        struct span text;
        size_t n;
        uint32_t cp;
    } cases[] = {
        {SPAN("a"),                1, 'a'     },
        {SPAN("\xc3\xa4"),         2, 0xe4    },
        {SPAN("\xe2\x82\xac"),     3, 0x20ac  },
        {SPAN("\xf4\x8f\xbf\xbf"), 4, 0x10ffff},
        {SPAN("\0"),               1, 0       },
        {SPAN(""),                 0, 0       },
        {SPAN("\xc3"),             0, 0       },
        {SPAN("\x80"),             0, 0       },
        {SPAN("\xc0\x80"),         0, 0       }, /* too long */
        {SPAN("\xe0\x80\xaf"),     0, 0       },
        {SPAN("\xf0\x80\x80\xaf"), 0, 0       },
        {SPAN("\xed\xa0\x80"),     0, 0       }, /* surrogate */
        {SPAN("\xf4\x90\x80\x80"), 0, 0       }, /* above U+10FFFF */
        {SPAN("\xff"),             0, 0       },
        {SPAN("\xe2\x82z"),        0, 0       },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t cp = 0;
        size_t n = utf8_decode(cases[i].text, &cp);
        char back[4];

        if (n != cases[i].n || cp != cases[i].cp)
            fail_msg("row %zu: %zu", i, n);
        if (n > 0) {
            assert_int_equal(utf8_encode(cp, back), n);
            assert_memory_equal(back, cases[i].text.ptr, n);
        }
        assert_int_equal(utf8_valid(cases[i].text), n > 0 || cases[i].text.len == 0);
    }
    assert_false(utf8_printable(0x7f) || utf8_printable(0x85) || utf8_printable(0x202e) ||
                 utf8_printable('\n'));
    assert_true(utf8_printable('a') && utf8_printable(0xa0) && utf8_printable(0x1f600));
}

static void a_list_has_a_word_only_as_a_whole(void **state)
{
    static const struct {
        const char *list, *word;
        bool want;
    } cases[] = {
        { "a, bc d", "bc", true }, { "a, bc d", "BC", true }, { "a, bc d", "b", false }, { "", "a", false }, { "abc", "ab", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (span_list_has(span_of(cases[i].list), cases[i].word) != cases[i].want)
            fail_msg("case %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_has_a_word_only_as_a_whole),
        cmocka_unit_test(test_words_are_cut_as_main_cf_writes_lists),
        cmocka_unit_test(test_a_cut_takes_the_separator_with_it),
        cmocka_unit_test(test_spans_may_hold_nul_and_may_be_null),
        cmocka_unit_test(test_case_is_folded_for_ascii_only),
        cmocka_unit_test(test_prefixes_are_taken_only_when_there),
        cmocka_unit_test(test_numbers_are_digits_in_range_and_nothing_else),
        cmocka_unit_test(test_the_distance_of_names_is_the_number_of_characters_to_change),
        cmocka_unit_test(test_hashes_see_every_byte_and_fold_case_when_asked),
        cmocka_unit_test(test_character_classes_are_those_of_ascii),
        cmocka_unit_test(test_only_well_formed_utf8_is_decoded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
