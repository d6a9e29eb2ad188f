/* SPDX-License-Identifier: Apache-2.0 */
/* offer_test.c - which mechanisms a client is offered, and its initial response */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/own.h"
#include "sasl/offer.h"

static const struct {
    const char *mechanisms;
    bool tls;
    const char *offered;
} offers[] = {
    { "plain, LOGIN", false, " PLAIN LOGIN" },
    { "SCRAM-SHA-256-PLUS SCRAM-SHA-256", false, " SCRAM-SHA-256" },
    { "scram-sha-256-plus,\n\tscram-sha-256", true, " SCRAM-SHA-256-PLUS SCRAM-SHA-256" },
    { "-PLUS", false, "" },
    { "", true, "" },
    { " , ,", true, "" },
};

static void test_channel_binding_is_offered_within_tls_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(offers); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;

        sasl_offer(offers[i].mechanisms, offers[i].tls, " ", &got);
        assert_string_equal(str_cstr(&got), offers[i].offered);
    }
}

static const struct {
    const char *mechanisms, *name;
    bool tls, want;
} asked[] = {
    { "PLAIN LOGIN", "plain", false, true },
    { "PLAIN LOGIN", "LOGI", false, false },
    { "PLAIN LOGIN", "PLAIN LOGIN", false, false },
    { "PLAIN LOGIN", "", false, false },
    { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", true, false },
    { "SCRAM-SHA-256-PLUS", "scram-sha-256-plus", true, true },
    { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS", false, false },
};

static void test_what_was_not_offered_cannot_be_chosen(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(asked); i++)
        if (sasl_is_offered(asked[i].mechanisms, asked[i].tls, span_of(asked[i].name)) != asked[i].want)
            fail_msg("%s of %s", asked[i].name, asked[i].mechanisms);
}

/* RFC 4954 section 4: "=" is an initial response of no bytes */
static void test_an_initial_response_is_base64_or_an_equals_sign(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str got = STR_INIT;

    assert_int_equal(sasl_initial_parse(span_of("="), &got), 0);
    assert_int_equal(got.len, 0);
    assert_int_equal(sasl_initial_parse(span_of("AGEAYg=="), &got), 0);
    assert_true(span_eq(str_span(&got), span_make("\0a\0b", 4)));
    assert_true(sasl_initial_parse(span_of("AGEAYg="), &got) < 0);
    assert_true(sasl_initial_parse(span_of("=="), &got) < 0);
    assert_true(sasl_initial_parse(span_of("A*=="), &got) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channel_binding_is_offered_within_tls_only),
        cmocka_unit_test(test_what_was_not_offered_cannot_be_chosen),
        cmocka_unit_test(test_an_initial_response_is_base64_or_an_equals_sign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
