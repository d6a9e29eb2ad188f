/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - auth: the only reader of credentials
 *
 * Answers smtpd, imapd-login and pop3d-login whether a client is who it says (SASL),
 * and imapd and pop3d whose session a one-time ticket stands for. A front that is
 * taken over learns the passwords of those who sign in there meanwhile, and can forge nobody.
 *
 * Parameters: auth_users, auth_cache_ttl, auth_failure_delay, ticket_lifetime and those of lib/mailbox/locate.
 * Sandbox: user auth_owner; reads its tables and the system's user database, writes nothing.
 */
#include "auth/auth.h"

#include "base/log.h"
#include "base/mem.h"

enum { TICKETS_MAX = 100000, VERIFIED_MAX = 100000 };

static int start(struct server *sv)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct auth *a = mem_new(struct auth);

    if (maps_open(sv->params->auth_users, &a->users, &err) < 0 ||
        locator_open(sv->conf, sv->params, &a->locator, &err) < 0) {
        log_error("%s", str_cstr(&err));
        return -1;
    }
    a->tickets = ticket_office_new(sv->params->ticket_lifetime * 1000, TICKETS_MAX);
    a->verified = auth_cache_new(sv->params->auth_cache_ttl * 1000, VERIFIED_MAX);
    sv->state = a;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct daemon auth = {
        .name = "auth",
        .sandbox = { .user = RUN_AS_AUTH, .flags = SANDBOX_NSS },
        .start = start,
        .session = auth_session,
    };
    return daemon_main(&auth, argc, argv);
}
