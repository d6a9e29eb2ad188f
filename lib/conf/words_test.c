/* SPDX-License-Identifier: Apache-2.0 */
/* words_test.c - a set is what its words say, and a wrong word is answered with the right ones */
#include "conf/words.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"

static const struct conf_word colours[] = { { "red", 1 }, { "green", 2 }, { "white", 7 } };

static void test_a_list_is_the_set_of_its_words(void **state)
{
    static const struct {
        const char *list;
        unsigned bits;
    } cases[] = {
        { "", 0 }, { " , ", 0 }, { "red", 1 }, { "GREEN,red", 3 }, { "red red\t green\n", 3 }, { "white", 7 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str err = STR_INIT;
        unsigned got = 99;

        if (conf_parse_words("p", span_of(cases[i].list), colours, ARRAY_LEN(colours), &got, &err) != 0 ||
            got != cases[i].bits)
            fail_msg("\"%s\": %u %s", cases[i].list, got, str_cstr(&err));
    }
}

static void test_a_wrong_word_is_answered_with_all_right_ones(void **state)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    unsigned got = 99;

    (void)state;
    assert_int_equal(conf_parse_words("p", span_of("red, reddish"), colours, ARRAY_LEN(colours), &got, &err), -EINVAL);
    assert_string_equal(str_cstr(&err), "bad value for parameter p: \"reddish\": expected a list of red, green or white");
    assert_int_equal(got, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_is_the_set_of_its_words),
        cmocka_unit_test(test_a_wrong_word_is_answered_with_all_right_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
