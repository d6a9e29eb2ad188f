/* SPDX-License-Identifier: Apache-2.0 */
/* ticket_test.c - a ticket is good once, for one protocol, for a while */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "auth/auth.h"

static void test_a_ticket_is_good_once(void **state)
{
    struct ticket_office *o = ticket_office_new(1000, 10);
    _cleanup_(str_free) struct str user = STR_INIT;
    char id[40];

    (void)state;
    ticket_issue(o, "imap", span_of("ann@example.com"), 5000, id);
    assert_int_equal(strlen(id), 32);
    assert_true(ticket_redeem(o, id, "imap", 5500, &user));
    assert_string_equal(str_cstr(&user), "ann@example.com");
    assert_false(ticket_redeem(o, id, "imap", 5500, &user));
    ticket_office_free(o);
}

static void test_a_ticket_shown_for_another_protocol_is_void_for_ever(void **state)
{
    struct ticket_office *o = ticket_office_new(1000, 10);
    _cleanup_(str_free) struct str user = STR_INIT;
    char id[40];

    (void)state;
    ticket_issue(o, "imap", span_of("ann"), 0, id);
    assert_false(ticket_redeem(o, id, "pop3", 1, &user));
    assert_false(ticket_redeem(o, id, "imap", 1, &user));
    ticket_office_free(o);
}

static void test_an_old_or_unknown_ticket_is_refused(void **state)
{
    struct ticket_office *o = ticket_office_new(1000, 10);
    _cleanup_(str_free) struct str user = STR_INIT;
    char id[40];

    (void)state;
    ticket_issue(o, "imap", span_of("ann"), 0, id);
    assert_false(ticket_redeem(o, "0123456789abcdef0123456789abcdef", "imap", 1, &user));
    assert_false(ticket_redeem(o, "", "imap", 1, &user));
    assert_false(ticket_redeem(o, id, "imap", 1000, &user));
    ticket_office_free(o);
}

static void test_too_many_tickets_push_out_the_oldest(void **state)
{
    struct ticket_office *o = ticket_office_new(1000, 3);
    _cleanup_(str_free) struct str user = STR_INIT;
    char ids[4][40];

    (void)state;
    for (int i = 0; i < 4; i++)
        ticket_issue(o, "imap", span_of("ann"), (uint64_t)i, ids[i]);
    assert_false(ticket_redeem(o, ids[0], "imap", 10, &user));
    assert_true(ticket_redeem(o, ids[1], "imap", 10, &user));
    assert_true(ticket_redeem(o, ids[3], "imap", 10, &user));
    ticket_office_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_ticket_is_good_once),
        cmocka_unit_test(test_a_ticket_shown_for_another_protocol_is_void_for_ever),
        cmocka_unit_test(test_an_old_or_unknown_ticket_is_refused),
        cmocka_unit_test(test_too_many_tickets_push_out_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
