/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mech.c - the table of mechanisms; PLAIN (RFC 4616) and LOGIN (the de-facto mechanism of old clients: two prompts)
 *
 * Runs in: auth; the client's data is hostile. Logs nothing.
 */
#include "sasl/mech.h"

#include <errno.h>
#include <openssl/crypto.h>

#include "base/mem.h"
#include "sasl/mech_internal.h"

void sasl_credentials_done(struct sasl_credentials *c)
{
    if (c->password.data)
        OPENSSL_cleanse(c->password.data, c->password.cap);
    str_free(&c->password);
    str_free(&c->user);
}

int sasl_plain_parse(struct span message, struct sasl_credentials *ret)
{
    if (span_chr(message, '\0') < 0)
        return -EINVAL;
    struct span authzid = span_cut(&message, '\0');
    if (span_chr(message, '\0') < 0)
        return -EINVAL;
    struct span authcid = span_cut(&message, '\0');
    if (authcid.len == 0 || span_chr(message, '\0') >= 0)
        return -EINVAL;
    str_set(&ret->user, authcid);
    str_set(&ret->password, message);
    return authzid.len > 0 && !span_eq(authzid, authcid) ? -EACCES : SASL_DONE;
}

static int step_plain(struct sasl_exchange *x, struct span data, struct str *challenge)
{
    (void)challenge;    /* the empty challenge asks for the message */
    if (!data.ptr && x->step++ == 0)
        return SASL_CHALLENGE;
    return sasl_plain_parse(data, &x->credentials);
}

static int step_login(struct sasl_exchange *x, struct span data, struct str *challenge)
{
    if (!data.ptr) {
        if (x->step > 0)
            return -EINVAL;
        str_add_str(challenge, "Username:");
        return SASL_CHALLENGE;
    }
    if (span_chr(data, '\0') >= 0)
        return -EINVAL;
    if (x->step++ == 0) {
        if (data.len == 0)
            return -EINVAL;
        str_set(&x->credentials.user, data);
        str_add_str(challenge, "Password:");
        return SASL_CHALLENGE;
    }
    str_set(&x->credentials.password, data);
    return SASL_DONE;
}

static const struct sasl_mech mechs[] = {
    { "PLAIN",              NULL,            step_plain },
    { "LOGIN",              NULL,            step_login },
    { "SCRAM-SHA-256",      "SCRAM-SHA-256", scram_step },
    { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", scram_step },
    { "SCRAM-SHA-1",        "SCRAM-SHA-1",   scram_step },
    { "SCRAM-SHA-1-PLUS",   "SCRAM-SHA-1",   scram_step },
};

int sasl_start(struct sasl_exchange *x, struct span mechanism, const struct sasl_server *server)
{
    for (size_t i = 0; i < ARRAY_LEN(mechs); i++)
        if (span_eq_nocase_str(mechanism, mechs[i].name)) {
            *x = (struct sasl_exchange){ .mech = &mechs[i], .server = server };
            return 0;
        }
    return -ENOTSUP;
}

int sasl_step(struct sasl_exchange *x, struct span data, struct str *challenge)
{
    return x->mech->step(x, data, challenge);
}

void sasl_end(struct sasl_exchange *x)
{
    scram_end(x);
    sasl_credentials_done(&x->credentials);
}
