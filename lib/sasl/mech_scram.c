/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mech_scram.c - SCRAM-SHA-1, SCRAM-SHA-256 and their -PLUS twins (RFC 5802, RFC 7677), by GNU SASL
 *
 * The library speaks the protocol; it calls back for the user's secret (salt, iterations, StoredKey, ServerKey)
 * and the channel's data. The callback runs on the fiber of the exchange and may wait.
 *
 * Runs in: auth; the client's data is hostile. Logs nothing.
 */
#include <errno.h>
#include <gsasl.h>
#include <stdio.h>

#include "base/mem.h"
#include "sasl/mech_internal.h"

enum { MESSAGE_MAX = 4096 };

/* The secret, fetched once in an exchange. */
static const struct scram_secret *secret_of(struct sasl_exchange *x, Gsasl_session *session)
{
    if (!x->secret && x->failure == 0) {
        const char *user = gsasl_property_fast(session, GSASL_AUTHID);
        struct scram_secret *secret = mem_new(struct scram_secret);

        x->failure = x->server->scram_secret(x->server->arg, x->mech->secret, span_of(user ? user : ""), secret);
        if (x->failure == 0)
            x->secret = secret;
        else
            free(secret);
    }
    return x->secret;
}

static bool binds(const struct sasl_exchange *x)
{
    return span_ends_nocase(span_of(x->mech->name), span_of("-PLUS"));
}

static int set_channel_binding(const struct sasl_exchange *x, Gsasl_session *session)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    if (!binds(x))
        return GSASL_NO_CB_TLS_EXPORTER;
    str_add_base64(&text, x->server->channel_binding);
    return gsasl_property_set(session, GSASL_CB_TLS_EXPORTER, str_cstr(&text));
}

static int call_back(Gsasl *library, Gsasl_session *session, Gsasl_property property)
{
    struct sasl_exchange *x = gsasl_session_hook_get(session);
    char number[16];

    (void)library;
    if (property == GSASL_CB_TLS_EXPORTER)
        return set_channel_binding(x, session);
    if (property != GSASL_SCRAM_ITER && property != GSASL_SCRAM_SALT && property != GSASL_SCRAM_STOREDKEY &&
        property != GSASL_SCRAM_SERVERKEY)
        return GSASL_NO_CALLBACK;
    const struct scram_secret *secret = secret_of(x, session);
    if (!secret)
        return GSASL_NO_CALLBACK;
    snprintf(number, sizeof number, "%u", secret->iterations);
    const struct {
        Gsasl_property property;
        const char *value;
    } values[] = {
        { GSASL_SCRAM_ITER, number },
        { GSASL_SCRAM_SALT, secret->salt },
        { GSASL_SCRAM_STOREDKEY, secret->stored_key },
        { GSASL_SCRAM_SERVERKEY, secret->server_key },
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        int r = gsasl_property_set(session, values[i].property, values[i].value);
        if (r != GSASL_OK)
            return r;
    }
    return GSASL_OK;
}

/* The library's state of the process, made at first need. */
static Gsasl *library(void)
{
    static Gsasl *made;

    if (!made && gsasl_init(&made) == GSASL_OK)
        gsasl_callback_set(made, call_back);
    return made;
}

static int begin(struct sasl_exchange *x)
{
    Gsasl *lib = library();

    if (!lib || gsasl_server_start(lib, x->mech->name, &x->gsasl) != GSASL_OK)
        return -EAGAIN;
    gsasl_session_hook_set(x->gsasl, x);
    return 0;
}

static void note_user(struct sasl_exchange *x)
{
    const char *user = gsasl_property_fast(x->gsasl, GSASL_AUTHID);

    if (user)
        str_set(&x->credentials.user, span_of(user));
}

/* An authzid other than the name is refused, as with PLAIN. */
static bool acts_for_another(const struct sasl_exchange *x)
{
    const char *authzid = gsasl_property_fast(x->gsasl, GSASL_AUTHZID);

    return authzid && *authzid && !span_eq_str(str_span(&x->credentials.user), authzid);
}

/* What a failed step of the library means. */
static int failure_of(const struct sasl_exchange *x, int r)
{
    if (x->failure < 0 || r == GSASL_MALLOC_ERROR || r == GSASL_CRYPTO_ERROR)
        return -EAGAIN;
    return r == GSASL_AUTHENTICATION_ERROR ? -EACCES : -EINVAL;
}

/* gs2-cbind-flag (RFC 5802 section 7): "p" with the -PLUS mechanisms and only there. A client that could bind
 * and believes that we cannot ("y") was lied to by someone between (section 6). */
static int check_flag(const struct sasl_exchange *x, struct span first)
{
    if (span_starts(first, span_of("p=")) != binds(x))
        return -EINVAL;
    return x->server->plus_offered && span_starts(first, span_of("y,")) ? -EACCES : 0;
}

static int take_message(struct sasl_exchange *x, struct span data, struct str *challenge)
{
    char *out = NULL;
    size_t len = 0;
    int r = gsasl_step(x->gsasl, data.ptr, data.len, &out, &len);

    if (out && (r == GSASL_OK || r == GSASL_NEEDS_MORE))
        str_add(challenge, span_make(out, len));
    gsasl_free(out);
    note_user(x);
    if (r == GSASL_NEEDS_MORE)
        return SASL_CHALLENGE;
    if (r != GSASL_OK)
        return failure_of(x, r);
    x->proved = true;
    if (acts_for_another(x))
        return -EACCES;
    return challenge->len > 0 ? SASL_CHALLENGE : SASL_DONE; /* server-final-message; the client answers with nothing */
}

int scram_step(struct sasl_exchange *x, struct span data, struct str *challenge)
{
    if (x->proved)
        return data.len == 0 ? SASL_DONE : -EINVAL;
    if (!data.ptr)
        return x->step++ == 0 ? SASL_CHALLENGE : -EINVAL;  /* the empty challenge asks for the first message */
    if (data.len == 0 || data.len > MESSAGE_MAX || span_chr(data, '\0') >= 0)
        return -EINVAL;
    if (!x->gsasl) {
        int r = check_flag(x, data);
        if (r == 0)
            r = begin(x);
        if (r < 0)
            return r;
    }
    return take_message(x, data, challenge);
}

void scram_end(struct sasl_exchange *x)
{
    if (x->gsasl)
        gsasl_finish(x->gsasl);
    x->gsasl = NULL;
    if (x->secret)
        explicit_bzero(x->secret, sizeof *x->secret);
    free(x->secret);
    x->secret = NULL;
}
