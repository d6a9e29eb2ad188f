/* SPDX-License-Identifier: Apache-2.0 */
/* client_test.c - the client side of SASL mechanisms, by the examples of their standards */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sasl/client.h"

static const struct sasl_client_mech *find(const char *name)
{
    return sasl_client_choose(span_of(name), span_of(name), 0);
}

static void test_the_strongest_mechanism_that_is_offered_and_allowed_is_chosen(void **state)
{
    static const struct {
        const char *offered, *filter;
        unsigned forbidden;
        const char *wanted;
    } cases[] = {
        { "LOGIN PLAIN", "", 0, "PLAIN" },
        { "plain cram-md5 SCRAM-SHA-1 scram-sha-256", "", 0, "SCRAM-SHA-256" },
        { "PLAIN CRAM-MD5", "plain, login", 0, "PLAIN" },
        { "PLAIN CRAM-MD5", "!cram-md5", 0, "PLAIN" },
        { "PLAIN LOGIN", "", SASL_NO_PLAINTEXT, NULL },
        { "PLAIN CRAM-MD5", "", SASL_NO_PLAINTEXT, "CRAM-MD5" },
        { "XOAUTH2 PLAIN", "", 0, "PLAIN" },
        { "XOAUTH2 PLAIN", "xoauth2", 0, "XOAUTH2" },
        { "GSSAPI NTLM", "", 0, NULL },
        { "", "", 0, NULL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct sasl_client_mech *m =
            sasl_client_choose(span_of(cases[i].offered), span_of(cases[i].filter), cases[i].forbidden);

        if (!m != !cases[i].wanted || (m && strcmp(sasl_client_name(m), cases[i].wanted) != 0))
            fail_msg("%s, filter %s: %s", cases[i].offered, cases[i].filter, m ? sasl_client_name(m) : "none");
    }
}

/* RFC 5802 section 5 and RFC 7677 section 3 */
static void test_scram_says_what_its_standards_say(void **state)
{
    static const struct {
        const char *mech, *nonce, *server_first, *client_final, *server_final;
    } cases[] = {
        { "SCRAM-SHA-1", "fyko+d2lbbFgONRv9qkxdawL",
          "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
          "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
          "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
        { "SCRAM-SHA-256", "rOprNGfwEbeRWgbNEkqO",
          "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
          "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
          "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(sasl_client_done) struct sasl_client c;
        _cleanup_(str_free) struct str out = STR_INIT;

        sasl_client_init(&c, find(cases[i].mech), span_of("user"), span_of("pencil"), SPAN_NULL);
        str_add_str(&c.nonce, cases[i].nonce);
        assert_int_equal(sasl_client_step(&c, SPAN_NULL, &out), 0);
        assert_true(span_starts(str_span(&out), span_of("n,,n=user,r=")));
        assert_int_equal(sasl_client_step(&c, span_of(cases[i].server_first), &out), 0);
        assert_string_equal(str_cstr(&out), cases[i].client_final);
        assert_false(c.verified);
        assert_int_equal(sasl_client_step(&c, span_of(cases[i].server_final), &out), 0);
        assert_true(c.verified);
    }
}

static void test_a_scram_server_that_cheats_is_found_out(void **state)
{
    static const struct {
        const char *first, *final;
        int r_first, r_final;
    } cases[] = {
        { "r=other,s=QSXC,i=4096", "", -EINVAL, 0 },
        { "r=nonce,s=QSXC,i=4096", "", -EINVAL, 0 },
        { "r=nonce1,s=QSXC,i=0", "", -EINVAL, 0 },
        { "r=nonce1,s=QSXC,i=99999999", "", -EINVAL, 0 },
        { "r=nonce1,s=???,i=4096", "", -EINVAL, 0 },
        { "s=QSXC,r=nonce1,i=4096", "", -EINVAL, 0 },
        { "", "", -EINVAL, 0 },
        { "r=nonce1,s=QSXC,i=1", "v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=", 0, -EACCES },
        { "r=nonce1,s=QSXC,i=1", "e=other-error", 0, -EINVAL },
        { "r=nonce1,s=QSXC,i=1", "", 0, -EINVAL },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(sasl_client_done) struct sasl_client c;
        _cleanup_(str_free) struct str out = STR_INIT;

        sasl_client_init(&c, find("SCRAM-SHA-1"), span_of("user"), span_of("pencil"), SPAN_NULL);
        str_add_str(&c.nonce, "nonce");
        sasl_client_step(&c, SPAN_NULL, &out);
        int r = sasl_client_step(&c, span_of(cases[i].first), &out);
        if (r != cases[i].r_first)
            fail_msg("%s: %d", cases[i].first, r);
        if (r == 0)
            assert_int_equal(sasl_client_step(&c, span_of(cases[i].final), &out), cases[i].r_final);
        assert_false(c.verified);
    }
}

static void test_the_other_mechanisms_say_what_their_standards_say(void **state)
{
    _cleanup_(str_free) struct str out = STR_INIT;
    struct sasl_client c;

    (void)state;
    sasl_client_init(&c, find("PLAIN"), span_of("tim"), span_of("tanstaaftanstaaf"), SPAN_NULL);
    assert_int_equal(sasl_client_step(&c, SPAN_NULL, &out), 0);
    assert_true(span_eq(str_span(&out), (struct span)SPAN("\0tim\0tanstaaftanstaaf")));
    assert_int_equal(sasl_client_step(&c, SPAN_NULL, &out), -EINVAL);
    sasl_client_init(&c, find("CRAM-MD5"), span_of("tim"), span_of("tanstaaftanstaaf"), SPAN_NULL);
    assert_int_equal(sasl_client_step(&c, span_of("<1896.697170952@postoffice.reston.mci.net>"), &out), 0);
    assert_string_equal(str_cstr(&out), "tim b913a602c7eda7a495b4e6e7334d3890");
    sasl_client_init(&c, find("LOGIN"), span_of("u"), span_of("p"), SPAN_NULL);
    assert_int_equal(sasl_client_step(&c, span_of("Username:"), &out), 0);
    assert_string_equal(str_cstr(&out), "u");
    assert_int_equal(sasl_client_step(&c, span_of("Password:"), &out), 0);
    assert_string_equal(str_cstr(&out), "p");
    sasl_client_init(&c, find("OAUTHBEARER"), span_of("u,=@x"), span_of("tok"), span_of("h"));
    assert_int_equal(sasl_client_step(&c, SPAN_NULL, &out), 0);
    assert_string_equal(str_cstr(&out), "n,a=u=2C=3D@x,\001host=h\001auth=Bearer tok\001\001");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_strongest_mechanism_that_is_offered_and_allowed_is_chosen),
        cmocka_unit_test(test_scram_says_what_its_standards_say),
        cmocka_unit_test(test_a_scram_server_that_cheats_is_found_out),
        cmocka_unit_test(test_the_other_mechanisms_say_what_their_standards_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
