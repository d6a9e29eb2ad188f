/* SPDX-License-Identifier: Apache-2.0 */
/* charset_test.c - text of other charsets, their names as mail has them, and what is none */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/mem.h"
#include "mail/charset.h"

static void test_text_is_converted_by_the_names_that_mail_has(void **state)
{
    static const struct {
        const char *charset, *in, *want;    /* want NULL: unknown */
    } cases[] = {
        { "iso-8859-1", "\344", "\303\244" },
        { "KOI8-R", "\306\301", "\321\204\320\260" },
        { "iso-2022-jp", "\033$B$\"\033(B", "\343\201\202" },
        { "gb2312", "\224\320", "\346\226\235" },         /* of GBK only */
        { "gb18030", "\2016\2629", "\342\202\251" },       /* four bytes */
        { "ks_c_5601-1987", "\307\330", "\355\225\264" },
        { "x-sjis", "\202\240", "\343\201\202" },
        { "Big5-HKSCS", "\210f", "\303\212" },             /* held back until the end: a mark may follow */
        { "utf-16be", "\330\075\336\000", "\360\237\230\200" },
        { "unicode-1-1-utf-7", "+AOQ-", "\303\244" },
        { "x-unknown", "x", NULL },
        { "", "x", NULL },
        { "../../etc/passwd", "x", NULL },
        { "utf-8//IGNORE", "x", NULL },
        { "a\nb", "x", NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str got = STR_INIT, all = STR_INIT;
        struct span in = span_of(cases[i].in), name = span_of(cases[i].charset);
        if (strncmp(cases[i].charset, "utf-16", 6) == 0)
            in = span_make(cases[i].in, 4);
        bool known = charset_convert(in, name, NULL, &got);
        int r = charset_convert_all(in, name, &all);

        if (known != (cases[i].want != NULL) || known != charset_known(name) || r != (known ? 0 : -ENOENT) ||
            (known && (!span_eq_str(str_span(&got), cases[i].want) || !span_eq_str(str_span(&all), cases[i].want))))
            fail_msg("row %zu: %s", i, str_cstr(&got));
    }
}

static void test_what_cannot_be_converted_is_marked_or_refused(void **state)
{
    static const struct {
        const char *charset, *in, *want;
    } cases[] = {
        { "euc-jp", "a\377b", "a?b" },
        { "gb18030", "a\201", "a?" },          /* cut in the middle of a character */
        { "iso-2022-jp", "\033$B$\"$", "\343\201\202?" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str got = STR_INIT, all = STR_INIT;

        str_add_str(&all, "kept");
        assert_true(charset_convert(span_of(cases[i].in), span_of(cases[i].charset), NULL, &got));
        assert_int_equal(charset_convert_all(span_of(cases[i].in), span_of(cases[i].charset), &all), -EILSEQ);
        assert_string_equal(str_cstr(&all), "kept");
        if (!span_eq_str(str_span(&got), cases[i].want))
            fail_msg("row %zu: %s", i, str_cstr(&got));
    }
}

static void test_long_text_is_the_same_wherever_the_converter_stops(void **state)
{
    _cleanup_(str_free) struct str in = STR_INIT, want = STR_INIT;

    (void)state;
    for (size_t n = 0; n < 600; n++) {
        _cleanup_(str_free) struct str got = STR_INIT;

        assert_true(charset_convert(str_span(&in), span_of("shift_jis"), NULL, &got));
        assert_true(span_eq(str_span(&got), str_span(&want)));
        str_add_str(&in, n % 3 ? "\202\240" : "a");
        str_add_str(&want, n % 3 ? "\343\201\202" : "a");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_converted_by_the_names_that_mail_has),
        cmocka_unit_test(test_what_cannot_be_converted_is_marked_or_refused),
        cmocka_unit_test(test_long_text_is_the_same_wherever_the_converter_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
