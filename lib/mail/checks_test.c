/* SPDX-License-Identifier: Apache-2.0 */
/* checks_test.c - actions of header_checks(5) */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mail/checks.h"

static void test_an_action_is_known_in_any_case_and_keeps_its_text(void **state)
{
    static const struct {
        const char *value;
        int r;
        enum check_action action;
        const char *text;
    } cases[] = {
        { "REPLACE Subject: y  z", 0, CHECK_REPLACE, "Subject: y  z" },
        { "reject  5.7.1 no", 0, CHECK_REJECT, "5.7.1 no" },
        { "DUNNO", 0, CHECK_NONE, "" },
        { "  ignore", 0, CHECK_IGNORE, "" },
        { "WARN\tlook", 0, CHECK_WARN, "look" },
        { "IGNORED", -EINVAL, CHECK_NONE, "" },
        { "", -EINVAL, CHECK_NONE, "" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct check_result got = { .action = CHECK_NONE };
        int r = check_action_parse(span_of(cases[i].value), &got);

        if (r != cases[i].r || got.action != cases[i].action || !span_eq_str(got.text, cases[i].text))
            fail_msg("%s: %d, %d, " SPAN_FMT, cases[i].value, r, got.action, SPAN_ARG(got.text));
    }
}

static void test_a_line_is_looked_up_without_its_end(void **state)
{
    _cleanup_(maps_free_ptr_) struct maps *maps = NULL;
    _cleanup_(str_free) struct str err = STR_INIT;
    _cleanup_(check_result_done) struct check_result got = { .action = CHECK_NONE };

    (void)state;
    if (maps_open("inline:{ {one = IGNORE}, {x = nonsense} }", &maps, &err) < 0)
        fail_msg("%s", str_cstr(&err));
    assert_int_equal(check_text(maps, span_of("one\r\n"), &got), 0);
    assert_int_equal(got.action, CHECK_IGNORE);
    assert_int_equal(check_text(maps, span_of("two\r\n"), &got), 0);
    assert_int_equal(got.action, CHECK_NONE);
    assert_int_equal(check_text(maps, span_of("x\r\n"), &got), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_action_is_known_in_any_case_and_keeps_its_text),
        cmocka_unit_test(test_a_line_is_looked_up_without_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
