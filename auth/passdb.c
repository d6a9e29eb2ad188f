/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passdb.c - is this the user's password?
 *
 * Credentials stand in lookup tables in the form of Dovecot's passwd-file:
 * the value of a user is "{SCHEME}hash[:uid:gid:gecos:home:shell:extra]". Of the extra fields two are for signing in:
 * allow_nets=NETWORK,... and nologin; one is for the mailbox: userdb_quota_rule=*:storage=1G.
 *
 * A user who does not exist costs what one who does costs: the password is checked against what is stored of the
 * user looked up last, and SCRAM gets a salt that stays the same.
 *
 * Runs in: auth; name and password are hostile. Logs nothing.
 */
#include <errno.h>
#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sasl/password.h"
#include "table/cidr.h"

enum { USER_MAX = 512, EXTRA_FIELD = 6, SALT_BYTES = 16 };

void account_done(struct account *acc)
{
    if (acc->value.data)
        explicit_bzero(acc->value.data, acc->value.cap);
    str_free(&acc->value);
    str_free(&acc->name);
}

int account_find(struct auth *a, struct span user, struct account *ret)
{
    str_add_lower(&ret->name, span_first(user, USER_MAX));
    ret->stored = ret->extra = SPAN_NULL;
    int r = user.len == 0 || user.len > USER_MAX ? 0 : maps_get(a->users, str_span(&ret->name), &ret->value);
    if (r <= 0)
        return r;
    struct span rest = str_span(&ret->value);
    ret->stored = span_cut(&rest, ':');
    for (int i = 1; i < EXTRA_FIELD; i++)
        span_cut(&rest, ':');
    ret->extra = rest;
    if (!span_eq(str_span(&a->decoy), ret->stored))
        str_set(&a->decoy, ret->stored);
    return 1;
}

/* ---- passwords ---- */

static enum auth_status refuse(const char *why, char text[static 256])
{
    snprintf(text, 256, "%s", why);
    return AUTH_REFUSED;
}

enum auth_status account_check_password(struct auth *a, struct account *acc, struct span password,
                                        char text[static 256])
{
    if (acc->stored.len == 0) {
        verify_password(a, str_span(&acc->name), str_span(&a->decoy), password);
        return refuse("unknown user", text);
    }
    if (auth_cache_has(a->verified, str_span(&acc->name), acc->stored, password, clock_ms())) {
        snprintf(text, 256, "ok, verified lately");
        return AUTH_OK;
    }
    int r = verify_password(a, str_span(&acc->name), acc->stored, password);
    if (r == -ECANCELED) {
        snprintf(text, 256, "stopping");
        return AUTH_TEMPORARY;
    }
    if (r < 0)
        return refuse("stored password has an unknown scheme or is damaged", text);
    if (r == 0)
        return refuse("password mismatch", text);
    auth_cache_add(a->verified, str_span(&acc->name), acc->stored, password, clock_ms());
    account_upgrade(a, acc, password);
    snprintf(text, 256, "ok");
    return AUTH_OK;
}

/* ---- who may sign in ---- */

/* The value of "name=value" or of a lone "name" among blank-separated extra fields. */
static bool extra_get(struct span extra, const char *name, struct span *ret)
{
    struct span word;

    while (span_word(&extra, " \t", &word)) {
        *ret = word;
        if (span_eq_nocase_str(span_cut(ret, '='), name))
            return true;
    }
    return false;
}

/* "192.0.2.0/24,2001:db8::/32,local": local is a client without an address. */
static bool network_allowed(struct span networks, const char *client_addr)
{
    struct span word;

    while (span_word(&networks, ",", &word)) {
        _cleanup_(str_free) struct str err = STR_INIT;
        struct cidr network, client;

        if (!*client_addr && span_eq_nocase_str(word, "local"))
            return true;
        if (cidr_parse_address(span_of(client_addr), &client) && cidr_parse(word, &network, &err) == 0 &&
            cidr_has(&network, &client))
            return true;
    }
    return false;
}

bool account_is_closed(const struct account *acc)
{
    struct span value;

    return extra_get(acc->extra, "nologin", &value) && !span_eq_nocase_str(value, "n") && !span_eq_nocase_str(value, "no");
}

enum auth_status account_may_sign_in(const struct account *acc, const char *client_addr, char text[static 256])
{
    struct span value;

