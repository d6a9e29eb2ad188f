/* SPDX-License-Identifier: Apache-2.0 */
/* status_test.c - tests of status.c */
#include "mail/status.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"

static const struct {
    const char *text;
    const char *want; /* NULL: none there */
} codes[] = {
    { "5.7.1 no", "5.7.1" },   { "2.0.0", "2.0.0" },       { "4.123.456 x", "4.123.456" },
    { "5.7.1\tno", "5.7.1" },  { "3.7.1 no", NULL },       { "5.7.1no", NULL },
    { "5.7.1.2 no", NULL },    { "5.1234.1 no", NULL },    { "5.1.1234 no", NULL },
    { "5.7.", NULL },          { "5..1 x", NULL },         { "", NULL },
    { "550 5.7.1", NULL },     { "5.7", NULL },
};

static void test_an_enhanced_code_is_read_only_when_it_is_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        char dsn[16];
        size_t n = status_dsn_parse(span_of(codes[i].text), dsn);

        if (n != (codes[i].want ? strlen(codes[i].want) : 0))
            fail_msg("%s: %zu", codes[i].text, n);
        if (n > 0)
            assert_string_equal(dsn, codes[i].want);
    }
}

static const struct {
    const char *line;
    int want, code;
    const char *text;
} lines[] = {
    { "250 Ok", 0, 250, "Ok" },   { "250-SIZE 10", 1, 250, "SIZE 10" }, { "250", 0, 250, "" },
    { "354 ", 0, 354, "" },       { "25", -1, 0, NULL },                { "2x0 Ok", -1, 0, NULL },
    { "250_Ok", -1, 0, NULL },    { "099 x", -1, 0, NULL },             { "600 x", -1, 0, NULL },
    { "", -1, 0, NULL },
};

static void test_a_reply_line_tells_its_code_and_whether_more_follow(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        int code = 0;
        struct span text = SPAN_NULL;
        int r = status_reply_line(span_of(lines[i].line), &code, &text);

        if ((r < 0 ? -1 : r) != lines[i].want || code != lines[i].code)
            fail_msg("%s: %d, %d", lines[i].line, r, code);
        if (lines[i].text)
            assert_true(span_eq_str(text, lines[i].text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_enhanced_code_is_read_only_when_it_is_one),
        cmocka_unit_test(test_a_reply_line_tells_its_code_and_whether_more_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
