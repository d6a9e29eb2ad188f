/* SPDX-License-Identifier: Apache-2.0 */
/* uidl_test.c - unique-ids as Dovecot and Courier give them */
#include "pop3d/uidl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_each_format_gives_what_the_other_server_gave(void **state)
{
    static const struct {
        const char *format, *base, *wanted;
    } cases[] = {
        { "%08Xu%08Xv", "100.a", "0000001f4ca0b5b0" },
        { "UID%u-%v", "100.a", "UID31-1285600688" },
        { "%v-%u", "100.a", "1285600688-31" },
        { "%v.%u", "100.a", "1285600688.31" },
        { "%f", "1276528487.M364837P9451.host,S=1355", "1276528487.M364837P9451.host,S=1355" },
        { "%g", "100.a", "100.a" },
        { "%05u%%", "100.a", "00031%" },
        { "%Xu", "100.a", "1f" },
        /* RFC 1939 section 7: one to 70 characters of 33 to 126 */
        { "%f", "", "0000001f4ca0b5b0" },
        { "%f", "a b", "0000001f4ca0b5b0" },
        { "%f", "b\303\244se", "0000001f4ca0b5b0" },
        { "%f", "12345678901234567890123456789012345678901234567890123456789012345678901", "0000001f4ca0b5b0" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        _cleanup_(str_free) struct str id = STR_INIT, err = STR_INIT;
        assert_int_equal(uidl_check(cases[i].format, &err), 0);
        uidl_make(cases[i].format, 31, 1285600688, span_of(cases[i].base), &id);
        assert_string_equal(str_cstr(&id), cases[i].wanted);
    }
}

static void test_a_format_that_cannot_serve_is_refused_with_one_that_can(void **state)
{
    static const char *const formats[] = { "", "%v", "x", "%", "%m", "%8", "%u %v", "%99999999999u", "%u\n", "%%u" };

    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        _cleanup_(str_free) struct str err = STR_INIT;
        if (uidl_check(formats[i], &err) == 0)
            fail_msg("taken: \"%s\"", formats[i]);
        assert_non_null(strstr(str_cstr(&err), "such as \"%08Xu%08Xv\""));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_format_gives_what_the_other_server_gave),
        cmocka_unit_test(test_a_format_that_cannot_serve_is_refused_with_one_that_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
