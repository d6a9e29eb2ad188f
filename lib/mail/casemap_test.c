/* SPDX-License-Identifier: Apache-2.0 */
/* casemap_test.c - i;unicode-casemap */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mail/casemap.h"

static void test_text_gets_the_form_of_rfc_5051(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        { "", "" },
        { "aZ09 ~", "AZ09 ~" },
        { "\303\244pfel", "A\314\210PFEL" },         /* a umlaut */
        { "\303\204PFEL", "A\314\210PFEL" },
        { "a\314\210pfel", "A\314\210PFEL" },        /* already apart */
        { "\307\204", "Dz\314\214" },                /* U+01C4, the example of section 2 */
        { "\315\205", "\316\231" },                  /* U+0345: its title is iota */
        { "\357\254\201", "fi" },                    /* ligature, no simple title: only decomposed */
        { "\320\266", "\320\226" },                  /* Cyrillic */
        { "\352\260\201", "\341\204\200\341\205\241\341\206\250" }, /* U+AC01 */
        { "\352\260\200", "\341\204\200\341\205\241" },
        { "ab\377c", "ab\377c" },                    /* no UTF-8: as it is, all of it */
        { "\303", "\303" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;

        casemap_add(&got, span_of(cases[i].in));
        if (!span_eq_str(str_span(&got), cases[i].want))
            fail_msg("row %zu: %s", i, str_cstr(&got));
    }
}

static void test_bytes_that_are_no_utf8_hide_nothing_around_them(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        { "", "" },
        { "a\303\244b", "AA\314\210B" },
        { "a\377\303\244", "A\377A\314\210" },
        { "\303\244\303", "A\314\210\303" },
        { "\303\303\244", "\303A\314\210" },
        { "\377\377", "\377\377" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;

        casemap_add_mixed(&got, span_of(cases[i].in), NULL);
        if (!span_eq_str(str_span(&got), cases[i].want))
            fail_msg("row %zu: %s", i, str_cstr(&got));
    }
}

static void test_what_was_there_before_stays(void **state)
{
    _cleanup_(str_free) struct str got = STR_INIT;

    (void)state;
    str_add_str(&got, "x ");
    casemap_add(&got, span_of("y\377"));
    assert_string_equal(str_cstr(&got), "x y\377");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_gets_the_form_of_rfc_5051),
        cmocka_unit_test(test_bytes_that_are_no_utf8_hide_nothing_around_them),
        cmocka_unit_test(test_what_was_there_before_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
