/* SPDX-License-Identifier: Apache-2.0 */
/* ticket_test.c - a ticket is good once, for one protocol, for a while */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "auth/auth.h"

static const unsigned char key[PASS_KEY_SIZE] = { 1, 2, 3 }, other_key[PASS_KEY_SIZE] = { 1, 2, 4 };

static struct str issue(struct ticket_office *o, const char *user, uint64_t now_ms)
{
    struct str ticket = STR_INIT;

    ticket_issue(o, "imap", span_of(user), now_ms, &ticket);
    return ticket;
}

static void test_a_ticket_is_good_once(void **state)
{
    struct ticket_office *o = ticket_office_new(key, 1000, 10);
    _cleanup_(str_free) struct str user = STR_INIT, ticket = issue(o, "ann@example.com", 5000);

    (void)state;
    assert_true(ticket_redeem(o, str_span(&ticket), "imap", 5500, &user));
    assert_string_equal(str_cstr(&user), "ann@example.com");
    assert_false(ticket_redeem(o, str_span(&ticket), "imap", 5500, &user));
    assert_false(ticket_redeem(o, str_span(&ticket), "imap", 5999, &user));
    ticket_office_free(o);
}

static void test_two_tickets_of_one_user_are_two(void **state)
{
    struct ticket_office *o = ticket_office_new(key, 1000, 10);
    _cleanup_(str_free) struct str user = STR_INIT, one = issue(o, "ann", 0), two = issue(o, "ann", 0);

    (void)state;
    assert_true(ticket_redeem(o, str_span(&one), "imap", 1, &user));
    assert_true(ticket_redeem(o, str_span(&two), "imap", 1, &user));
    ticket_office_free(o);
}

static void test_a_ticket_of_an_earlier_auth_with_the_same_secret_is_good(void **state)
{
    struct ticket_office *earlier = ticket_office_new(key, 1000, 10), *o = ticket_office_new(key, 1000, 10),
                         *stranger = ticket_office_new(other_key, 1000, 10);
    _cleanup_(str_free) struct str user = STR_INIT, ticket = issue(earlier, "ann", 0);

    (void)state;
    assert_false(ticket_redeem(stranger, str_span(&ticket), "imap", 1, &user));
    assert_true(ticket_redeem(o, str_span(&ticket), "imap", 1, &user));
    assert_string_equal(str_cstr(&user), "ann");
    ticket_office_free(earlier);
    ticket_office_free(o);
    ticket_office_free(stranger);
}

static void test_an_old_a_touched_or_another_protocol_s_ticket_is_refused(void **state)
{
    struct ticket_office *o = ticket_office_new(key, 1000, 10);
    _cleanup_(str_free) struct str user = STR_INIT, ticket = issue(o, "ann", 0), pass = STR_INIT;

    (void)state;
    assert_false(ticket_redeem(o, str_span(&ticket), "imap", 1000, &user));
    assert_false(ticket_redeem(o, str_span(&ticket), "pop3", 1, &user));
    assert_false(ticket_redeem(o, span_of(""), "imap", 1, &user));
    for (size_t i = 0; i < ticket.len; i++) {
        ticket.data[i] ^= 1;
        assert_false(ticket_redeem(o, str_span(&ticket), "imap", 1, &user));
        ticket.data[i] ^= 1;
    }
    pass_issue(key, "imap", span_of("ann"), 1000, &pass);   /* well sealed, but too short to be one */
    assert_false(ticket_redeem(o, str_span(&pass), "imap", 1, &user));
    ticket_office_free(o);
}

static void test_no_more_used_tickets_are_remembered_than_there_may_be(void **state)
{
    struct ticket_office *o = ticket_office_new(key, 1000, 3);
    _cleanup_(str_free) struct str user = STR_INIT, first = issue(o, "ann", 0), last = STR_INIT;

    (void)state;
    assert_true(ticket_redeem(o, str_span(&first), "imap", 1, &user));
    for (int i = 0; i < 5; i++) {
        str_free(&last);
        last = issue(o, "ann", 1);
        assert_true(ticket_redeem(o, str_span(&last), "imap", 1, &user));
    }
    assert_false(ticket_redeem(o, str_span(&last), "imap", 2, &user));
    ticket_office_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_ticket_is_good_once),
        cmocka_unit_test(test_two_tickets_of_one_user_are_two),
        cmocka_unit_test(test_a_ticket_of_an_earlier_auth_with_the_same_secret_is_good),
        cmocka_unit_test(test_an_old_a_touched_or_another_protocol_s_ticket_is_refused),
        cmocka_unit_test(test_no_more_used_tickets_are_remembered_than_there_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
