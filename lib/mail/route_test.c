/* SPDX-License-Identifier: Apache-2.0 */
/* route_test.c - tests of route.c */
#include "mail/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"

/* The parameters are set here by hand, so that the test needs no main.cf. */
static void params_for_test(struct params *p)
{
#define PARAM_DEFAULT_STR  ""
#define PARAM_DEFAULT_WORD ""
#define PARAM_DEFAULT_WORDS ""
#define PARAM_DEFAULT_INT  0
#define PARAM_DEFAULT_BOOL false
#define PARAM_DEFAULT_TIME 0
#define PARAM_DEFAULT_SIZE 0
#define PARAM(name, type, def, min, max, text) p->name = PARAM_DEFAULT_##type;
#include "conf/params.def"
#undef PARAM
    p->myorigin = "here.example";
    p->mydomain = "example";
    p->append_at_myorigin = true;
    p->inet_interfaces = "192.0.2.1, [2001:db8::1]";
    p->mydestination = "here.example, localhost, xn--bro-hoa.example";
    p->virtual_alias_domains = "alias.example";
    p->virtual_mailbox_domains = "box.example";
    p->relay_domains = "relay.example";
    p->parent_domain_matches_subdomains = "relay_domains";
    p->local_transport = "local:here.example";
    p->virtual_transport = "virtual";
    p->relay_transport = "relay";
    p->default_transport = "smtp";
    p->recipient_delimiter = "+";
    p->double_bounce_sender = "double-bounce";
    p->local_recipient_maps = "inline:{ann=x, postmaster=x}";
    p->virtual_alias_maps = "inline:{sales@alias.example=ann, root=ann, @catch.example=ann}";
    p->virtual_mailbox_maps = "inline:{bob@box.example=bob/}";
    p->relay_recipient_maps = "inline:{carol@relay.example=x}";
    p->transport_maps = "inline:{special@far.example=slow:, slow.example=slow, .slow.example=slow:[mx.slow.example], "
                        "nexthop.example=:[other]:26, { gone.example = error:5.1.2 gone }, x@box.example=lmtp:unix:x}";
    p->sender_dependent_relayhost_maps = "inline:{@bulk.example=[bulk]:587}";
    p->sender_dependent_default_transport_maps = "inline:{vip@here.example=fast:}";
}

static struct params params;
static struct router *router;

static int open_router(void **state)
{
    struct str err = STR_INIT;

    (void)state;
    params_for_test(&params);
    if (router_open(NULL, &params, &router, &err) < 0)
        fail_msg("%s", str_cstr(&err));
    str_free(&err);
    return 0;
}

static int close_router(void **state)
{
    (void)state;
    router_free(router);
    return 0;
}

static const struct {
    const char *domain;
    enum address_class want;
} classes[] = {
    { "here.example", CLASS_LOCAL },
    { "HERE.example", CLASS_LOCAL },
    { "", CLASS_LOCAL },
    { "[192.0.2.1]", CLASS_LOCAL },
    { "[IPv6:2001:db8::1]", CLASS_LOCAL },
    { "[192.0.2.2]", CLASS_DEFAULT },
    { "b\xc3\xbcro.example", CLASS_LOCAL },
    { "alias.example", CLASS_VIRTUAL_ALIAS },
    { "box.example", CLASS_VIRTUAL_MAILBOX },
    { "sub.box.example", CLASS_DEFAULT },
    { "relay.example", CLASS_RELAY },
    { "sub.relay.example", CLASS_RELAY },
    { "notrelay.example", CLASS_DEFAULT },
    { "far.example", CLASS_DEFAULT },
};

static void test_a_domain_has_the_class_of_the_first_list_that_names_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        enum address_class got = CLASS_DEFAULT;

        assert_int_equal(route_class(router, span_of(classes[i].domain), &got), 0);
        if (got != classes[i].want)
            fail_msg("%s: %d", classes[i].domain, got);
    }
}

