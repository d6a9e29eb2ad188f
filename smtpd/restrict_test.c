/* SPDX-License-Identifier: Apache-2.0 */
/* restrict_test.c - tests of restrict_table.c and restrict_rbl.c: lists and arguments */
#include "smtpd/restrict.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/own.h"
#include "smtpd/restrict_internal.h"

static struct params *params;
static struct conf *conf;

static int set_up(void **state)
{
    _cleanup_(str_free) struct str err = STR_INIT;

    (void)state;
    conf = conf_new("/nonexistent");
    assert_int_equal(conf_override(conf, span_of("smtpd_restriction_classes=strict, circle"), &err),
                     0);
    assert_int_equal(conf_override(conf, span_of("strict=permit_mynetworks, reject"), &err), 0);
    assert_int_equal(conf_override(conf, span_of("circle=circle"), &err), 0);
    assert_int_equal(conf_override(conf, span_of("virtual_alias_maps="), &err), 0);
    return conf_params(conf, &params, &err);
}

static int tear_down(void **state)
{
    (void)state;
    params_free(params);
    conf_free(conf);
    return 0;
}

static const struct {
    const char *text;
    size_t want;            /* items */
    bool guards;
    const char *complaint;  /* not NULL: refused, and the message holds this */
} lists[] = {
    {"", 0, false, NULL},
    {"permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination", 3, true, NULL},
    {" permit_mynetworks\n\treject_unauth_destination ", 2, true, NULL},
    {"PERMIT_MYNETWORKS reject", 2, true, NULL},
    {"permit_mynetworks permit", 2, false, NULL},
    {"warn_if_reject reject_unauth_destination", 2, false, NULL},
    {"check_client_access inline:{a=b, c=d}, permit", 2, false, NULL},
    {"check_client_access inline:{{a = REJECT go, away}} permit", 2, false, NULL},
    {"inline:{a=b}", 1, false, NULL},
    {"reject_rbl_client zen.example=127.0.0.[2..11]", 1, false, NULL},
    {"reject_unknown_client, reject_invalid_hostname", 2, false, NULL},
    {"sleep 5, reject", 2, true, NULL},
    {"strict", 1, true, NULL},
    {"circle", 1, false, NULL},
    {"check_ccert_access inline:{a=b}, reject", 2, true, NULL},
    {"check_ccert_access { inline:{a=b}, { search_order = pubkey_fingerprint cert_fingerprint } }, reject", 2, true, NULL},
    {"check_ccert_access { inline:{a=b}, { search_order = subject } }", 0, false, "search_order \"subject\": cert_fingerprint"},
    {"check_ccert_access { inline:{a=b}, order = x }", 0, false, "\"order\" is no setting"},
    {"check_ccert_access { }", 0, false, "its table is missing"},
    {"check_policy_service inet:127.0.0.1:10031", 1, false, NULL},
    {"check_policy_service { unix:/p, timeout=5s, { default_action = DEFER not now } }", 1, false,
     NULL},
    {"permit_mynetwork", 0, false, "is \"permit_mynetworks\""},
    {"permit, reject_unauth_destinations", 0, false, "is \"reject_unauth_destination\""},
    {"reject_unknown_recipient_dom", 0, false, "is \"reject_unknown_recipient_domain\""},
    {"strikt", 0, false, "is \"strict\""},
    {"xxx", 0, false, "is \""},
    {"check_client_access", 0, false, "argument is missing: expected type:table"},
    {"check_client_access nosuchtype:x", 0, false, "nosuchtype"},
    {"sleep long", 0, false, "sleep \"long\": expected a time"},
    {"reject_rbl_client =127.0.0.1", 0, false, "a domain"},
    {"check_policy_service 127.0.0.1:10031", 0, false, "inet:host:port or unix:path"},
    {"check_policy_service {}", 0, false, "is missing"},
    {"check_policy_service { unix:/p, patience=5s }", 0, false, "\"patience=5s\" is no setting"},
    {"check_policy_service { unix:/p, timeout=soon }", 0, false, "\"timeout=soon\" is no setting"},
};

static void test_a_list_is_resolved_or_refused_with_the_nearest_name(void **state)
{
    struct restriction_set set = { .conf = conf, .params = params };
    _cleanup_(str_free) struct str opening = STR_INIT;

    (void)state;
    if (restrictions_open(&set, &opening) < 0)
        fail_msg("%s", str_cstr(&opening));
    set.closed = false;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct restriction_list l = { 0 };
        _cleanup_(str_free) struct str err = STR_INIT;
        int r = restrictions_parse(&set, STAGE_RECIPIENT, lists[i].text, &l, &err);

        if ((r < 0) != !!lists[i].complaint || l.len != lists[i].want ||
            restrictions_guard_relay(&l) != lists[i].guards)
            fail_msg("%s: %d %s", lists[i].text, r, str_cstr(&err));
        if (lists[i].complaint && span_find(str_span(&err), span_of(lists[i].complaint)) < 0)
            fail_msg("%s: %s", lists[i].text, str_cstr(&err));
        restrictions_done(&l);
    }
    restrictions_close(&set);
}

static void test_a_lookup_result_cannot_open_tables_or_services(void **state)
{
    static const char *const texts[] = {"check_client_access inline:{a=b}",
                                        "check_policy_service unix:/p"};
    struct restriction_set set = {.conf = conf, .params = params, .closed = true};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct restriction_list l = { 0 };
        _cleanup_(str_free) struct str err = STR_INIT;

        assert_true(restrictions_parse(&set, STAGE_CLIENT, texts[i], &l, &err) < 0);
        assert_true(span_find(str_span(&err), span_of("cannot be used in a lookup result")) >= 0);
    }
}

static const struct {
    const char *text;
    bool good;
} filters[] = {
    { "bl.example", true },
    { "bl.example=127.0.0.2", true },
    { "bl.example=127.0.0.[2..11]", true },
    { "bl.example=127.0.[0;2..4].[1;3]", true },
    { "bl.example=[127].0.0.2", true },
    { "bl.example=", false },
    { "bl.example=127.0.0", false },
    { "bl.example=127.0.0.2.3", false },
    { "bl.example=127.0.0.256", false },
    { "bl.example=127.0.0.[11..2]", false },
    { "bl.example=127.0.0.[2", false },
    { "bl.example=127.0.0.[]", false },
    { "bl.example=127.0.0.[2]3", false },
    { "bl.example=127.0.0.x", false },
    { "bl example", false },
    { "", false },
};

static void test_a_filter_of_a_dns_list_is_read_whole_or_refused(void **state)
{
    struct restriction_set set = { .conf = conf, .params = params };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        _cleanup_(str_free) struct str err = STR_INIT;
        struct rbl *rbl = NULL;
        int r = rbl_parse(&set, span_of(filters[i].text), &rbl, &err);

        if ((r == 0) != filters[i].good)
            fail_msg("\"%s\": %d", filters[i].text, r);
        rbl_free(rbl);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_is_resolved_or_refused_with_the_nearest_name),
        cmocka_unit_test(test_a_lookup_result_cannot_open_tables_or_services),
        cmocka_unit_test(test_a_filter_of_a_dns_list_is_read_whole_or_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
