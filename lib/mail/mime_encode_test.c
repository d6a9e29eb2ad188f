/* SPDX-License-Identifier: Apache-2.0 */
/* mime_encode_test.c - quoted-printable and base64 bodies */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mail/mime.h"
#include "mail/mime_encode.h"

static const struct {
    const char *in, *wanted;
} quoted[] = {
    { "abc\r\n", "abc\r\n" },
    { "a=b\r\n", "a=3Db\r\n" },
    { "gr\xc3\xbc\xc3\x9f\r\n", "gr=C3=BC=C3=9F\r\n" },
    { "end \r\n", "end=20\r\n" },
    { "a\tb\t\r\n", "a\tb=09\r\n" },
    { ".\r\n..\r\n", "=2E\r\n=2E.\r\n" },
    { "\x7f\x01\r\n", "=7F=01\r\n" },
    { "a\rb\r\n", "a=0Db\r\n" },
    { "", "" },
};

static void test_text_is_quoted_as_rfc_2045_wants_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(quoted); i++) {
        _cleanup_(str_free) struct str out = STR_INIT;
        size_t column = 0;

        mime_encode_quoted(span_of(quoted[i].in), &column, &out);
        if (strcmp(str_cstr(&out), quoted[i].wanted) != 0)
            fail_msg("%s: %s", quoted[i].in, str_cstr(&out));
    }
}

static void test_a_long_line_gets_soft_breaks_and_comes_back_whole(void **state)
{
    _cleanup_(str_free) struct str in = STR_INIT, out = STR_INIT, back = STR_INIT;
    size_t column = 0;

    (void)state;
    for (int i = 0; i < 3000; i++)
        str_add_char(&in, i * 7 % 256 == '\n' ? 'n' : (char)(i * 7));
    str_add_str(&in, "x\r\n");
    mime_encode_quoted(str_span(&in), &column, &out);
    struct span rest = str_span(&out);
    while (rest.len > 0)
        assert_in_range(span_cut(&rest, '\n').len, 1, 77);
    mime_decode(str_span(&out), MIME_QUOTED_PRINTABLE, NULL, &back);
    assert_true(span_eq(str_span(&back), str_span(&in)));
}

static void test_base64_lines_are_full_and_the_last_line_end_waits(void **state)
{
    _cleanup_(str_free) struct str waiting = STR_INIT, out = STR_INIT, back = STR_INIT, in = STR_INIT;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        str_add_char(&in, (char)i);
        str_add_char(&waiting, (char)i);
        mime_encode_base64(&waiting, false, &out);
        assert_in_range(waiting.len, 1, 58);
    }
    mime_encode_base64(&waiting, true, &out);
    mime_decode(str_span(&out), MIME_BASE64, NULL, &back);
    assert_true(span_eq(str_span(&back), str_span(&in)));
    assert_int_equal(span_chr(str_span(&out), '\n'), 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_quoted_as_rfc_2045_wants_it),
        cmocka_unit_test(test_a_long_line_gets_soft_breaks_and_comes_back_whole),
        cmocka_unit_test(test_base64_lines_are_full_and_the_last_line_end_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
