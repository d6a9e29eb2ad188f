/* SPDX-License-Identifier: Apache-2.0 */
/* nexthop_test.c - the forms of a nexthop */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "smtp/smtp.h"

static void test_each_form_of_a_nexthop_gives_host_port_and_whether_mx_counts(void **state)
{
    static const struct {
        const char *text, *host; /* host NULL: refused */
        unsigned port;
        bool no_mx;
    } cases[] = {
        { "example.com", "example.com", 25, false },
        { "example.com:587", "example.com", 587, false },
        { "[mail.example.com]", "mail.example.com", 25, true },
        { "[mail.example.com]:2525", "mail.example.com", 2525, true },
        { "[192.0.2.1]", "192.0.2.1", 25, true },
        { "[IPv6:2001:db8::1]:26", "2001:db8::1", 26, true },
        { "[2001:db8::1]", "2001:db8::1", 25, true },
        { "", NULL, 0, false },
        { "[]", NULL, 0, false },
        { "[x", NULL, 0, false },
        { "[x]y", NULL, 0, false },
        { "x:", NULL, 0, false },
        { "x:0", NULL, 0, false },
        { "x:65536", NULL, 0, false },
        { "x:smtp", "x", 25, false },
        { "[x]:submission", "x", 587, true },
        { "inet:x:24", "x", 24, false },
        { "x:nosuchservice", NULL, 0, false },
        { "unix:", NULL, 0, false },
        { ":25", NULL, 0, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nexthop hop = { .host = STR_INIT };
        int r = nexthop_parse(span_of(cases[i].text), 25, &hop);
        if (r != (cases[i].host ? 0 : -EINVAL))
            fail_msg("%s: %d", cases[i].text, r);
        if (cases[i].host) {
            assert_string_equal(str_cstr(&hop.host), cases[i].host);
            assert_int_equal(hop.port, cases[i].port);
            assert_int_equal(hop.no_mx, cases[i].no_mx);
        }
        str_free(&hop.host);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_form_of_a_nexthop_gives_host_port_and_whether_mx_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
