/* SPDX-License-Identifier: Apache-2.0 */
/* reply_test.c - replies of servers, line by line */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "smtp/smtp.h"

/* The result of the last line of `lines` (separated by LF) that was taken */
static int read_lines(struct span lines, struct smtp_reply *reply)
{
    int r = 1;

    for (unsigned i = 0; r == 1 && lines.len > 0; i++) {
        struct span text;
        r = reply_add_line(reply, i, span_cut(&lines, '\n'), &text);
    }
    if (r >= 0)
        reply_set_dsn(reply);
    return r;
}

static void test_a_reply_gives_its_code_its_text_and_a_dsn_of_the_same_class(void **state)
{
    static const struct {
        const char *lines;
        int r, code;
        const char *text, *dsn;
    } cases[] = {
        { "250 2.1.5 Ok", 0, 250, "2.1.5 Ok", "2.1.5" },
        { "250", 0, 250, "", "2.0.0" },
        { "250-2.0.0 a\n250 b", 0, 250, "2.0.0 a b", "2.0.0" },
        { "250-a", 1, 250, "a", "2.0.0" },
        { "550 2.0.0 contradicts itself", 0, 550, "2.0.0 contradicts itself", "5.0.0" },
        { "550 5.7.1234 too long", 0, 550, "5.7.1234 too long", "5.0.0" },
        { "250-a\n550 b", -EPROTO, 0, NULL, NULL },
        { "25", -EPROTO, 0, NULL, NULL },
        { "250_a", -EPROTO, 0, NULL, NULL },
        { "600 a", -EPROTO, 0, NULL, NULL },
        { "SSH-2.0-x", -EPROTO, 0, NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct smtp_reply reply = { .text = STR_INIT };
        int r = read_lines(span_of(cases[i].lines), &reply);

        if (r != cases[i].r)
            fail_msg("%s: %d", cases[i].lines, r);
        if (r >= 0) {
            assert_int_equal(reply.code, cases[i].code);
            assert_string_equal(str_cstr(&reply.text), cases[i].text);
            assert_string_equal(reply.dsn, cases[i].dsn);
        }
        str_free(&reply.text);
    }
}

static void test_a_reply_that_never_ends_is_refused_and_its_text_stays_small(void **state)
{
    struct smtp_reply reply = { .text = STR_INIT };
    _cleanup_(str_free) struct str line = STR_INIT;
    unsigned lines = 0;
    struct span text;

    (void)state;
    str_add_str(&line, "250-");
    for (int i = 0; i < 2000; i++)
        str_add_char(&line, 'x');
    while (lines < 100000 && reply_add_line(&reply, lines, str_span(&line), &text) == 1)
        lines++;
    assert_in_range(lines, 100, 1000);
    assert_in_range(reply.text.len, 8000, 20000);
    str_free(&reply.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reply_gives_its_code_its_text_and_a_dsn_of_the_same_class),
        cmocka_unit_test(test_a_reply_that_never_ends_is_refused_and_its_text_stays_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