    if (account_is_closed(acc))
        return refuse("sign-in is disabled (nologin)", text);
    if (extra_get(acc->extra, "allow_nets", &value) && !network_allowed(value, client_addr))
        return refuse("not from this network (allow_nets)", text);
    return AUTH_OK;
}

void account_quota_rule(const struct account *acc, char ret[static 256])
{
    struct span value;

    *ret = '\0';
    if (extra_get(acc->extra, "userdb_quota_rule", &value) || extra_get(acc->extra, "quota_rule", &value))
        snprintf(ret, 256, "%.*s", SPAN_ARG(value));
}

/* ---- SCRAM ---- */

struct derivation {
    const char *mechanism;
    struct span password, salt;
    struct scram_secret *secret;
};

static int run_derive(void *arg)
{
    const struct derivation *d = arg;

    return scram_secret_derive(span_of(d->mechanism), d->password, d->salt, SCRAM_ITERATIONS, d->secret);
}

/* 32 bytes of a user who has no salt: others for each name, the same each time. */
static void fake_bytes(const struct auth *a, struct span user, unsigned char ret[static EVP_MAX_MD_SIZE])
{
    unsigned len = 0;

    HMAC(EVP_sha256(), a->fake_salt_key, sizeof a->fake_salt_key, (const unsigned char *)user.ptr, user.len, ret, &len);
}

static void put_base64(const unsigned char *bytes, size_t n, char ret[static SCRAM_TEXT_MAX])
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_add_base64(&text, span_make(bytes, n));
    snprintf(ret, SCRAM_TEXT_MAX, "%s", str_cstr(&text));
}

/* A secret that no password matches: both keys are the same, and no hash is its own preimage. */
static void fake_secret(const struct auth *a, const char *mechanism, const unsigned char *bytes,
                        struct scram_secret *ret)
{
    size_t key_size = strcmp(mechanism, "SCRAM-SHA-1") == 0 ? 20 : 32;

    *ret = (struct scram_secret){ .iterations = a->decoy_iterations };
    put_base64(bytes, SALT_BYTES, ret->salt);
    put_base64(bytes, key_size, ret->stored_key);
    put_base64(bytes, key_size, ret->server_key);
}

/* The secret as it is stored, or made of a password in clear. False: what is stored serves not for SCRAM. */
static bool secret_from(struct span stored, const char *mechanism, struct span salt, struct scram_secret *ret)
{
    struct span scheme;

    if (!password_scheme(&stored, &scheme))
        return false;
    if (span_eq_nocase_str(scheme, mechanism))
        return scram_secret_parse(stored, ret) == 0;
    if (!span_eq_nocase_str(scheme, "PLAIN") && !span_eq_nocase_str(scheme, "CLEARTEXT"))
        return false;
    struct derivation d = { mechanism, stored, salt, ret };
    return offload(run_derive, &d) == 0;
}

/*
 * Who is locked out, or may not sign in from there, must not learn from our part of the exchange that his password is
 * right: the first ends here, the second gets a secret that nothing matches.
 */
int account_scram_secret(void *arg, const char *mechanism, struct span user, struct scram_secret *ret)
{
    struct scram_lookup *l = arg;
    struct auth *a = l->auth;
    _cleanup_(account_done) struct account acc = { .name = STR_INIT };
    _cleanup_(str_free) struct str stored = STR_INIT;    /* copied: a->decoy may change meanwhile */
    unsigned char bytes[EVP_MAX_MD_SIZE];
    int found = account_find(a, user, &acc);

    if (found < 0)
        return found;
    if (penalty_locked(a->penalties, str_span(&acc.name), l->network, clock_ms(), l->text)) {
        l->status = AUTH_TEMPORARY;
        return -EAGAIN;
    }
    if (found)
        l->status = account_may_sign_in(&acc, l->client_addr, l->text);
    fake_bytes(a, str_span(&acc.name), bytes);
    str_set(&stored, found ? acc.stored : str_span(&a->decoy));
    bool usable = secret_from(str_span(&stored), mechanism, span_make(bytes, SALT_BYTES), ret);
    if (usable)
        a->decoy_iterations = ret->iterations;
    if (!usable || !found || l->status != AUTH_OK)
        fake_secret(a, mechanism, bytes, ret);
    return 0;
}
