/* SPDX-License-Identifier: Apache-2.0 */
/*
 * str_test.c - growing, escaping, encoding
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/own.h"
#include "base/str.h"

static void test_a_string_grows_and_stays_terminated(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;

    (void)state;
    assert_string_equal(str_cstr(&s), "");
    for (size_t i = 0; i < 1000; i++) {
        str_add_char(&s, 'x');
        assert_int_equal(s.data[i + 1], '\0');
    }
    str_truncate(&s, 2);
    str_add_str(&s, "y");
    str_addf(&s, "-%s-%d", "z", 5);
    str_add_u64(&s, 0);
    str_add_u64(&s, UINT64_MAX);
    assert_string_equal(s.data, "xxy-z-5018446744073709551615");
    str_reset(&s);
    assert_int_equal(s.len, 0);
    for (int i = 0; i < 200; i++)
        str_addf(&s, "%0*d", i, 7);
    assert_int_equal(s.len, 199 * 200 / 2 + 1);
    str_reset(&s);
    str_add_lower(&s, (struct span)SPAN("Ab\0\xc4Z"));
    assert_true(span_eq(str_span(&s), (struct span)SPAN("ab\0\xc4z")));
    char *taken = str_take(&s);
    assert_null(s.data);
    free(taken);
    taken = str_take(&s);
    assert_string_equal(taken, "");
    free(taken);
}

static void test_a_string_can_be_set_to_a_part_of_itself(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;

    (void)state;
    str_set(&s, (struct span)SPAN("0123456789"));
    str_set(&s, span_first(span_from(str_span(&s), 3), 4));
    assert_string_equal(s.data, "3456");
    str_set(&s, SPAN_NULL);
    assert_string_equal(s.data, "");
}

static void test_text_from_peers_is_escaped_and_cut(void **state)
{
    static const struct {
        struct span in;
        size_t max;
        enum str_escape utf8;
        const char *want;
    } cases[] = {
        {SPAN("plain"),        99, STR_ASCII, "plain"    },
        {SPAN("a\r\n\0\x7f"),  99, STR_ASCII, "a????"    },
        {SPAN("\xc3\xa4"),     99, STR_ASCII, "??"       },
        {SPAN("\xc3\xa4\xff"), 99, STR_UTF8,  "\xc3\xa4?"},
        {SPAN("\xe2\x80\xae"
              "x"),
         99,                       STR_UTF8,  "???x"     }, /* turns text around */
        {SPAN("\xc2\x9b"
              "1m"),
         99,                       STR_UTF8,  "??1m"     }, /* C1: terminals obey it */
        {SPAN("abcdef"),       3,  STR_ASCII, "abc"      },
        {SPAN("ab\xc3\xa4"),   3,  STR_UTF8,  "ab"       }, /* no half character */
        {SPAN("abc"),          0,  STR_UTF8,  ""         },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str s = STR_INIT;

        str_add_escaped(&s, cases[i].in, cases[i].max, cases[i].utf8);
        if (strcmp(str_cstr(&s), cases[i].want) != 0)
            fail_msg("row %zu: %s", i, s.data);
    }
}

static void test_json_and_hex_are_well_formed(void **state)
{
    _cleanup_(str_free) struct str s = STR_INIT;

    (void)state;
    str_add_json(&s, (struct span)SPAN("a\"\\\n\t\x01\0\x7f\xc3\xa4\xff\xe2\x82"));
    assert_string_equal(
        s.data,
        "\"a\\\"\\\\\\n\\t\\u0001\\u0000\\u007f\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    str_reset(&s);
    str_add_hex(&s, (struct span)SPAN("\0\x1f\xff"));
    assert_string_equal(s.data, "001fff");
}

static void test_base64_is_that_of_rfc_4648_and_strict(void **state)
{
    static const struct {
        const char *plain, *text;
    } good[] = {
        {"",             ""        },
        {"f",            "Zg=="    },
        {"fo",           "Zm8="    },
        {"foo",          "Zm9v"    },
        {"foob",         "Zm9vYg=="},
        {"fooba",        "Zm9vYmE="},
        {"foobar",       "Zm9vYmFy"},
        {"\xff\xfe\xfb", "//77"    },
    };
    static const char *const bad[] = {"Z",    "Zg",       "Zg=",  "Zg===",  "=",    "====", "Zh==",
                                      "Zm9=", "Zg==Zg==", "Z g=", "Zm9v\n", "Zm9-", "Z=9v", "Zm=v"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        _cleanup_(str_free) struct str s = STR_INIT, back = STR_INIT;

        str_add_base64(&s, span_of(good[i].plain));
        assert_string_equal(str_cstr(&s), good[i].text);
        assert_int_equal(str_add_unbase64(&back, str_span(&s)), 0);
        assert_string_equal(str_cstr(&back), good[i].plain);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_(str_free) struct str s = STR_INIT;

        str_add_str(&s, "kept");
        if (str_add_unbase64(&s, span_of(bad[i])) != -EINVAL || strcmp(s.data, "kept") != 0)
            fail_msg("row %zu: %s", i, bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_string_grows_and_stays_terminated),
        cmocka_unit_test(test_a_string_can_be_set_to_a_part_of_itself),
        cmocka_unit_test(test_text_from_peers_is_escaped_and_cut),
        cmocka_unit_test(test_json_and_hex_are_well_formed),
        cmocka_unit_test(test_base64_is_that_of_rfc_4648_and_strict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
