/* SPDX-License-Identifier: Apache-2.0 */
/* cache_test.c - a verified sign-in is remembered for a while, for one user, password and stored hash */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "auth/auth.h"

#define ANN    span_of("ann@example.com")
#define HASH   span_of("{CRYPT}$y$j9T$one")
#define SECRET span_of("secret")

static void test_only_what_was_verified_is_remembered(void **state)
{
    static const struct {
        const char *user, *stored, *password;
    } others[] = {
        { "ann@example.com", "{CRYPT}$y$j9T$one", "Secret" },
        { "ann@example.com", "{CRYPT}$y$j9T$one", "" },
        { "ann@example.com", "{CRYPT}$y$j9T$one", "secret " },
        { "ann@example.com", "{CRYPT}$y$j9T$two", "secret" },
        { "bob@example.com", "{CRYPT}$y$j9T$one", "secret" },
        { "ann@example.com{CRYPT}", "$y$j9T$one", "secret" },       /* the same bytes, cut elsewhere */
        { "ann@example.com", "{CRYPT}$y$j9T$onesecret", "" },
    };
    struct auth_cache *c = auth_cache_new(1000, 10);

    (void)state;
    assert_false(auth_cache_has(c, ANN, HASH, SECRET, 0));
    auth_cache_add(c, ANN, HASH, SECRET, 0);
    assert_true(auth_cache_has(c, ANN, HASH, SECRET, 1));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(auth_cache_has(c, span_of(others[i].user), span_of(others[i].stored),
                                    span_of(others[i].password), 1));
    assert_true(auth_cache_has(c, ANN, HASH, SECRET, 1)); /* whoever guessed */
    auth_cache_free(c);
}

static void test_an_entry_ends_after_its_time_however_often_it_is_used(void **state)
{
    struct auth_cache *c = auth_cache_new(1000, 10);

    (void)state;
    auth_cache_add(c, ANN, HASH, SECRET, 5000);
    for (uint64_t now = 5000; now < 6000; now += 100)
        assert_true(auth_cache_has(c, ANN, HASH, SECRET, now));
    assert_false(auth_cache_has(c, ANN, HASH, SECRET, 6000));
    auth_cache_free(c);
}

static void test_a_new_stored_hash_ends_the_old_password(void **state)
{
    struct auth_cache *c = auth_cache_new(1000, 10);
    struct span changed = span_of("{CRYPT}$y$j9T$two"), password = span_of("better");

    (void)state;
    auth_cache_add(c, ANN, HASH, SECRET, 0);
    assert_false(auth_cache_has(c, ANN, changed, SECRET, 1));
    auth_cache_add(c, ANN, changed, password, 2);
    assert_true(auth_cache_has(c, ANN, changed, password, 3));
    assert_false(auth_cache_has(c, ANN, HASH, SECRET, 3)); /* not when the old hash comes back either */
    auth_cache_free(c);
}

static void test_too_many_users_push_out_the_oldest(void **state)
{
    static const char *const users[] = { "a", "b", "c", "d" };
    struct auth_cache *c = auth_cache_new(1000, 3);

    (void)state;
    for (uint64_t i = 0; i < 4; i++)
        auth_cache_add(c, span_of(users[i]), HASH, SECRET, i);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(auth_cache_has(c, span_of(users[i]), HASH, SECRET, 10), i > 0);
    auth_cache_free(c);
}

static void test_without_a_time_nothing_is_remembered(void **state)
{
    struct auth_cache *c = auth_cache_new(0, 10);

    (void)state;
    auth_cache_add(c, ANN, HASH, SECRET, 0);
    assert_false(auth_cache_has(c, ANN, HASH, SECRET, 0));
    auth_cache_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_was_verified_is_remembered),
        cmocka_unit_test(test_an_entry_ends_after_its_time_however_often_it_is_used),
        cmocka_unit_test(test_a_new_stored_hash_ends_the_old_password),
        cmocka_unit_test(test_too_many_users_push_out_the_oldest),
        cmocka_unit_test(test_without_a_time_nothing_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
