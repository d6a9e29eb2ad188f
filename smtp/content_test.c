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

static void test_dots_and_bare_crs_are_found_wherever_the_pieces_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct span in = span_of(cases[i].in);
        for (size_t cut = 0; cut <= in.len; cut++) {
            _cleanup_(str_free) struct str out = STR_INIT;
            struct content_state s = { .at_line_start = true, .keep_bare_cr = cases[i].keep_bare_cr };
            content_stuff(span_first(in, cut), &s, &out);
            content_stuff(span_from(in, cut), &s, &out);
            assert_string_equal(str_cstr(&out), cases[i].wanted);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dots_and_bare_crs_are_found_wherever_the_pieces_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
