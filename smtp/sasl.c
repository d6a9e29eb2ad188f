/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sasl.c - signing in to a server (RFC 4954)
 *
 * smtp_sasl_password_maps is asked by sender (with smtp_sender_dependent_authentication), host and
 * next hop. A refusal is remembered with smtp_sasl_auth_cache_name, in memory and as a keyed hash
 * of the login, so that a wrong password is not repeated until the server locks the account.
 *
 * Runs in: smtp. The server is hostile.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/secret.h"
#include "sasl/client.h"
#include "smtp/smtp.h"

enum { REFUSALS_MAX = 1000, STEPS_MAX = 8 };

/* ---- refusals that are remembered ---- */

struct refusal {
    uint64_t key, until_ms;     /* key 0: free */
    char dsn[16];
    char *text;
};

struct smtp_refusals {
    struct refusal items[REFUSALS_MAX];
};

static uint64_t refusal_key(const struct connection *k, struct span login)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_addf(&text, "%s\n" SPAN_FMT, k->host, SPAN_ARG(login));
    return span_hash(str_span(&text)) | 1;
}

static struct refusal *refusal_of(struct smtp_client *c, uint64_t key)
{
    if (!c->refusals)
        c->refusals = mem_new(struct smtp_refusals);
    return &c->refusals->items[key % REFUSALS_MAX];
}

static bool remembers(const struct smtp_client *c)
{
    return c->params->smtp_sasl_auth_cache_name[0] && c->params->smtp_sasl_auth_cache_time > 0;
}

static void remember(struct smtp_client *c, uint64_t key, const struct failure *why)
{
    if (!remembers(c))
        return;
    struct refusal *r = refusal_of(c, key);
    free(r->text);
    r->key = key;
    r->until_ms = clock_deadline_ms(c->params->smtp_sasl_auth_cache_time * 1000);
    r->text = mem_dup_span(str_span(&why->text));
    memcpy(r->dsn, why->dsn, sizeof r->dsn);
}

static bool is_remembered(struct smtp_client *c, uint64_t key, struct failure *why)
{
    if (!remembers(c))
        return false;
    const struct refusal *r = refusal_of(c, key);
    if (r->key != key || r->until_ms <= clock_ms())
        return false;
    failure_set(why, r->dsn[0] == '5', r->dsn, "%s", r->text);
    return true;
}

/* ---- name and password ---- */

/* 1 and *ret "user:password", 0, or negative */
static int find_login(const struct delivery *d, const struct connection *k, struct str *ret)
{
    const struct params *p = d->client->params;
    struct maps *maps = d->client->tables.sasl_passwords;
    struct span sender = str_span(&d->request.sender);
    int r = 0;

    if (p->smtp_sender_dependent_authentication && sender.len > 0)
        r = maps_get_address(maps, sender, p->recipient_delimiter, MAPS_FULL | MAPS_AT_DOMAIN, ret,
                             NULL);
    if (r == 0)
        r = maps_get(maps, span_of(k->host), ret);
    if (r == 0)
        r = maps_get(maps, str_span(&d->hop_text), ret);
    return r;
}

static unsigned forbidden(const struct connection *k)
{
    static const struct {
        const char *name;
        unsigned bit;
    } options[] = { { "noplaintext", SASL_NO_PLAINTEXT }, { "noanonymous", SASL_NO_ANONYMOUS } };
    const struct params *p = k->client->params;
    struct span list = span_of(stream_ssl(k->stream) ? p->smtp_sasl_tls_security_options
                                                     : p->smtp_sasl_security_options);
    unsigned found = 0;
    struct span word;

    while (span_word(&list, ", \t\r\n", &word))
        for (size_t i = 0; i < ARRAY_LEN(options); i++)
            if (span_eq_nocase_str(word, options[i].name))
                found |= options[i].bit;
    return found;
}

/* ---- the exchange ---- */

static void put_encoded(struct connection *k, struct str *text)
{
    _cleanup_(secret_free) struct str line = STR_INIT;

    str_add_base64(&line, str_span(text));
    stream_write(k->stream, str_span(&line));
    str_reset(text);
}

/* Answer "334 challenge". 0, or negative: the server breaks the protocol. */
static int answer(struct connection *k, struct sasl_client *sasl, const struct smtp_reply *reply,
                  struct str *text)
{
    _cleanup_(str_free) struct str challenge = STR_INIT;
    int r = str_add_unbase64(&challenge, span_trim(str_span(&reply->text)));

