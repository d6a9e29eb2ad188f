/* SPDX-License-Identifier: Apache-2.0 */
/* facts_test.c - what is known of a content without another look */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "queue/facts.h"

static const struct {
    const char *content;
    size_t longest;
    bool bare_cr;
} cases[] = {
    { "", 0, false },
    { "abc\r\n", 3, false },
    { "abc\r\nabcde\r\nab\r\n", 5, false },
    { "abc\r\nabcdefg", 7, false },
    { "abc\r\n\r\n", 3, false },
    { "a\rb\r\n", 3, true },
    { "a\r\r\n", 2, true },
    { "\r", 1, true },
    { "abc\r\nab\r", 3, true },
    { "abc\n", 3, false },
};

static void test_the_facts_are_the_same_wherever_the_pieces_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct span in = span_of(cases[i].content);

        for (size_t cut = 0; cut <= in.len; cut++) {
            struct queue_facts f = { 0 }, back;

            queue_facts_add(&f, span_first(in, cut));
            queue_facts_add(&f, span_from(in, cut));
            queue_facts_end(&f);
            assert_true(queue_facts_unpack(queue_facts_pack(&f), &back));
            if (back.longest_line != cases[i].longest || back.bare_cr != cases[i].bare_cr)
                fail_msg("case %zu cut at %zu: %zu %d", i, cut, back.longest_line, back.bare_cr);
        }
    }
}

static void test_a_file_of_an_older_version_says_nothing(void **state)
{
    struct queue_facts f;

    (void)state;
    assert_false(queue_facts_unpack(0, &f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_facts_are_the_same_wherever_the_pieces_are_cut),
        cmocka_unit_test(test_a_file_of_an_older_version_says_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
