/* SPDX-License-Identifier: Apache-2.0 */
/* dotstuff_test.c - tests of dotstuff.c */
#include "smtpd/dotstuff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/own.h"

static const struct {
    const char *wire;
    unsigned flags;
    const char *want;
    const char *rest;       /* NULL: the end is not there */
    bool bare;
} cases[] = {
    { "a\r\n..b\r\n.\r\nNOOP\r\n", 0, "a\r\n.b\r\n", "NOOP\r\n", false },
    { ".\r\n", 0, "", "", false },
    { "\r\n.\r\n", 0, "\r\n", "", false },
    { "a\r\n", 0, "a\r\n", NULL, false },
    { "..\r\n...\r\n.\r\n", 0, ".\r\n..\r\n", "", false },
    { ".a\r\n.\r\n", 0, "a\r\n", "", false },
    { "a.\r\n.\r\n", 0, "a.\r\n", "", false },
    { "a\n.\nb\r\n.\r\n", 0, "a\r\n\r\nb\r\n", "", true },
    { "a\n.\r\nb\r\n.\r\n", 0, "a\r\n\r\nb\r\n", "", true },
    { "a\r\n.\nb\r\n.\r\n", 0, "a\r\n\r\nb\r\n", "", true },
    { "a\n..b\r\n.\r\n", 0, "a\r\n.b\r\n", "", true },
    { "a\r.\r\n.\r\n", 0, "a\r.\r\n", "", true },
    { "a\r.\rb\r\n.\r\n", 0, "a\r.\rb\r\n", "", true },
    { "a\r\n.\rb\r\n.\r\n", 0, "a\r\n\rb\r\n", "", true },
    { "a\r\n.\r\r\nb\r\n.\r\n", 0, "a\r\n\r\r\nb\r\n", "", true },
    { "a\r\r\n.\r\n", 0, "a\r\r\n", "", true },
    { "\n\n\r\n.\r\n", 0, "\r\n\r\n\r\n", "", true },
    { "\r\r\r\n.\r\n", 0, "\r\r\r\n", "", true },
    { "a\r\n.\r\n", DOTSTUFF_BDAT, "a\r\n.\r\n", NULL, false },
    { "..a\n.\r\nb", DOTSTUFF_BDAT, "..a\r\n.\r\nb\r\n", NULL, true },
    { "a\r", DOTSTUFF_BDAT, "a\r\r\n", NULL, true },
    { "", DOTSTUFF_BDAT, "", NULL, false },
};

static void check(size_t i, size_t cut)
{
    _cleanup_(str_free) struct str body = STR_INIT;
    struct span wire = span_of(cases[i].wire);
    struct span in = span_first(wire, cut);
    struct dotstuff d;
    size_t taken;
    int r;

    dotstuff_init(&d, cases[i].flags);
    r = dotstuff_feed(&d, &in, &body);
    taken = cut - in.len;
    if (r == 0) {
        in = span_from(wire, cut);
        r = dotstuff_feed(&d, &in, &body);
        taken = wire.len - in.len;
    }
    if (cases[i].flags & DOTSTUFF_BDAT)
        dotstuff_finish(&d, &body);
    if (r != !!cases[i].rest || !span_eq_str(str_span(&body), cases[i].want) ||
        (d.bare_lf || d.bare_cr) != cases[i].bare)
        fail_msg("case %zu cut at %zu: %d %s", i, cut, r, str_cstr(&body));
    if (cases[i].rest)
        assert_true(span_eq_str(span_from(wire, taken), cases[i].rest));
}

static void test_end_of_data_is_found_wherever_the_network_cuts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t cut = 0; cut <= strlen(cases[i].wire); cut++)
            check(i, cut);
}

static void test_content_may_hold_nul_bytes(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str body = STR_INIT;
    struct span in = span_make("a\0b\r\n.\r\n", 8);
    struct dotstuff d;

    dotstuff_init(&d, 0);
    assert_int_equal(dotstuff_feed(&d, &in, &body), 1);
    assert_int_equal(body.len, 5);
    assert_memory_equal(body.data, "a\0b\r\n", 5);
}

static void test_bare_line_ends_take_linear_time(void **state)
{
    (void)state;
    static const char *const fillings[] = { "\r", "\n", "a\r", "a\n", "\n.", "\r\n." };

    for (size_t i = 0; i < ARRAY_LEN(fillings); i++) {
        _cleanup_(str_free) struct str wire = STR_INIT;
        _cleanup_(str_free) struct str body = STR_INIT;
        struct dotstuff d;
        clock_t start = clock(); /* CPU time: others may be at work */

        while (wire.len < 2000000)
            str_add_str(&wire, fillings[i]);

        struct span in = str_span(&wire);

        dotstuff_init(&d, 0);
        dotstuff_feed(&d, &in, &body);
        assert_true(clock() - start < 3 * CLOCKS_PER_SEC);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_of_data_is_found_wherever_the_network_cuts),
        cmocka_unit_test(test_content_may_hold_nul_bytes),
        cmocka_unit_test(test_bare_line_ends_take_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
