/* SPDX-License-Identifier: Apache-2.0 */
/* xtext_test.c - tests of xtext.c */
#include "mail/xtext.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/own.h"

static const struct {
    const char *in;
    const char *want; /* NULL: refused */
} decodings[] = {
    { "QQ314159", "QQ314159" },   { "a+2Bb+3Dc", "a+b=c" }, { "rfc822;ann+40x", "rfc822;ann@x" },
    { "", "" },                   { "a+2bb", "a+b" },       { "a+2", NULL },
    { "a+", NULL },               { "a+ZZ", NULL },         { "a=b", NULL },
    { "a b", NULL },              { "a\x80", NULL },        { "a\x7f", NULL },
};

static void test_what_is_xtext_is_decoded_and_the_rest_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(decodings); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;
        int r = xtext_decode(span_of(decodings[i].in), &got);

        if (!!decodings[i].want != (r == 0))
            fail_msg("%s: %d", decodings[i].in, r);
        if (decodings[i].want)
            assert_string_equal(str_cstr(&got), decodings[i].want);
    }
}

static void test_every_byte_survives_encoding_and_decoding(void **state)
{
    (void)state;
    _cleanup_(str_free) struct str all = STR_INIT;
    _cleanup_(str_free) struct str encoded = STR_INIT;
    _cleanup_(str_free) struct str decoded = STR_INIT;

    for (int c = 0; c < 256; c++)
        str_add_char(&all, (char)c);
    xtext_encode(&encoded, str_span(&all));
    assert_int_equal(xtext_decode(str_span(&encoded), &decoded), 0);
    assert_true(span_eq(str_span(&all), str_span(&decoded)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_xtext_is_decoded_and_the_rest_refused),
        cmocka_unit_test(test_every_byte_survives_encoding_and_decoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
