/* SPDX-License-Identifier: Apache-2.0 */
/* idna_test.c - tests of idna.c */
#include "mail/idna.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/own.h"

static const struct {
    const char *in;
    const char *want; /* NULL: refused */
} cases[] = {
    { "Example.COM", "example.com" },
    { "b\xc3\xbc"
      "ro.example",
      "xn--bro-hoa.example" },
    { "B\xc3\x9c"
      "RO.example",
      "xn--bro-hoa.example" },
    { "stra\xc3\x9f"
      "e.example",
      "xn--strae-oqa.example" },
    { "", NULL },
    { "\xff\xfe.example", NULL },
    { "\xc3\xbc..example", NULL },
};

static void test_names_become_a_labels_or_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;
        int r = idna_to_ascii(span_of(cases[i].in), &got);

        if (!!cases[i].want != (r == 0))
            fail_msg("%s: %d", cases[i].in, r);
        if (cases[i].want)
            assert_string_equal(str_cstr(&got), cases[i].want);
    }
}

static void test_a_name_with_a_nul_is_refused(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str got = STR_INIT;

    assert_true(idna_to_ascii(span_make("a\0b.example", 11), &got) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_become_a_labels_or_are_refused),
        cmocka_unit_test(test_a_name_with_a_nul_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
