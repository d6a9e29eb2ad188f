/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_policy_test.c - decisions from main.cf and the table, without DNS (tests/e2e has that)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "smtp/smtp.h"

static const char table[] =
    "smtp_tls_policy_maps=inline:{ a.example=encrypt, .b.example=verify, [mx.b.example]:587=none, "
    "x.b.example=secure, {fp.example=fingerprint match=aa:bb}, {sni.example=encrypt servername=nexthop}, "
    "dane.example=dane, only.example=dane-only, bad.example=wild, {reuse.example=may connection_reuse=no} }";

/* An engine with the table and one more setting ("" : none). */
static struct conf *conf;
static struct params *params;

static int open_engine(const char *setting, struct tls_engine *ret)
{
    _cleanup_(str_free) struct str err = STR_INIT;

    conf = conf_new("/nowhere");
    assert_int_equal(conf_override(conf, span_of(table), &err), 0);
    if (setting[0])
        assert_int_equal(conf_override(conf, span_of(setting), &err), 0);
    *ret = (struct tls_engine){ 0 };
    params = NULL;
    int r = conf_params(conf, &params, &err);
    if (r == 0)
        r = tls_engine_open(params, ret, &err);
    if (r < 0)
        assert_non_null(strchr(str_cstr(&err), '"'));   /* names the value */
    return r;
}

static void close_engine(struct tls_engine *e)
{
    tls_engine_done(e);
    params_free(params);
    conf_free(conf);
}

static void test_the_table_is_asked_for_the_next_hop_and_of_domains_for_their_parents(void **state)
{
    static const struct {
        const char *destination, *want;     /* NULL: deferred */
    } cases[] = {
        { "a.example",            "encrypt policy table a.example" },
        { "A.Example",            "encrypt policy table A.Example" },
        { "sub.a.example",        "may main.cf" },
        { "b.example",            "may main.cf" },
        { "x.b.example",          "secure policy table x.b.example" },
        { "y.b.example",          "verify policy table .b.example" },
        { "z.y.b.example",        "verify policy table .b.example" },
        { "y.b.example:25",       "may main.cf" },
        { "[y.b.example]",        "may main.cf" },
        { "[mx.b.example]:587",   "none policy table [mx.b.example]:587" },
        { "dane.example",         "may policy table dane.example" },     /* without DNSSEC */
        { "only.example",         NULL },
        { "bad.example",          NULL },
        { "",                     "may main.cf" },
        { ".",                    "may main.cf" },
        { "..b.example",          "verify policy table .b.example" },
    };
    struct tls_engine e;

    (void)state;
    assert_int_equal(open_engine("", &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tls_site site = { 0 };
        struct failure why = { .text = STR_INIT };
        _cleanup_(str_free) struct str got = STR_INIT;
        int r = tls_site_find(&e, cases[i].destination, &site, &why);

        str_addf(&got, "%s %s", tls_level_name(site.line.level), str_cstr(&site.source));
        if (cases[i].want ? r != 0 || strcmp(str_cstr(&got), cases[i].want) != 0 : r == 0 || why.permanent)
            fail_msg("row %zu: %d %s %s", i, r, str_cstr(&got), str_cstr(&why.text));
        str_free(&why.text);
        tls_site_done(&site);
    }
    close_engine(&e);
}

static void test_sites_that_ask_the_same_have_one_identity_and_others_have_not(void **state)
{
    static const char *const destinations[] = { "none.example", "a.example", "x.b.example", "fp.example",
                                                "sni.example",  "other.example" };
    struct tls_site sites[ARRAY_LEN(destinations)] = { 0 };
    struct failure why = { .text = STR_INIT };
    struct tls_engine e;

    (void)state;
    assert_int_equal(open_engine("", &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(destinations); i++)
        assert_int_equal(tls_site_find(&e, destinations[i], &sites[i], &why), 0);
    for (size_t i = 0; i < ARRAY_LEN(destinations); i++)
        for (size_t k = 0; k < i; k++) {
            bool same = strcmp(sites[i].identity.data, sites[k].identity.data) == 0;
            if (same != (i == 5 && k == 0))
                fail_msg("%s and %s: %s", destinations[i], destinations[k], sites[i].identity.data);
        }
    for (size_t i = 0; i < ARRAY_LEN(destinations); i++)
        tls_site_done(&sites[i]);
    close_engine(&e);
}

static void test_the_old_parameters_count_where_the_new_one_is_empty(void **state)
{
    static const struct {
        const char *setting;
        int level;      /* -1: refused */
    } cases[] = {
        { "", TLS_LEVEL_MAY },
        { "smtp_use_tls=no", TLS_LEVEL_NONE },
        { "smtp_enforce_tls=yes", TLS_LEVEL_VERIFY },
        { "smtp_tls_security_level=none", TLS_LEVEL_NONE },
        { "smtp_tls_security_level=dane-only", TLS_LEVEL_DANE_ONLY },
        { "smtp_tls_security_level=strong", -1 },
        { "smtp_tls_dane_insecure_mx_policy=verify", -1 },
        { "smtp_tls_protocols=TLSv9", -1 },
        { "smtp_tls_mandatory_protocols=!", -1 },
        { "smtp_tls_ciphers=best", -1 },
        { "smtp_tls_fingerprint_digest=sha257", -1 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tls_engine e;
        int r = open_engine(cases[i].setting, &e);

        if (cases[i].level < 0 ? r >= 0 : r != 0 || (int)e.main_cf.level != cases[i].level)
            fail_msg("row %zu: %s gives %d, level %d", i, cases[i].setting, r, e.main_cf.level);
        close_engine(&e);
    }
}

static void test_names_to_match_follow_the_level_and_the_host(void **state)
{
    static const struct {
        const char *destination, *match, *sni;
    } cases[] = {
        { "x.b.example",   "x.b.example .x.b.example", "" },
        { "y.b.example",   "mx.b.example",             "" },
        { "fp.example",    "aabb",                     "" },
        { "a.example",     "",                         "" },
        { "sni.example",   "",                         "sni.example" },
    };
    struct tls_engine e;

    (void)state;
    assert_int_equal(open_engine("", &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct tls_host host = { .domain = cases[i].destination, .host = "mx.b.example", .port = 25 };
        struct tls_site site = { 0 };
        struct tls_policy policy = { 0 };
        struct failure why = { .text = STR_INIT };

        assert_int_equal(tls_site_find(&e, cases[i].destination, &site, &why), 0);
        assert_int_equal(tls_policy_decide(&e, &site, &host, &policy, &why), 0);
        if (strcmp(str_cstr(&policy.match), cases[i].match) != 0 || strcmp(str_cstr(&policy.sni), cases[i].sni) != 0)
            fail_msg("row %zu: match \"%s\" sni \"%s\"", i, str_cstr(&policy.match), str_cstr(&policy.sni));
        tls_policy_done(&policy);
        tls_site_done(&site);
    }
    close_engine(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_is_asked_for_the_next_hop_and_of_domains_for_their_parents),
        cmocka_unit_test(test_sites_that_ask_the_same_have_one_identity_and_others_have_not),
        cmocka_unit_test(test_the_old_parameters_count_where_the_new_one_is_empty),
        cmocka_unit_test(test_names_to_match_follow_the_level_and_the_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
