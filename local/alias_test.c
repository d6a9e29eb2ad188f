/* SPDX-License-Identifier: Apache-2.0 */
/* alias_test.c - the right-hand side of an alias */
#include "local/agent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

static void test_an_alias_stands_for_these_addresses(void **state)
{
    static const struct {
        const char *value, *addresses;
        bool self;
        const char *refused;
    } cases[] = {
        { "bob", "bob@here.example;", false, NULL },
        { "bob, carol@example.com ,dan", "bob@here.example;carol@example.com;dan@here.example;", false, NULL },
        { "bob\n  , carol", "bob@here.example;carol@here.example;", false, NULL },
        { "<bob@example.com>", "bob@example.com;", false, NULL },
        { "\"b, ob\"@example.com", "b, ob@example.com;", false, NULL },
        { "\"b\\\"ob\"@example.com", "b\"ob@example.com;", false, NULL },
        { "ann", "", true, NULL },
        { "\\ann, bob", "bob@here.example;", true, NULL },
        { "Ann", "", true, NULL },
        { "ann@here.example", "ann@here.example;", false, NULL },
        { "\"|/bin/prog a, b\"", "", false, "|/bin/prog a, b" },
        { "bob, /var/mail/x", "bob@here.example;", false, "/var/mail/x" },
        { ":include:/etc/list", "", false, ":include:/etc/list" },
        { "", "", false, NULL },
        { ",,", "", false, NULL },
        { "\"unclosed, x", "unclosed, x@here.example;", false, NULL },
    };
    struct params p;

    (void)state;
    memset(&p, 0, sizeof p);
    p.myorigin = "here.example";
    p.mydomain = "example";
    p.append_at_myorigin = true;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(alias_list_done) struct alias_list l = { 0 };
        _cleanup_(str_free) struct str text = STR_INIT;

        print_message("case %zu: %s\n", i, cases[i].value);
        alias_parse(&p, span_of(cases[i].value), span_of("ann"), &l);
        for (size_t j = 0; j < l.len; j++)
            str_addf(&text, "%s;", str_cstr(&l.addresses[j]));
        assert_string_equal(str_cstr(&text), cases[i].addresses);
        assert_int_equal(l.self, cases[i].self);
        if (cases[i].refused)
            assert_string_equal(l.refused, cases[i].refused);
        else
            assert_null(l.refused);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_alias_stands_for_these_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
