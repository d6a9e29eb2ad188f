/* SPDX-License-Identifier: Apache-2.0 */
/* passdb_test.c - how often a password is hashed, and what somebody learns who may not sign in */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "io/loop.h"
#include "sasl/password.h"

static struct params params = { .auth_cache_ttl = 300, .auth_users = "", .auth_upgrade_directory = "" };
static char file[] = "/tmp/passdb_test.XXXXXX";

static int setup(void **state)
{
    static struct auth a;
    static const struct penalty_limits limits = { .user_max = 2, .network_max = 0, .lock_ms = 60000 };
    _cleanup_(str_free) struct str list = STR_INIT, err = STR_INIT, hash = STR_INIT;
    int fd = mkstemp(file);
    FILE *f = fdopen(fd, "w");

    if (!f || password_hash("SHA512-CRYPT", span_of("secret"), &hash) < 0)
        return -1;
    fprintf(f, "ann %s\nbob %s\neve {PLAIN}secret::::::nologin\nsam {PLAIN}secret\n", str_cstr(&hash), str_cstr(&hash));
    fclose(f);
    str_addf(&list, "texthash:%s", file);
    if (maps_open(str_cstr(&list), &a.users, &err) < 0)
        return -1;
    a.params = &params;
    a.verified = auth_cache_new(60000, 100);
    a.penalties = penalties_new(&limits, 100);
    a.decoy_iterations = SCRAM_ITERATIONS;
    list_init(&a.running);
    *state = &a;
    return 0;
}

static int teardown(void **state)
{
    struct auth *a = *state;

    maps_free(a->users);
    auth_cache_free(a->verified);
    penalties_free(a->penalties);
    str_free(&a->decoy);
    return unlink(file);
}

struct attempt {
    struct auth *a;
    const char *user, *password;
    enum auth_status status;
};

static void sign_in(void *arg)
{
    struct attempt *at = arg;
    _cleanup_(account_done) struct account acc = { .name = STR_INIT };
    char text[256];

    assert_true(account_find(at->a, span_of(at->user), &acc) >= 0);
    at->status = account_check_password(at->a, &acc, span_of(at->password), text);
}

enum { STORM = 100 };

/* How many passwords are hashed for STORM sign-ins at once */
static uint64_t storm(struct auth *a, const char *user, const char *password, enum auth_status want)
{
    struct attempt attempts[STORM];
    uint64_t before = a->hashed;

    for (size_t i = 0; i < STORM; i++) {
        attempts[i] = (struct attempt){ a, user, password, AUTH_MALFORMED };
        fiber_start(sign_in, &attempts[i]);
    }
    assert_int_equal(loop_run(), 0);
    for (size_t i = 0; i < STORM; i++)
        assert_int_equal(attempts[i].status, want);
    assert_true(list_empty(&a->running));
    return a->hashed - before;
}

static void test_a_storm_of_sign_ins_costs_one_hash(void **state)
{
    struct auth *a = *state;

    assert_int_equal(storm(a, "ann", "secret", AUTH_OK), 1);
    assert_int_equal(storm(a, "ANN", "secret", AUTH_OK), 0);
    assert_int_equal(storm(a, "bob", "secret", AUTH_OK), 1);
    assert_int_equal(storm(a, "ann", "wrong", AUTH_REFUSED), 1);
    assert_int_equal(storm(a, "ann", "wrong", AUTH_REFUSED), 1);    /* a refusal is not remembered */
}

static void test_without_a_cache_each_sign_in_costs_a_hash(void **state)
{
    struct auth *a = *state;

    auth_cache_free(a->verified);
    a->verified = auth_cache_new(0, 100);
    params.auth_cache_ttl = 0;
    assert_int_equal(storm(a, "sam", "secret", AUTH_OK), STORM);
    params.auth_cache_ttl = 300;
    auth_cache_free(a->verified);
    a->verified = auth_cache_new(60000, 100);
}

/* The same work as for one who exists: one hash, by what is stored of somebody real. */
static void test_a_stranger_costs_what_a_user_costs(void **state)
{
    struct auth *a = *state;

    assert_int_equal(storm(a, "ann", "wrong", AUTH_REFUSED), 1);
    assert_true(span_starts(str_span(&a->decoy), span_of("{SHA512-CRYPT}$6$")));
    assert_int_equal(storm(a, "nobody", "wrong", AUTH_REFUSED), 1);
    assert_int_equal(storm(a, "nobody", "secret", AUTH_REFUSED), 1);    /* which is right for the decoy */
    assert_true(span_starts(str_span(&a->decoy), span_of("{SHA512-CRYPT}$6$")));
}

static int look_up(struct auth *a, const char *user, struct scram_secret *ret, enum auth_status *ret_status)
{
    struct scram_lookup l = { .auth = a, .network = "192.0.2.1", .client_addr = "192.0.2.1", .status = AUTH_OK };
    int r = account_scram_secret(&l, "SCRAM-SHA-256", span_of(user), ret);

    *ret_status = l.status;
    return r;
}

static void test_who_may_not_sign_in_learns_nothing_from_scram(void **state)
{
    struct auth *a = *state;
    struct scram_secret secret;
    enum auth_status status;

    assert_int_equal(look_up(a, "sam", &secret, &status), 0);
    assert_int_equal(status, AUTH_OK);
    assert_string_not_equal(secret.stored_key, secret.server_key);
    assert_int_equal(look_up(a, "eve", &secret, &status), 0);
    assert_int_equal(status, AUTH_REFUSED);
    assert_string_equal(secret.stored_key, secret.server_key);      /* nothing matches this */
    assert_int_equal(look_up(a, "nobody", &secret, &status), 0);
    assert_int_equal(status, AUTH_OK);
    assert_string_equal(secret.stored_key, secret.server_key);

    penalty_failed(a->penalties, span_of("sam"), "192.0.2.1", span_of("a"), clock_ms());
    penalty_failed(a->penalties, span_of("sam"), "192.0.2.1", span_of("b"), clock_ms());
    assert_int_equal(look_up(a, "sam", &secret, &status), -EAGAIN);
    assert_int_equal(status, AUTH_TEMPORARY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_storm_of_sign_ins_costs_one_hash),
        cmocka_unit_test(test_without_a_cache_each_sign_in_costs_a_hash),
        cmocka_unit_test(test_a_stranger_costs_what_a_user_costs),
        cmocka_unit_test(test_who_may_not_sign_in_learns_nothing_from_scram),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
