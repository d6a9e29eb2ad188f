/* SPDX-License-Identifier: Apache-2.0 */
/* password_test.c - schemes of stored passwords */
#include "sasl/password.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_each_scheme_takes_the_right_password_only(void **state)
{
    static const struct {
        const char *stored, *password;
        int wanted;
    } cases[] = {
        { "{PLAIN}secret", "secret", 1 },
        { "{plain}secret", "Secret", 0 },
        { "{PLAIN}secret", "secret ", 0 },
        { "{PLAIN}secret", "", 0 },
        { "{PLAIN}", "", -EINVAL },
        { "", "", -EINVAL },
        { "{SHA512-CRYPT}$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/",
          "password", 1 },
        { "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/",
          "passwore", 0 },
        { "{NO-SUCH}x", "x", -EINVAL },
        { "{PLAIN", "x", -EINVAL },
        { "{CRYPT}!locked", "x", -EINVAL },
        { "{CRYPT}*", "*", -EINVAL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int r = password_verify(span_of(cases[i].stored), span_of(cases[i].password));
        if (r != cases[i].wanted)
            fail_msg("%s / %s: %d", cases[i].stored, cases[i].password, r);
    }
}

static void test_a_password_with_nul_or_of_huge_length_never_matches(void **state)
{
    _cleanup_(str_free) struct str hash = STR_INIT, longer = STR_INIT;

    (void)state;
    assert_int_equal(password_hash(span_of("abc"), &hash), 0);
    assert_int_equal(password_verify(str_span(&hash), span_of("abc")), 1);
    assert_int_equal(password_verify(str_span(&hash), span_make("abc\0def", 7)), 0);
    for (int i = 0; i < 1000; i++)
        str_add_str(&longer, "abc");
    assert_int_equal(password_verify(str_span(&hash), str_span(&longer)), 0);
    assert_int_equal(password_hash(str_span(&longer), &hash), -EINVAL);
}

static void test_two_hashes_of_one_password_differ(void **state)
{
    _cleanup_(str_free) struct str a = STR_INIT, b = STR_INIT;

    (void)state;
    assert_int_equal(password_hash(span_of("x"), &a), 0);
    assert_int_equal(password_hash(span_of("x"), &b), 0);
    assert_string_not_equal(str_cstr(&a), str_cstr(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_scheme_takes_the_right_password_only),
        cmocka_unit_test(test_a_password_with_nul_or_of_huge_length_never_matches),
        cmocka_unit_test(test_two_hashes_of_one_password_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