    if (r == 0)
        r = sasl_client_step(sasl, str_span(&challenge), text);
    if (r < 0) {
        stream_puts(k->stream, "*\r\n");    /* RFC 4954 section 4: cancel */
        return r;
    }
    put_encoded(k, text);
    stream_puts(k->stream, "\r\n");
    return 0;
}

static void put_auth(struct connection *k, struct sasl_client *sasl, struct str *text)
{
    stream_printf(k->stream, "AUTH %s", sasl_client_name(sasl->mech));
    if (sasl_client_first(sasl->mech) && sasl_client_step(sasl, SPAN_NULL, text) == 0) {
        stream_puts(k->stream, text->len > 0 ? " " : " =");
        put_encoded(k, text);
    }
    stream_puts(k->stream, "\r\n");
}

/* Until the server says something else than 334. 0 signed in; 1 refused, *why is set; -1 the
 * connection is lost. */
static int exchange(struct connection *k, struct sasl_client *sasl, struct failure *why)
{
    const struct params *p = k->client->params;
    _cleanup_(reply_done) struct smtp_reply reply = { .text = STR_INIT };
    _cleanup_(secret_free) struct str text = STR_INIT;
    int wrong = 0;

    put_auth(k, sasl, &text);
    for (int i = 0; i < STEPS_MAX; i++) {
        if (connection_reply(k, "performing SASL authentication", p->smtp_helo_timeout, &reply,
                             why) < 0)
            return -1;
        if (reply.code != 334 || wrong < 0)
            break;
        wrong = answer(k, sasl, &reply, &text);
    }
    bool accepted = reply.code / 100 == 2;
    if (accepted && wrong == 0 && sasl->verified)
        return 0;
    if (accepted || wrong < 0)
        failure_set(
            why, false, "4.7.0", "SASL authentication failed; server %s %s", str_cstr(&k->peer),
            wrong == -EINVAL ? "breaks the protocol" : "does not prove that it knows the password");
    else if (reply.code == 334)
        failure_set(why, false, "4.7.0",
                    "SASL authentication failed; authentication protocol loop with server %s",
                    str_cstr(&k->peer));
    else
        failure_set(why, reply.code / 100 == 5, reply.dsn,
                    "SASL authentication failed; server %s said: %d %s", str_cstr(&k->peer),
                    reply.code, str_cstr(&reply.text));
    return 1;
}

/* smtp_sasl_auth_soft_bounce: the administrator may mend it; the sender cannot. */
static void soften(const struct params *p, struct failure *why)
{
    if (!why->permanent || !p->smtp_sasl_auth_soft_bounce)
        return;
    why->permanent = false;
    why->dsn[0] = '4';
}

static int sign_in(struct delivery *d, struct connection *k, struct span login, struct failure *why)
{
    const struct params *p = d->client->params;
    const struct sasl_client_mech *mech = sasl_client_choose(
        str_span(&k->ehlo.auth), span_of(p->smtp_sasl_mechanism_filter), forbidden(k));
    uint64_t key = refusal_key(k, login);
    struct span password = login, user = span_cut(&password, ':');
    _cleanup_(sasl_client_done) struct sasl_client sasl = { .mech = mech };

    if (!mech) {
        failure_set(
            why, false, "4.7.0",
            "SASL authentication failed; cannot authenticate to server %s: no mechanism available",
            str_cstr(&k->peer));
        return -1;
    }
    if (is_remembered(d->client, key, why))
        return -1;
    sasl_client_init(&sasl, mech, user, password, span_of(k->host));
    int r = exchange(k, &sasl, why);
    if (r > 0) {
        soften(p, why);
        if (why->dsn[0] == '5' || p->smtp_sasl_auth_soft_bounce)
            remember(d->client, key, why);
    }
    k->signed_in = r == 0;
    return r == 0 ? 0 : -1;
}

int smtp_sasl_sign_in(struct delivery *d, struct connection *k, struct failure *why)
{
    const struct params *p = d->client->params;
    _cleanup_(secret_free) struct str login = STR_INIT;

    if (!p->smtp_sasl_auth_enable)
        return 0;
    int r = find_login(d, k, &login);
    if (r < 0) {
        failure_set(why, false, "4.3.0", "smtp_sasl_password_maps: lookup error for %s", k->host);
        return -1;
    }
    if (r > 0 && k->ehlo.features & FEATURE_AUTH)
        return sign_in(d, k, span_trim(str_span(&login)), why);
    if (!p->smtp_sasl_auth_enforce)
        return 0;
    failure_set(why, false, "4.7.0", "SASL authentication failed; server %s %s", str_cstr(&k->peer),
                r > 0 ? "does not offer it" : "is not in smtp_sasl_password_maps");
    return -1;
}
