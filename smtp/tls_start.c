/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_start.c - STARTTLS, the handshake, and whether what the server has shown is enough
 *
 * RFC 3207, RFC 8314 (TLS from the start). Log lines are Postfix's. At level may a server whose TLS
 * does not work is asked again in clear, but only once the message has waited for minimal_backoff_time, as in Postfix:
 * a single cut connection must not be enough to read the mail.
 *
 * Runs in: smtp. The server is hostile.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "smtp/smtp.h"

/* Per process */
struct smtp_tls {
    struct tls_engine engine;
    SSL_CTX *ctx;
    struct tls_sessions *sessions;
};

/* ---- start ---- */

static int make_context(const struct params *p, SSL_CTX **ret, struct str *err)
{
    const struct tls_client_config cfg = {
        .ca_file = p->smtp_tls_CAfile,
        .ca_path = p->smtp_tls_CApath,
        .chain_files = p->smtp_tls_chain_files,
        .cert_file = p->smtp_tls_cert_file,
        .key_file = p->smtp_tls_key_file,
        .dane_digests = p->tls_dane_digests,
    };
    return tls_client_context(&cfg, ret, err);
}

static void watch_files(const struct server *sv)
{
    const struct params *p = sv->params;
    const char *const names[] = { p->smtp_tls_CAfile, p->smtp_tls_cert_file, p->smtp_tls_key_file };
    struct span list = span_of(p->smtp_tls_chain_files), word;

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        daemon_watch_file(sv, names[i]);
    while (span_word(&list, " \t\r\n,", &word)) {
        _cleanup_free_ char *name = mem_dup_span(word);
        daemon_watch_file(sv, name);
    }
}

int smtp_tls_open(struct server *sv, struct smtp_tls **ret)
{
    const struct params *p = sv->params;
    struct smtp_tls *t = mem_new(struct smtp_tls);
    _cleanup_(str_free) struct str err = STR_INIT;
    int r = tls_engine_open(p, &t->engine, &err);

    if (r == 0)
        r = make_context(p, &t->ctx, &err);
    if (r < 0) {
        log_error("%s", str_cstr(&err));
        return r;
    }
    if (t->engine.dnssec && !dns_servers_are_local())
        log_warn("smtp_dns_support_level = dnssec, but a name server is not on this host: its answers can be forged "
                 "on their way");
    t->sessions = tls_sessions_new((size_t)p->smtp_tls_session_cache_limit, p->smtp_tls_session_cache_timeout);
    watch_files(sv);
    *ret = t;
    return 0;
}

int smtp_tls_reread(struct server *sv)
{
    struct smtp_tls *t = ((struct smtp_client *)sv->state)->tls;
    _cleanup_(str_free) struct str err = STR_INIT;
    SSL_CTX *fresh;
    int r = make_context(sv->params, &fresh, &err);

    if (r < 0) {
        log_warn("%s: using the old version", str_cstr(&err));
        return r;
    }
    SSL_CTX_free(t->ctx);   /* connections keep it as long as they need it */
    t->ctx = fresh;
    return 0;
}

/* ---- the policy of a delivery ---- */

int smtp_tls_destination(struct delivery *d, const char *destination, struct failure *why)
{
    struct span name = span_of(destination);

    if (!span_take_nocase(&name, "inet:"))      /* kinds of sockets are no part of the name in a table */
        span_take_nocase(&name, "unix:");
    tls_site_done(&d->tls);
    d->tls = (struct tls_site){ 0 };
    return tls_site_find(&d->client->tls->engine, name.ptr, &d->tls, why);
}

int smtp_tls_decide(struct delivery *d, const struct targets *targets, const struct target *t, struct tls_policy *ret,
                    struct failure *why)
{
    const struct tls_host h = {
        .domain = d->hop.is_unix ? d->client->params->myhostname : str_cstr(&d->hop.host),
        .expanded = targets->expanded,
        .host = t->host,
        .alias = t->alias,
        .port = d->hop.port,
        .mx_secure = targets->mx_secure,
        .host_secure = t->secure,
    };
    int r = tls_policy_decide(&d->client->tls->engine, &d->tls, &h, ret, why);

    if (r == 0 && d->client->params->smtp_tls_wrappermode && ret->level < TLS_LEVEL_ENCRYPT) {
        log_warn("smtp_tls_wrappermode needs smtp_tls_security_level = encrypt (or stronger)");
        failure_set(why, false, "4.7.5", "client TLS configuration problem");
        r = -1;
    }
    return r;
}

/* "Verified", as far as the name of the host itself can be believed */
static const char *verdict_name(const struct connection *k)
{
    return tls_verdict_name(k->policy.mx_insecure && k->verdict == TLS_VERIFIED ? TLS_TRUSTED : k->verdict);
}

void smtp_tls_log(const struct delivery *d, const struct connection *k)
{
    const struct tls_policy *p = &k->policy;
    SSL *ssl = k->stream ? stream_ssl(k->stream) : NULL;
    _cleanup_(str_free) struct str from = STR_INIT, source = STR_INIT, line = STR_INIT;

    if (d->client->params->smtp_tls_loglevel < 1)
        return;
    /* The connection may be kept from another destination that asks the same. */
    str_add(&from, str_span(&d->tls.source));
    str_add(&from, span_from(str_span(&p->source), p->site_len));
    str_add_escaped(&source, str_span(&from), 300, STR_ASCII);
    str_addf(&line, "%s: TLS policy for %s: level=%s, source=<%s>, match=<%s>, tls=", d->request.queue_id,
             str_cstr((struct str *)&k->relay), tls_level_name(p->level), str_cstr(&source),
             str_cstr((struct str *)&p->match));
    if (ssl && SSL_is_init_finished(ssl))
        str_addf(&line, "%s, protocol=%s, cipher=%s%s", verdict_name(k), SSL_get_version(ssl), SSL_get_cipher_name(ssl),
                 SSL_session_reused(ssl) ? ", session resumed" : "");
    else
        str_add_str(&line, "none");
    log_info("%s", str_cstr(&line));
}

