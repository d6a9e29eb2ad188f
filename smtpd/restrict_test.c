/* SPDX-License-Identifier: Apache-2.0 */
/* restrict_test.c - tests of restrict.c */
#include "smtpd/restrict.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/own.h"

static const struct {
    const char *text;
    size_t want;            /* items */
    bool guards;
    const char *nearest;    /* not NULL: refused, with this suggestion */
} lists[] = {
    { "", 0, false, NULL },
    { "permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination", 3, true, NULL },
    { " permit_mynetworks\n\treject_unauth_destination ", 2, true, NULL },
    { "PERMIT_MYNETWORKS reject", 2, true, NULL },
    { "permit_mynetworks permit", 2, false, NULL },
    { "permit_mynetwork", 0, false, "permit_mynetworks" },
    { "permit, reject_unauth_destinations", 0, false, "reject_unauth_destination" },
    { "reject_unknown_recipient_dom", 0, false, "reject_unknown_recipient_domain" },
    { "xxx", 0, false, "" },
};

static void test_a_list_is_resolved_or_refused_with_the_nearest_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct restriction_list l = { 0 };
        _cleanup_(str_free) struct str err = STR_INIT;
        _cleanup_(str_free) struct str want = STR_INIT;
        int r = restrictions_parse(lists[i].text, &l, &err);

        if ((r < 0) != !!lists[i].nearest || l.len != lists[i].want ||
            restrictions_guard_relay(&l) != lists[i].guards)
            fail_msg("%s: %d", lists[i].text, r);
        if (lists[i].nearest) {
            str_addf(&want, "is \"%s", lists[i].nearest);
            assert_true(span_find(str_span(&err), str_span(&want)) > 0);
        }
        restrictions_done(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_is_resolved_or_refused_with_the_nearest_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
