/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - auth: the only reader of credentials
 *
 * Answers smtpd, imapd-login and pop3d-login whether a client is who it says (SASL),
 * and imapd and pop3d whose session a one-time ticket stands for. A front that is
 * taken over learns the passwords of those who sign in there meanwhile, and can forge nobody.
 *
 * Parameters: auth_*, ticket_lifetime and those of lib/mailbox/locate.
 * Sandbox: user auth_owner; reads its tables and the system's user database; writes nothing but, where it is set,
 * the passwd-files in auth_upgrade_directory. Resident, since it counts failed sign-ins.
 */
#include "auth/auth.h"

#include <errno.h>

#include <openssl/crypto.h>

#include "base/log.h"
#include "base/mem.h"
#include "sasl/password.h"

enum { TICKETS_MAX = 100000, VERIFIED_MAX = 100000, PENALTIES_MAX = 200000 };

static int open_tables(struct server *sv, struct auth *a, struct str *err)
{
    const struct params *p = sv->params;

    if (maps_open_named("auth_users", p->auth_users, &a->users, err) < 0 ||
        match_list_open_named("auth_failure_exceptions", p->auth_failure_exceptions, MATCH_HOST_ADDR, &a->trusted, err) < 0 ||
        upgrade_prepare(p, err) < 0)
        return -EINVAL;
    return locator_open(sv->conf, p, &a->locator, err);
}

static int make_keys(const struct server *sv, struct auth *a, unsigned char ticket_key[static PASS_KEY_SIZE])
{
    unsigned char secret[MASTER_SECRET_SIZE];
    int r = daemon_secret(sv, secret);

    if (r < 0)
        return log_error_errno(r, "no secret from master");
    pass_derive_key(secret, "passes of parked sessions", a->pass_key);
    pass_derive_key(secret, "tickets of sessions that begin", ticket_key);
    pass_derive_key(secret, "salts of users who do not exist", a->fake_salt_key);
    OPENSSL_cleanse(secret, sizeof secret);
    return 0;
}

static int start(struct server *sv)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct auth *a = mem_new(struct auth);
    const struct params *p = sv->params;
    unsigned char ticket_key[PASS_KEY_SIZE];
    const struct penalty_limits limits = {
        .delay_ms = p->auth_failure_delay * 1000, .delay_max_ms = p->auth_failure_delay_max * 1000,
        .user_max = p->auth_user_failure_limit, .network_max = p->auth_network_failure_limit,
        .lock_ms = p->auth_lockout_time * 1000,
    };

    a->params = p;
    if (open_tables(sv, a, &err) < 0) {
        log_error("%s", str_cstr(&err));
        return -1;
    }
    if (daemon_checking(sv))
        return 0;
    if (make_keys(sv, a, ticket_key) < 0)
        return -1;
    list_init(&a->running);
    a->tickets = ticket_office_new(ticket_key, p->ticket_lifetime * 1000, TICKETS_MAX);
    OPENSSL_cleanse(ticket_key, sizeof ticket_key);
    a->verified = auth_cache_new(p->auth_cache_ttl * 1000, VERIFIED_MAX);
    a->penalties = penalties_new(&limits, PENALTIES_MAX);
    a->decoy_iterations = SCRAM_ITERATIONS;
    password_hash(p->auth_password_scheme, span_of("nobody's"), &a->decoy);
    sv->state = a;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct daemon auth = {
        .name = "auth",
        .sandbox = { .user = RUN_AS_AUTH, .flags = SANDBOX_NSS, .write = { "$auth_upgrade_directory" } },
        .start = start,
        .session = auth_session,
        .resident = true,
    };
    return daemon_main(&auth, argc, argv);
}
