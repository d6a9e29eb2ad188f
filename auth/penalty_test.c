/* SPDX-License-Identifier: Apache-2.0 */
/* penalty_test.c - what failed sign-ins cost, and whom */
#include "auth/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct penalty_limits limits = {
    .delay_ms = 2000, .delay_max_ms = 15000, .user_max = 3, .network_max = 5, .lock_ms = 900000,
};

static struct penalties *fresh(size_t max)
{
    return penalties_new(&limits, max);
}

/* n failures with a new password each */
static int64_t failures(struct penalties *p, const char *user, const char *network, int n, uint64_t now_ms)
{
    static int serial;
    int64_t delay = 0;

    for (int i = 0; i < n; i++) {
        char password[32];
        snprintf(password, sizeof password, "guess %d", serial++);
        delay = penalty_failed(p, span_of(user), network, span_of(password), now_ms);
    }
    return delay;
}

static bool locked(struct penalties *p, const char *user, const char *network, uint64_t now_ms)
{
    char text[256];

    return penalty_locked(p, span_of(user), network, now_ms, text);
}

static void test_each_failure_of_a_network_doubles_the_delay_up_to_a_limit(void **state)
{
    static const int64_t wanted[] = { 2000, 4000, 8000, 15000, 15000 };
    struct penalties *p = fresh(100);

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(failures(p, "ann", "192.0.2.1", 1, 1000), wanted[i]);
    assert_int_equal(failures(p, "ann", "192.0.2.2", 1, 1000), 2000);
    assert_int_equal(failures(p, "ann", NULL, 1, 1000), 2000);      /* a trusted network */
    assert_int_equal(failures(p, "ann", "192.0.2.1", 1, 1000 + 900000), 2000);
    penalties_free(p);
}

static void test_a_network_is_locked_for_all_users_and_for_a_while(void **state)
{
    struct penalties *p = fresh(100);

    (void)state;
    failures(p, "ann", "192.0.2.1", 2, 0);
    failures(p, "bob", "192.0.2.1", 2, 0);
    assert_false(locked(p, "cid", "192.0.2.1", 0));
    failures(p, "cid", "192.0.2.1", 1, 0);
    assert_true(locked(p, "dan", "192.0.2.1", 899999));
    assert_false(locked(p, "dan", "192.0.2.2", 0));
    assert_false(locked(p, "dan", "192.0.2.1", 900000));
    penalties_free(p);
}

static void test_a_user_is_locked_but_not_where_he_has_signed_in_from(void **state)
{
    struct penalties *p = fresh(100);

    (void)state;
    penalty_succeeded(p, span_of("ann"), "192.0.2.77", 0);
    for (int i = 0; i < 3; i++) {
        char network[64];
        snprintf(network, sizeof network, "198.51.100.%d", i);
        failures(p, "ann", network, 1, 0);
    }
    assert_true(locked(p, "ann", "203.0.113.9", 1));
    assert_true(locked(p, "ann", NULL, 1));
    assert_false(locked(p, "ann", "192.0.2.77", 1));
    assert_false(locked(p, "bob", "203.0.113.9", 1));
    penalties_free(p);
}

static void test_a_mail_program_with_an_old_password_locks_nobody_out(void **state)
{
    struct penalties *p = fresh(100);

    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(penalty_failed(p, span_of("ann"), "192.0.2.1", span_of("old"), 0), 2000);
    assert_false(locked(p, "ann", "192.0.2.1", 0));
    penalties_free(p);
}

static void test_the_table_is_bounded(void **state)
{
    struct penalties *p = fresh(10);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        char user[32];
        snprintf(user, sizeof user, "user%d", i);
        failures(p, user, "192.0.2.1", 1, 0);
    }
    assert_true(locked(p, "ann", "192.0.2.1", 0));      /* used all the time: not the one to go */
    penalties_free(p);
}

static void test_a_limit_of_zero_never_locks(void **state)
{
    const struct penalty_limits none = { .delay_ms = 0, .delay_max_ms = 0, .lock_ms = 900000 };
    struct penalties *p = penalties_new(&none, 100);

    (void)state;
    assert_int_equal(failures(p, "ann", "192.0.2.1", 500, 0), 0);
    assert_false(locked(p, "ann", "192.0.2.1", 0));
    penalties_free(p);
}

static void test_an_ipv6_network_is_a_64(void **state)
{
    static const struct {
        const char *addr, *wanted;
    } cases[] = {
        { "192.0.2.1", "192.0.2.1" },
        { "2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002::/64" },
        { "2001:db8:1:2::1", "2001:0db8:0001:0002::/64" },
        { "", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char network[64];
        penalty_network(cases[i].addr, network);
        assert_string_equal(network, cases[i].wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_failure_of_a_network_doubles_the_delay_up_to_a_limit),
        cmocka_unit_test(test_a_network_is_locked_for_all_users_and_for_a_while),
        cmocka_unit_test(test_a_user_is_locked_but_not_where_he_has_signed_in_from),
        cmocka_unit_test(test_a_mail_program_with_an_old_password_locks_nobody_out),
        cmocka_unit_test(test_the_table_is_bounded),
        cmocka_unit_test(test_a_limit_of_zero_never_locks),
        cmocka_unit_test(test_an_ipv6_network_is_a_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
