/* SPDX-License-Identifier: Apache-2.0 */
/* subject_test.c - base subjects */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mail/subject.h"

static void test_the_base_subject_is_what_the_procedure_leaves(void **state)
{
    static const struct {
        const char *in, *want;
        bool is_reply;
    } cases[] = {
        { "", "", false },
        { "hello", "hello", false },
        { " two\t \r\n blanks  ", "two blanks", false },
        { "Re: hello", "hello", true },
        { "RE : hello", "hello", true },
        { "fw: Fwd: re: hello", "hello", true },
        { "hello (fwd)", "hello", true },
        { "hello (FWD) (fwd)", "hello", true },
        { "(fwd)", "", true },
        { "[list] hello", "hello", false },
        { "[list] Re: [other] hello", "hello", true },
        { "Re[2]: hello", "hello", true },
        { "re [x] : hello", "hello", true },
        { "Re: [a][b] [c] hello", "hello", true },
        { "[only]", "[only]", false },                /* removing it would leave nothing */
        { "[a] [only]", "[only]", false },
        { "Re: [only]", "[only]", true },
        { "[fwd: hello]", "hello", true },
        { "[Fwd: [fwd: Re: hello (fwd)]]", "hello", true },
        { "[fwd: hello] x", "x", false },             /* no subj-fwd: a blob */
        { "[fwd:]", "", true },
        { "Re:", "", true },
        { "Re: Re:", "", true },
        { "Regarding: hello", "Regarding: hello", false },
        { "refwd: hello", "refwd: hello", false },
        { "Re hello", "Re hello", false },
        { "[no end hello", "[no end hello", false },
        { "[nested [x]] hello", "[nested [x]] hello", false },
        { "a: Re: b", "a: Re: b", false },
        { "AW: hello", "AW: hello", false },          /* the RFC knows only these two words */
        { "[]", "[]", false },
        { "[] x", "x", false },
        { "[[[[[[[[", "[[[[[[[[", false },
        { "]", "]", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;
        bool is_reply = subject_base(span_of(cases[i].in), &got);

        if (!span_eq_str(str_span(&got), cases[i].want) || is_reply != cases[i].is_reply)
            fail_msg("\"%s\": \"%s\" %d", cases[i].in, str_cstr(&got), is_reply);
    }
}

static void test_the_base_subject_of_a_base_subject_is_itself(void **state)
{
    static const char *const cases[] = { "Re: [a] b (fwd) c", "[x][y]", "[fwd: [fwd: ]", "re[", "[fwd:re:]x]" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str once = STR_INIT, twice = STR_INIT;

        subject_base(span_of(cases[i]), &once);
        subject_base(str_span(&once), &twice);
        assert_string_equal(str_cstr(&once), str_cstr(&twice));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_base_subject_is_what_the_procedure_leaves),
        cmocka_unit_test(test_the_base_subject_of_a_base_subject_is_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
