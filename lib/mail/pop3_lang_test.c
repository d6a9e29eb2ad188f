/* SPDX-License-Identifier: Apache-2.0 */
/* pop3_lang_test.c - which language ranges match English */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mail/pop3_lang.h"

static void test_a_range_gets_english_if_that_is_in_it_and_an_error_else(void **state)
{
    static const struct {
        const char *range, *answer;
    } cases[] = {
        { "", "+OK Language listing follows:\r\nen English\r\n.\r\n" },
        { "*", "+OK en The language is English.\r\n" },
        { "en", "+OK en The language is English.\r\n" },
        { "EN", "+OK en The language is English.\r\n" },
        { "en-GB", "-ERR There is no such language.\r\n" },
        { "e", "-ERR There is no such language.\r\n" },
        { "en de", "-ERR There is no such language.\r\n" },
        { "*-CH", "-ERR There is no such language.\r\n" },
        { "i-default", "-ERR There is no such language.\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(pop3_lang_answer(span_of(cases[i].range)), cases[i].answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_range_gets_english_if_that_is_in_it_and_an_error_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
