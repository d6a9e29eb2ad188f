/* SPDX-License-Identifier: Apache-2.0 */
/* content_test.c - what goes out between DATA and its end */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "smtp/smtp.h"

static const struct {
    const char *in;
    bool keep_bare_cr;
    const char *wanted;
} cases[] = {
    { ".a\r\n..b\r\n.\r\nc.\r\n\n.d", true, "..a\r\n...b\r\n..\r\nc.\r\n\n..d" },
    { "a\rb\r\n\r.\r\n.\rc\r\r\n", false, "a b\r\n .\r\n.. c \r\n" },
    { "a\rb\r\n\r.\r\n.\rc\r\r\n", true, "a\rb\r\n\r.\r\n..\rc\r\r\n" },
};

static const struct {
    const char *in, *wanted;
} long_lines[] = {
    { "123456\r\n", "123456\r\n" },
    { "1234567\r\n", "123456\r\n 7\r\n" },
    { "12345678901234\r\nx\r\n", "123456\r\n 78901\r\n 234\r\nx\r\n" },
    { "123456\r7\r\n", "123456\r\n  7\r\n" },
};

static void test_dots_and_bare_crs_are_found_wherever_the_pieces_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct span in = span_of(cases[i].in);
        for (size_t cut = 0; cut <= in.len; cut++) {
            _cleanup_(str_free) struct str out = STR_INIT;
            struct content_state s = { .stuff = true, .keep_bare_cr = cases[i].keep_bare_cr };
            content_clean(span_first(in, cut), &s, &out);
            content_clean(span_from(in, cut), &s, &out);
            assert_string_equal(str_cstr(&out), cases[i].wanted);
        }
    }
}

static void test_a_long_line_is_broken_wherever_the_pieces_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof long_lines / sizeof long_lines[0]; i++) {
        struct span in = span_of(long_lines[i].in);
        for (size_t cut = 0; cut <= in.len; cut++) {
            _cleanup_(str_free) struct str out = STR_INIT;
            struct content_state s = { .line_max = 6 };
            content_clean(span_first(in, cut), &s, &out);
            content_clean(span_from(in, cut), &s, &out);
            assert_string_equal(str_cstr(&out), long_lines[i].wanted);
        }
    }
}

static void test_what_needs_no_change_is_recognised(void **state)
{
    (void)state;
    assert_true(content_is_clean(span_of("123456\r\n.\r\n"), false, 6));
    assert_false(content_is_clean(span_of("1234567\r\n"), false, 6));
    assert_true(content_is_clean(span_of("1234567\r\n"), false, 0));
    assert_false(content_is_clean(span_of("1\r2\r\n"), false, 6));
    assert_true(content_is_clean(span_of("1\r2\r\n"), true, 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dots_and_bare_crs_are_found_wherever_the_pieces_are_cut),
        cmocka_unit_test(test_a_long_line_is_broken_wherever_the_pieces_are_cut),
        cmocka_unit_test(test_what_needs_no_change_is_recognised),
        cmocka_unit_test(test_a_long_line_is_broken_wherever_the_pieces_are_cut),
        cmocka_unit_test(test_what_needs_no_change_is_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
