/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passdb.c - is this the user's password?
 *
 * Credentials stand in lookup tables in the form of Dovecot's passwd-file:
 * the value of a user is "{SCHEME}hash[:uid:gid:gecos:home:shell:extra]".
 *
 * Runs in: auth; name and password are hostile. Logs nothing.
 */
#include <stdio.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sasl/password.h"

enum { USER_MAX = 512 };

struct check {
    struct span stored, password;
};

static int run_check(void *arg)
{
    const struct check *c = arg;

    return password_verify(c->stored, c->password);
}

static int run_waste(void *arg)
{
    const struct check *c = arg;

    password_waste(c->password);
    return 0;
}

enum auth_status passdb_check(struct auth *a, const struct sasl_credentials *c, struct str *user,
                              char text[static 256])
{
    _cleanup_(str_free) struct str value = STR_INIT;
    struct check check = { SPAN_NULL, str_span(&c->password) };

    str_reset(user);
    str_add_lower(user, span_first(str_span(&c->user), USER_MAX));
    int r = c->user.len > USER_MAX ? 0 : maps_get(a->users, str_span(user), &value);
    if (r < 0) {
        snprintf(text, 256, "user database not available");
        return AUTH_TEMPORARY;
    }
    if (r == 0) {
        offload(run_waste, &check);
        snprintf(text, 256, "unknown user");
        return AUTH_REFUSED;
    }
    struct span rest = str_span(&value);
    check.stored = span_cut(&rest, ':');
    if (auth_cache_has(a->verified, str_span(user), check.stored, check.password, clock_ms())) {
        snprintf(text, 256, "ok, verified lately");
        return AUTH_OK;
    }
    r = offload(run_check, &check);
    if (r < 0) {
        snprintf(text, 256, "stored password has an unknown scheme or is damaged");
        return AUTH_REFUSED;
    }
    if (r > 0)
        auth_cache_add(a->verified, str_span(user), check.stored, check.password, clock_ms());
    snprintf(text, 256, r ? "ok" : "password mismatch");
    return r ? AUTH_OK : AUTH_REFUSED;
}
