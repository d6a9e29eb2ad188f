/* SPDX-License-Identifier: Apache-2.0 */
/* ciphers_test.c - tests of ciphers.c: grades, curves, OpenSSL's options as main.cf writes them */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tls/tls.h"

static struct params *defaults(void)
{
    _cleanup_(conf_free_ptr_) struct conf *conf = conf_new("/nowhere");
    _cleanup_(str_free) struct str err = STR_INIT;
    struct params *p;

    assert_int_equal(conf_params(conf, &p, &err), 0);
    return p;
}

static void test_a_grade_is_a_list_without_what_is_excluded(void **state)
{
    static const struct {
        const char *grade, *excluded, *more, *want; /* NULL: refused */
    } cases[] = {
        { "high",    "",            "",     "aNULL:-aNULL:HIGH:@STRENGTH"                       },
        { " HIGH ",  "aNULL, DES",  "",     "aNULL:-aNULL:HIGH:@STRENGTH:!aNULL:!DES"           },
        { "null",    "",            "aRSA", "eNULL:!aNULL:!aRSA"                                },
        { "medium",  "MD5:RC4",     "DES",  "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH:!MD5:!RC4:!DES" },
        { "export",  "",            "",     "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH"           },
        { "",        "",            "",     NULL                                                },
        { "highest", "",            "",     NULL                                                },
    };
    _cleanup_(params_free_ptr_) struct params *p = defaults();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str list = STR_INIT, err = STR_INIT;
        int r = tls_cipher_list(p, cases[i].grade, cases[i].excluded, cases[i].more, &list, &err);

        if ((r == 0) != (cases[i].want != NULL) || (r == 0 && strcmp(list.data, cases[i].want) != 0))
            fail_msg("row %zu: %d %s", i, r, str_cstr(&list));
    }
}

static void test_each_grade_of_curves_is_one_that_openssl_takes(void **state)
{
    static const struct {
        const char *grade, *want;
    } cases[] = {
        { "auto",   "X25519:X448:prime256v1:secp521r1:secp384r1" },
        { "strong", "prime256v1"                                 },
        { "ultra",  "secp384r1"                                  },
        { "none",   ""                                           },
        { "best",   NULL                                         },
    };
    _cleanup_(params_free_ptr_) struct params *p = defaults();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str list = STR_INIT, err = STR_INIT;
        int r = tls_group_list(p, cases[i].grade, &list, &err);

        if ((r == 0) != (cases[i].want != NULL) || (r == 0 && strcmp(str_cstr(&list), cases[i].want) != 0))
            fail_msg("row %zu: %d %s", i, r, str_cstr(&list));
        if (list.len > 0)
            assert_int_equal(SSL_CTX_set1_groups_list(ctx, list.data), 1);
    }
    SSL_CTX_free(ctx);
}

static void test_options_of_openssl_are_known_by_name(void **state)
{
    static const struct {
        const char *on, *off;
        uint64_t want;
        int r;
    } cases[] = {
        { "",                             "",                                 SSL_OP_ALL,                    0       },
        { "no_ticket, PRIORITIZE_CHACHA", "",     SSL_OP_ALL | SSL_OP_NO_TICKET | SSL_OP_PRIORITIZE_CHACHA,   0       },
        { "",                             "TLSEXT_PADDING",     SSL_OP_ALL & ~SSL_OP_TLSEXT_PADDING,          0       },
        { "",                             "MSIE_SSLV2_RSA_PADDING",           SSL_OP_ALL,                    0       },
        { "NO_SUCH",                      "",                                 0,                             -EINVAL },
        { "",                             "TLSEXT",                           0,                             -EINVAL },
    };
    _cleanup_(params_free_ptr_) struct params *p = defaults();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str err = STR_INIT;
        uint64_t on = 0;
        struct params changed = *p;

        changed.tls_ssl_options = cases[i].on;
        changed.tls_disable_workarounds = cases[i].off;
        if (tls_options(&changed, &on, &err) != cases[i].r || on != cases[i].want)
            fail_msg("row %zu: %llx %s", i, (unsigned long long)on, str_cstr(&err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_grade_is_a_list_without_what_is_excluded),
        cmocka_unit_test(test_each_grade_of_curves_is_one_that_openssl_takes),
        cmocka_unit_test(test_options_of_openssl_are_known_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
