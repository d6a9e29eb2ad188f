/* SPDX-License-Identifier: Apache-2.0 */
/* restrict_access_test.c - tests of restrict_access.c: the search orders of access(5) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/own.h"
#include "smtpd/restrict_internal.h"

enum kind { DOMAIN, NETWORK, ADDRESS };

static const struct {
    enum kind kind;
    bool parents;           /* parent_domain_matches_subdomains holds smtpd_access_maps */
    const char *table, *key;
    const char *want;       /* NULL: not found */
} searches[] = {
    { DOMAIN,  true,  "inline:{example.com=a, host.example.com=b}", "host.example.com", "b" },
    { DOMAIN,  true,  "inline:{example.com=a}", "host.example.com", "a" },
    { DOMAIN,  true,  "inline:{com=a}", "host.example.com", "a" },
    { DOMAIN,  true,  "inline:{.example.com=a}", "host.example.com", NULL },
    { DOMAIN,  false, "inline:{.example.com=a}", "host.example.com", "a" },
    { DOMAIN,  false, "inline:{.com=a}", "host.example.com", "a" },
    { DOMAIN,  false, "inline:{example.com=a}", "host.example.com", NULL },
    { DOMAIN,  false, "inline:{example.com=a}", "example.com", "a" },
    { DOMAIN,  true,  "inline:{xample.com=a}", "example.com", NULL },
    { DOMAIN,  true,  "inline:{x=a}", "", NULL },
    { DOMAIN,  true,  "inline:{x=a}", "...", NULL },
    { DOMAIN,  false, "inline:{x=a}", "...", NULL },
    { NETWORK, true,  "inline:{192.0.2.9=a, 192.0.2=b}", "192.0.2.9", "a" },
    { NETWORK, true,  "inline:{192.0.2=b, 192=c}", "192.0.2.9", "b" },
    { NETWORK, true,  "inline:{192=c}", "192.0.2.9", "c" },
    { NETWORK, true,  "inline:{192.0.=c}", "192.0.2.9", NULL },
    { NETWORK, true,  "inline:{2001:db8=a}", "2001:db8::1", "a" },
    { NETWORK, true,  "inline:{2001:db8:0=a}", "2001:db8::1", NULL },
    { ADDRESS, true,  "inline:{ann+x@b.example=a, ann@b.example=b}", "ann+x@b.example", "a" },
    { ADDRESS, true,  "inline:{ann@b.example=b, b.example=c}", "ann+x@b.example", "b" },
    { ADDRESS, true,  "inline:{b.example=c, ann@=d}", "ann+x@b.example", "c" },
    { ADDRESS, true,  "inline:{example=c, ann@=d}", "ann@b.example", "c" },
    { ADDRESS, true,  "inline:{ann+x@=c, ann@=d}", "ann+x@b.example", "c" },
    { ADDRESS, true,  "inline:{ann@=d}", "ann+x@b.example", "d" },
    { ADDRESS, true,  "inline:{ann=d}", "ann@b.example", NULL },
    { ADDRESS, true,  "inline:{ann@b.example=d}", "Ann@B.example", "d" },
};

static int search(const struct smtpd *s, size_t i, struct table *t, struct str *value)
{
    struct span key = span_of(searches[i].key);

    switch (searches[i].kind) {
    case DOMAIN:
        return access_find_domain(s, t, key, value);
    case NETWORK:
        return access_find_network(t, key, value);
    case ADDRESS:
        return access_find_address(s, t, key, value);
    }
    return -1;
}

static void test_the_first_of_the_forms_that_is_in_the_table_decides(void **state)
{
    struct params params = { .recipient_delimiter = "+" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(searches); i++) {
        struct service service = { .params = &params, .access_parents = searches[i].parents };
        struct smtpd s = { .sv = &service };
        _cleanup_(table_free_ptr_) struct table *t = NULL;
        _cleanup_(str_free) struct str err = STR_INIT;
        _cleanup_(str_free) struct str value = STR_INIT;

        if (table_open(span_of(searches[i].table), &t, &err) < 0)
            fail_msg("%s: %s", searches[i].table, str_cstr(&err));

        int r = search(&s, i, t, &value);

        if (r != !!searches[i].want || (r && !span_eq_str(str_span(&value), searches[i].want)))
            fail_msg("%s in %s: %d \"%s\"", searches[i].key, searches[i].table, r,
                     str_cstr(&value));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_of_the_forms_that_is_in_the_table_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