static const struct {
    const char *sender, *address, *transport, *nexthop;
} routes[] = {
    { "", "ann@here.example", "local", "here.example" },
    { "", "ann", "local", "here.example" },
    { "", "x@alias.example", "error", "5.1.1 User unknown in virtual alias table" },
    { "", "bob@box.example", "virtual", "box.example" },
    { "", "x@box.example", "lmtp", "unix:x" },
    { "", "x@relay.example", "relay", "relay.example" },
    { "", "x@Far.Example", "smtp", "far.example" },
    { "", "x@b\xc3\xbcro2.example", "smtp", "xn--bro2-0ra.example" },
    { "", "x@[203.0.113.1]", "smtp", "[203.0.113.1]" },
    { "", "special@far.example", "slow", "far.example" },
    { "", "special+ext@far.example", "slow", "far.example" },
    { "", "x@slow.example", "slow", "slow.example" },
    { "", "x@a.slow.example", "slow", "[mx.slow.example]" },
    { "", "x@nexthop.example", "smtp", "[other]:26" },
    { "", "x@gone.example", "error", "5.1.2 gone" },
    { "a@bulk.example", "x@far.example", "smtp", "[bulk]:587" },
    { "a@bulk.example", "x@relay.example", "relay", "[bulk]:587" },
    { "a@bulk.example", "ann@here.example", "local", "here.example" },
    { "vip@here.example", "x@far.example", "fast", "far.example" },
    { "", "x@bad..example", "error", "5.1.3 Bad recipient address syntax" },
    { "", "Double-Bounce@localhost", "discard", "2.0.0 undeliverable postmaster notification discarded" },
    { "", "double-bounce", "discard", "2.0.0 undeliverable postmaster notification discarded" },
    { "", "double-bounce@box.example", "virtual", "box.example" },
    { "", "double-bounce@far.example", "smtp", "far.example" },
};

static void test_each_address_goes_where_the_manual_says(void **state)
{
    (void)state;
    struct route got = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        assert_int_equal(route_resolve(router, span_of(routes[i].sender), span_of(routes[i].address), &got),
                         0);
        if (strcmp(got.transport, routes[i].transport) != 0 ||
            !span_eq_str(str_span(&got.nexthop), routes[i].nexthop))
            fail_msg("%s: %s:%s", routes[i].address, got.transport, str_cstr(&got.nexthop));
    }
    route_done(&got);
}

static const struct {
    const char *address;
    enum address_class class;
    int want;
} recipients[] = {
    { "ann@here.example", CLASS_LOCAL, 1 },
    { "ann+ext@here.example", CLASS_LOCAL, 1 },
    { "root@here.example", CLASS_LOCAL, 1 },
    { "nobody@here.example", CLASS_LOCAL, 0 },
    { "sales@alias.example", CLASS_VIRTUAL_ALIAS, 1 },
    { "x@alias.example", CLASS_VIRTUAL_ALIAS, 0 },
    { "x@catch.example", CLASS_VIRTUAL_ALIAS, 1 },
    { "bob@box.example", CLASS_VIRTUAL_MAILBOX, 1 },
    { "bob+ext@box.example", CLASS_VIRTUAL_MAILBOX, 1 },
    { "root@box.example", CLASS_VIRTUAL_MAILBOX, 0 },
    { "carol@relay.example", CLASS_RELAY, 1 },
    { "x@relay.example", CLASS_RELAY, 0 },
    { "x@far.example", CLASS_DEFAULT, 1 },
};

static void test_a_recipient_exists_when_a_table_of_its_class_has_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(recipients); i++) {
        int got = route_recipient_exists(router, span_of(recipients[i].address), recipients[i].class);

        if (got != recipients[i].want)
            fail_msg("%s: %d", recipients[i].address, got);
    }
}

static void test_short_addresses_are_completed_and_the_null_sender_is_not(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "ann", "ann@here.example" },
        { "", "" },
        { "ann@host", "ann@host.example" },
        { "ann@a.b", "ann@a.b" },
        { "ann@[192.0.2.1]", "ann@[192.0.2.1]" },
    };
    struct params p = params;
    struct str got = STR_INIT;

    p.append_dot_mydomain = true;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        route_complete(&p, span_of(cases[i][0]), &got);
        assert_string_equal(str_cstr(&got), cases[i][1]);
    }
    str_free(&got);
}

static void test_a_table_that_does_not_open_is_named_by_its_parameter(void **state)
{
    (void)state;
    struct params p = params;
    struct router *r = NULL;
    struct str err = STR_INIT;

    p.transport_maps = "nosuchtype:x";
    assert_true(router_open(NULL, &p, &r, &err) < 0);
    assert_true(span_starts(str_span(&err), span_of("bad value for parameter transport_maps: ")));
    str_free(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_domain_has_the_class_of_the_first_list_that_names_it),
        cmocka_unit_test(test_each_address_goes_where_the_manual_says),
        cmocka_unit_test(test_a_recipient_exists_when_a_table_of_its_class_has_it),
        cmocka_unit_test(test_short_addresses_are_completed_and_the_null_sender_is_not),
        cmocka_unit_test(test_a_table_that_does_not_open_is_named_by_its_parameter),
    };
    return cmocka_run_group_tests(tests, open_router, close_router);
}
