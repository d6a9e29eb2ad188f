/* SPDX-License-Identifier: Apache-2.0 */
/* nfc_test.c - Normalization Form C is told from other text */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "mail/nfc.h"

static void test_text_that_nfc_would_change_is_recognised(void **state)
{
    static const struct {
        const char *text;
        bool normal;
    } cases[] = {
        { "", true },
        { "plain ASCII", true },
        { "\303\244pfel", true },                           /* a umlaut */
        { "a\314\210pfel", false },                         /* a, diaeresis */
        { "q\314\210", true },                              /* no such letter */
        { "\314\210a", true },
        { "\303\244\314\204", false },                      /* a umlaut, macron: U+01DF */
        { "\307\237", true },                               /* U+01DF */
        { "\342\204\246", false },                          /* the ohm sign is an omega */
        { "\357\254\201", true },                           /* a ligature is only compatible */
        { "\352\260\201", true },                           /* U+AC01 */
        { "\341\204\200\341\205\241", false },              /* its letters */
        { "\352\260\200\341\206\250", false },              /* U+AC00 and the last of them */
        { "\352\260\201\341\206\250", true },               /* has a last one already */
        { "\345\220\215", true },
        { "\357\244\200", false },                          /* a compatibility ideograph */
        { "\377", false },
        { "a\303", false },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (nfc_is_normal(span_of(cases[i].text)) != cases[i].normal)
            fail_msg("row %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_that_nfc_would_change_is_recognised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
