/* SPDX-License-Identifier: Apache-2.0 */
/* pass_test.c - a pass is good for one user and one protocol, for a while, and cannot be made without the key */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "auth/auth.h"

static const unsigned char key[PASS_KEY_SIZE] = { 1, 2, 3 }, other_key[PASS_KEY_SIZE] = { 1, 2, 4 };

static void test_a_pass_names_its_user_again_and_again(void **state)
{
    _cleanup_(str_free) struct str pass = STR_INIT, user = STR_INIT;

    (void)state;
    pass_issue(key, "imap", span_of("ann@example.com"), 5000, &pass);
    for (int i = 0; i < 2; i++) {
        assert_true(pass_redeem(key, str_span(&pass), "imap", 4999, &user));
        assert_string_equal(str_cstr(&user), "ann@example.com");
    }
}

static void test_a_pass_of_another_key_protocol_or_time_is_refused(void **state)
{
    _cleanup_(str_free) struct str pass = STR_INIT, user = STR_INIT;

    (void)state;
    pass_issue(key, "imap", span_of("ann"), 5000, &pass);
    assert_false(pass_redeem(other_key, str_span(&pass), "imap", 1, &user));
    assert_false(pass_redeem(key, str_span(&pass), "pop3", 1, &user));
    assert_false(pass_redeem(key, str_span(&pass), "ima", 1, &user));
    assert_false(pass_redeem(key, str_span(&pass), "imapx", 1, &user));
    assert_false(pass_redeem(key, str_span(&pass), "imap", 5000, &user));
}

static void test_a_pass_that_was_touched_anywhere_or_cut_is_refused(void **state)
{
    _cleanup_(str_free) struct str pass = STR_INIT, user = STR_INIT;

    (void)state;
    pass_issue(key, "imap", span_of("ann"), 5000, &pass);
    for (size_t i = 0; i < pass.len; i++) {
        pass.data[i] ^= 1;
        assert_false(pass_redeem(key, str_span(&pass), "imap", 1, &user));
        pass.data[i] ^= 1;
        assert_false(pass_redeem(key, span_first(str_span(&pass), i), "imap", 1, &user));
    }
    assert_true(pass_redeem(key, str_span(&pass), "imap", 1, &user));
}

static void test_a_secret_gives_the_same_key_for_a_purpose_and_another_for_each_other(void **state)
{
    static const unsigned char secret[MASTER_SECRET_SIZE] = { 7 }, other_secret[MASTER_SECRET_SIZE] = { 8 };
    unsigned char one[PASS_KEY_SIZE], two[PASS_KEY_SIZE];

    (void)state;
    pass_derive_key(secret, "passes", one);
    pass_derive_key(secret, "passes", two);
    assert_memory_equal(one, two, sizeof one);
    pass_derive_key(secret, "salts", two);
    assert_memory_not_equal(one, two, sizeof one);
    pass_derive_key(other_secret, "passes", two);
    assert_memory_not_equal(one, two, sizeof one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pass_names_its_user_again_and_again),
        cmocka_unit_test(test_a_pass_of_another_key_protocol_or_time_is_refused),
        cmocka_unit_test(test_a_pass_that_was_touched_anywhere_or_cut_is_refused),
        cmocka_unit_test(test_a_secret_gives_the_same_key_for_a_purpose_and_another_for_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
