/* SPDX-License-Identifier: Apache-2.0 */
/* expand_test.c - tests of expand.c */
#include "smtpd/expand.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/own.h"

static const struct {
    const char *template, *want;
} rows[] = {
    { "", "" },
    { "plain", "plain" },
    { "$client_address", "192.0.2.9" },
    { "${client_address}:$client_port.", "192.0.2.9:4711." },
    { "$$client_address", "$client_address" },
    { "$nobody${nobody}x", "x" },
    { "${given?; $given}", "; yes" },
    { "${empty?; $empty}|${empty:none}", "|none" },
    { "${given:none}", "" },
    { "${given?${empty:${given}}}", "yes" },
    { "a$", "a" },
    { "a${", "a" },
    { "${given", "yes" },
    { "${given?x", "x" },
    { "${given!x}", "" },
    { "${given?${given?${given?${given?${given?${given?deep}}}}}}", "" },
};

static void test_names_are_replaced_and_what_is_malformed_is_harmless(void **state)
{
    const struct expand_value values[] = { { "given", SPAN("yes") }, { "empty", SPAN("") } };
    struct smtpd s = { .addr = "192.0.2.9", .port = 4711 };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;

        expand_reply(&s, span_of(rows[i].template), values, ARRAY_LEN(values), &got);
        if (!span_eq_str(str_span(&got), rows[i].want))
            fail_msg("\"%s\": \"%s\"", rows[i].template, str_cstr(&got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_replaced_and_what_is_malformed_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