/* TLSRPT (RFC 8460) counts what these lines say: policy, server and verdict meet here, failures in judge(). */

/* ---- the handshake ---- */

/* May what has failed be tried in clear? */
static bool may_go_without(const struct delivery *d, const struct connection *k)
{
    uint64_t waited_us = d->request.active_us > d->request.arrival_us ? d->request.active_us - d->request.arrival_us : 0;

    return k->policy.level == TLS_LEVEL_MAY &&
           waited_us / 1000000 >= (uint64_t)d->client->params->minimal_backoff_time;
}

static void session_key(const struct connection *k, struct str *ret)
{
    str_addf(ret, "%s ", str_cstr((struct str *)&k->relay));
    tls_policy_identity(&k->policy, ret);
}

static void log_connection(const struct connection *k, SSL *ssl)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    if (k->client->params->smtp_tls_loglevel < 1)
        return;
    tls_describe(ssl, &text);
    log_info("%s TLS connection established to %s: %s", verdict_name(k), str_cstr((struct str *)&k->relay),
             str_cstr(&text));
}

/* What the server has shown, against what it must show */
static enum tls_start judge(struct connection *k, const struct tls_need *need, struct failure *why)
{
    SSL *ssl = stream_ssl(k->stream);

    k->verdict = tls_client_judge(ssl, need);
    log_connection(k, ssl);
    if (tls_client_satisfied(ssl, need, k->verdict))
        return TLS_STARTED;
    failure_set(why, false, "4.7.5", "Server certificate not %s: %s (TLS level %s by %s)",
                k->verdict == TLS_TRUSTED ? "verified" : "trusted", tls_client_reason(ssl, need, k->verdict),
                tls_level_name(need->level), str_cstr(&k->policy.source));
    return TLS_FAILED;
}

static enum tls_start handshake(struct delivery *d, struct connection *k, struct failure *why)
{
    struct smtp_tls *t = d->client->tls;
    struct tls_need need = tls_policy_need(&t->engine, &k->policy);
    _cleanup_(str_free) struct str key = STR_INIT;

    session_key(k, &key);
    SSL *ssl = tls_client_new(t->ctx, &need, t->sessions, str_cstr(&key));
    if (!ssl) {
        log_warn("%s: no cipher is left in \"%s\"", str_cstr(&k->policy.source), need.ciphers);
        failure_set(why, false, "4.7.5", "client TLS configuration problem");
        return TLS_FAILED;
    }
    stream_set_deadline(k->stream, clock_deadline_ms(d->client->params->smtp_helo_timeout * 1000));
    if (stream_start_tls(k->stream, ssl) == 0)
        return judge(k, &need, why);
    failure_set(why, false, "4.7.5", "Cannot start TLS: handshake failure: %s", stream_tls_error(k->stream));
    if (!may_go_without(d, k))
        return TLS_FAILED;
    log_info("%s: %s: TLS handshake failed (%s), trying without TLS", d->request.queue_id, str_cstr(&k->relay),
             stream_tls_error(k->stream));
    return TLS_TRY_WITHOUT;
}

enum tls_start smtp_tls_wrap(struct delivery *d, struct connection *k, struct failure *why)
{
    return d->client->params->smtp_tls_wrappermode ? handshake(d, k, why) : TLS_NOT_STARTED;
}

static enum tls_start ask_for_tls(struct delivery *d, struct connection *k, struct failure *why)
{
    struct smtp_reply reply = { .text = STR_INIT };

    stream_puts(k->stream, "STARTTLS\r\n");
    int r = connection_reply(k, "performing the STARTTLS handshake", d->client->params->smtp_helo_timeout, &reply,
                             why);
    bool granted = r == 0 && reply.code / 100 == 2, needed = k->policy.level >= TLS_LEVEL_ENCRYPT;
    if (r == 0 && !granted)
        failure_set(why, false, "4.7.4", "TLS is required, but host %s refused to start TLS: %d %s",
                    str_cstr(&k->peer), reply.code, str_cstr(&reply.text));
    str_free(&reply.text);
    if (granted) {
        stream_discard_input(k->stream);    /* what came in clear is nobody's word (RFC 3207 section 4.2) */
        return handshake(d, k, why);
    }
    if (r < 0)
        return may_go_without(d, k) ? TLS_TRY_WITHOUT : TLS_FAILED;
    return needed ? TLS_FAILED : TLS_NOT_STARTED;
}

enum tls_start smtp_tls_start(struct delivery *d, struct connection *k, struct failure *why)
{
    bool offered = k->ehlo.features & FEATURE_STARTTLS;

    if (k->policy.level == TLS_LEVEL_NONE) {
        if (offered && d->client->params->smtp_tls_note_starttls_offer)
            log_info("Host offered STARTTLS: [%s]", k->host);
        return TLS_NOT_STARTED;
    }
    if (offered)
        return ask_for_tls(d, k, why);
    if (k->policy.level < TLS_LEVEL_ENCRYPT)
        return TLS_NOT_STARTED;
    failure_set(why, false, "4.7.4", "TLS is required, but was not offered by host %s", str_cstr(&k->peer));
    return TLS_FAILED;
}

int smtp_tls_check_early(struct connection *k, struct failure *why)
{
    if (!k->client->params->smtp_tls_block_early_mail_reply || stream_buffered(k->stream) == 0)
        return 0;
    failure_set(why, false, "4.7.0", "host %s answers within TLS before it is asked", str_cstr(&k->peer));
    return -1;
}
