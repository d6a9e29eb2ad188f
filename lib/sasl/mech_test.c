/* SPDX-License-Identifier: Apache-2.0 */
/* mech_test.c - SASL exchanges from the server's side */
#include "sasl/mech.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_a_plain_message_is_taken_only_as_rfc_4616_writes_it(void **state)
{
    static const struct {
        struct span message;
        const char *user, *password; /* NULL: refused */
    } cases[] = {
        { SPAN("\0ann\0secret"), "ann", "secret" },
        { SPAN("ann\0ann\0secret"), "ann", "secret" },
        { SPAN("\0ann\0"), "ann", "" },
        { SPAN("bob\0ann\0secret"), NULL, NULL },
        { SPAN("\0\0secret"), NULL, NULL },
        { SPAN("\0ann"), NULL, NULL },
        { SPAN("ann"), NULL, NULL },
        { SPAN(""), NULL, NULL },
        { SPAN("\0ann\0sec\0ret"), NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        _cleanup_(sasl_credentials_done) struct sasl_credentials c = { STR_INIT, STR_INIT };
        int r = sasl_plain_parse(cases[i].message, &c);
        assert_int_equal(r, cases[i].user ? SASL_DONE : -EINVAL);
        if (cases[i].user) {
            assert_string_equal(str_cstr(&c.user), cases[i].user);
            assert_string_equal(str_cstr(&c.password), cases[i].password);
        }
    }
}

static void test_login_asks_for_name_and_password(void **state)
{
    struct sasl_exchange x;
    _cleanup_(str_free) struct str challenge = STR_INIT;

    (void)state;
    assert_int_equal(sasl_start(&x, span_of("login")), 0);
    assert_int_equal(sasl_step(&x, SPAN_NULL, &challenge), SASL_CHALLENGE);
    assert_string_equal(str_cstr(&challenge), "Username:");
    str_reset(&challenge);
    assert_int_equal(sasl_step(&x, span_of("ann"), &challenge), SASL_CHALLENGE);
    assert_string_equal(str_cstr(&challenge), "Password:");
    assert_int_equal(sasl_step(&x, span_of("secret"), &challenge), SASL_DONE);
    assert_string_equal(str_cstr(&x.credentials.user), "ann");
    assert_string_equal(str_cstr(&x.credentials.password), "secret");
    sasl_credentials_done(&x.credentials);
}

static void test_an_unknown_mechanism_is_told_from_a_malformed_exchange(void **state)
{
    struct sasl_exchange x;
    _cleanup_(str_free) struct str challenge = STR_INIT;

    (void)state;
    assert_int_equal(sasl_start(&x, span_of("X-NONE")), -ENOTSUP);
    assert_int_equal(sasl_start(&x, span_of("LOGIN")), 0);
    assert_int_equal(sasl_step(&x, span_make("", 0), &challenge), -EINVAL);
    sasl_credentials_done(&x.credentials);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_message_is_taken_only_as_rfc_4616_writes_it),
        cmocka_unit_test(test_login_asks_for_name_and_password),
        cmocka_unit_test(test_an_unknown_mechanism_is_told_from_a_malformed_exchange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
