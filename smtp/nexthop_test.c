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
        { "x:smtp", NULL, 0, false },
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

static void test_dots_at_line_starts_are_doubled_wherever_the_pieces_are_cut(void **state)
{
    static const char in[] = ".a\r\n..b\r\n.\r\nc.\r\n\n.d";
    static const char wanted[] = "..a\r\n...b\r\n..\r\nc.\r\n\n..d";

    (void)state;
    for (size_t cut = 0; cut <= sizeof in - 1; cut++) {
        _cleanup_(str_free) struct str out = STR_INIT;
        bool at_line_start = true;
        content_stuff(span_make(in, cut), &at_line_start, &out);
        content_stuff(span_make(in + cut, sizeof in - 1 - cut), &at_line_start, &out);
        assert_string_equal(str_cstr(&out), wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_form_of_a_nexthop_gives_host_port_and_whether_mx_counts),
        cmocka_unit_test(test_dots_at_line_starts_are_doubled_wherever_the_pieces_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
