/* SPDX-License-Identifier: Apache-2.0 */
/* body_params_test.c - parameters of a body part, whole and in sections */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "body_params.h"

static void test_sections_of_a_value_are_put_together(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        { "", "NIL" },
        { "; a=b", "(\"a\" \"b\")" },
        { "; a=b; c=\"d e\"", "(\"a\" \"b\" \"c\" \"d e\")" },
        { "; name*0=a; name*1=b; x=y", "(\"name\" \"ab\" \"x\" \"y\")" },
        { "; name*0=a; NAME*1=b; name*2=c", "(\"name\" \"abc\")" },
        { "; a*0=1; a*1=2; b*0=3; b*1=4", "(\"a\" \"12\" \"b\" \"34\")" },
        { "; name*=utf-8''%C3%BC", "(\"name*\" \"utf-8''%C3%BC\")" },
        { "; name*0*=utf-8''%C3%BC; name*1*=%20; name*2=\"a b%\"", "(\"name*\" \"utf-8''%C3%BC%20a%20b%25\")" },
        { "; name*0=a; name*1*=%20", "(\"name\" \"a%20\")" },
        { "; name*0=a; name*2=c", "(\"name\" \"a\" \"name*2\" \"c\")" },           /* one is missing */
        { "; name*1=b; name*0=a", "(\"name*1\" \"b\" \"name\" \"a\")" },           /* out of order */
        { "; name*0=a; name*0=b", "(\"name\" \"a\" \"name\" \"b\")" },             /* twice */
        { "; name*0=a; other*1=b", "(\"name\" \"a\" \"other*1\" \"b\")" },
        { "; name*0=\"\"; x=y", "(\"name\" \"\" \"x\" \"y\")" },
        { "; name*=a; name*x=b; *0=c; **=d", "(\"name*\" \"a\" \"name*x\" \"b\" \"*0\" \"c\" \"**\" \"d\")" },
        { "; name*4294967295=a; name*99999999999=b", "(\"name*4294967295\" \"a\" \"name*99999999999\" \"b\")" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str got = STR_INIT;

        put_body_params(&got, span_of(cases[i].in));
        if (!span_eq_str(str_span(&got), cases[i].want))
            fail_msg("row %zu: %s", i, str_cstr(&got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sections_of_a_value_are_put_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
