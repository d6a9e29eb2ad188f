/* SPDX-License-Identifier: Apache-2.0 */
/* server_test.c - tests of sni.c, ticket.c and settings.c: values of tables, keys of tickets, main.cf */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tls/internal.h"

static void test_a_value_is_base64_or_names_files(void **state)
{
    static const struct {
        const char *value;
        int r;
        bool files;
        const char *pem;
    } cases[] = {
        { "LS0tLS1CRUdJTg==",           0,       false, "-----BEGIN" },
        { "  LS0tLS1CRUdJTg==  ",       0,       false, "-----BEGIN" },
        { "/etc/ssl/a.pem",             0,       true,  ""           },
        { "/etc/ssl/a.pem, /etc/b.pem", 0,       true,  ""           },
        { "etc/ssl/a.pem",              -EINVAL, false, ""           },
        { "LS0tLS1CRUdJTg==!",          -EINVAL, false, ""           },
        { "-----BEGIN PRIVATE KEY",     -EINVAL, false, ""           },
        { " ",                          -EINVAL, false, ""           },
        { "",                           -EINVAL, false, ""           },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str pem = STR_INIT;
        bool files = false;
        int r = sni_value_parse(span_of(cases[i].value), &pem, &files);

        if (r != cases[i].r || files != cases[i].files || (r == 0 && strcmp(str_cstr(&pem), cases[i].pem) != 0))
            fail_msg("row %zu: %d %d %s", i, r, files, str_cstr(&pem));
    }
}

static void test_a_broken_text_gives_no_chain(void **state)
{
    static const char *const texts[] = {
        "", "no PEM at all", "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct tls_chains chains = { 0 };

        if (tls_chains_parse(span_of(texts[i]), &chains) != -EINVAL || chains.items)
            fail_msg("row %zu", i);
    }
}

static void fill(struct str *key, size_t len)
{
    for (size_t i = 0; i < len; i++)
        str_add_char(key, (char)('a' + i % 26));
}

static void test_keys_of_the_wrong_size_are_refused(void **state)
{
    static const struct {
        size_t current, previous;
        uint64_t valid_ms;
        int r;
    } cases[] = {
        { 80, 80, 1000, 0 },       { 80, 0, 1000, 0 },        { 0, 0, 0, 0 },
        { 0, 0, 1000, -EPROTO },   { 79, 0, 1000, -EPROTO },  { 80, 79, 1000, -EPROTO },
        { 0, 80, 1000, -EPROTO },  { 81, 0, 1000, -EPROTO },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tickets *t = tickets_new(&(struct tls_server_config){ .protocol = "smtp" });
        struct ticket_keys keys = { .valid_ms = cases[i].valid_ms };

        fill(&keys.current, cases[i].current);
        fill(&keys.previous, cases[i].previous);
        if (tickets_accept(t, &keys) != cases[i].r)
            fail_msg("row %zu", i);
        ticket_keys_msg_done(&keys);
        tickets_free(t);
    }
}

static void test_settings_are_those_of_the_level(void **state)
{
    static const struct {
        const char *set;
        bool mandatory;
        const char *protocols, *ciphers;
        enum tls_ask ask;
    } cases[] = {
        { "smtpd_tls_protocols=TLSv1.3",               false, "TLSv1.3",   NULL, TLS_ASK_NOTHING },
        { "smtpd_tls_protocols=TLSv1.3",               true,  ">=TLSv1.2", NULL, TLS_ASK_NOTHING },
        { "smtpd_tls_mandatory_protocols=TLSv1.3",     true,  "TLSv1.3",   NULL, TLS_ASK_NOTHING },
        { "tls_medium_cipherlist=AES",                 false, ">=TLSv1.2", "AES", TLS_ASK_NOTHING },
        { "smtpd_tls_mandatory_exclude_ciphers=MD5",   false, ">=TLSv1.2",
          "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH", TLS_ASK_NOTHING },
        { "smtpd_tls_mandatory_exclude_ciphers=MD5",   true,  ">=TLSv1.2",
          "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH:!MD5", TLS_ASK_NOTHING },
        { "smtpd_tls_ask_ccert=yes",                   false, ">=TLSv1.2", NULL, TLS_ASK_CERT },
        { "smtpd_tls_req_ccert=yes",                   false, ">=TLSv1.2", NULL, TLS_ASK_CERT },
        { "smtpd_tls_req_ccert=yes",                   true,  ">=TLSv1.2", NULL, TLS_REQUIRE_CERT },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(conf_free_ptr_) struct conf *conf = conf_new("/nowhere");
        _cleanup_(params_free_ptr_) struct params *p = NULL;
        _cleanup_(str_free) struct str err = STR_INIT;
        struct tls_server_config cfg;

        assert_int_equal(conf_override(conf, span_of(cases[i].set), &err), 0);
        assert_int_equal(conf_params(conf, &p, &err), 0);
        assert_int_equal(tls_server_settings(p, cases[i].mandatory, &cfg, &err), 0);
        if (strcmp(cfg.protocols, cases[i].protocols) != 0 || cfg.ask != cases[i].ask ||
            (cases[i].ciphers && strcmp(cfg.ciphers, cases[i].ciphers) != 0))
            fail_msg("row %zu: %s %s %d", i, cfg.protocols, cfg.ciphers, cfg.ask);
        tls_server_config_done(&cfg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_is_base64_or_names_files),
        cmocka_unit_test(test_a_broken_text_gives_no_chain),
        cmocka_unit_test(test_keys_of_the_wrong_size_are_refused),
        cmocka_unit_test(test_settings_are_those_of_the_level),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
