/* SPDX-License-Identifier: Apache-2.0 */
/*
 * starttls.c - STARTTLS, and TLS from the first byte (smtpd_tls_wrappermode)
 *
 * RFC 3207. What the client has sent after STARTTLS in plain text may come from
 * somebody in between, so it is discarded, and what was said before is forgotten
 * (section 4.2). A client certificate is asked for where smtpd_tls_ask_ccert says so; the handshake
 * does not fail for want of one, so that the client can be told what is missing.
 *
 * Runs in: smtpd (input is hostile). Logs handshakes.
 */
#include "smtpd/starttls.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "smtpd/command.h"
#include "smtpd/limits.h"
#include "smtpd/reply.h"

/* ---- the process ---- */

/* find_level - smtpd_tls_security_level, or the two switches of before Postfix 2.3 */
static enum tls_level find_level(const struct params *p)
{
    static const char *const names[] = {"none", "may", "encrypt"};
    const char *level = p->smtpd_tls_security_level;
    size_t i = 0;

    if (!*level)
        level = p->smtpd_enforce_tls ? "encrypt" : p->smtpd_use_tls ? "may" : "none";
    while (i + 1 < ARRAY_LEN(names) && strcmp(level, names[i]) != 0)
        i++;
    return (enum tls_level)i;
}

static bool is_mandatory(const struct service *sv)
{
    return sv->params->smtpd_tls_wrappermode || sv->tls_level == TLS_LEVEL_ENCRYPT;
}

static bool has_certificate(const struct params *p)
{
    return *p->smtpd_tls_chain_files || *p->smtpd_tls_cert_file || *p->smtpd_tls_eccert_file;
}

static void warn(const char *text)
{
    log_warn("%s", text);
}

static void watch(const char *path, void *arg)
{
    daemon_watch_file(arg, path);
}

/* open_server - sv->tls is what main.cf says */
static int open_server(struct service *sv, struct str *err)
{
    struct tls_server_config cfg;
    int r = tls_server_settings(sv->params, is_mandatory(sv), &cfg, err);

    if (r < 0)
        return r;
    cfg.protocol = "smtp";
    cfg.service = sv->server->service;
    sv->tls_ask = cfg.ask;
    r = tls_server_open(&cfg, &sv->tls, err);
    tls_server_config_done(&cfg);
    return r;
}

int starttls_open(struct service *sv)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    int r;

    sv->tls_level = find_level(sv->params);
    if (!is_mandatory(sv) && sv->tls_level == TLS_LEVEL_NONE)
        return 0;
    if (!has_certificate(sv->params) && !is_mandatory(sv)) {
        log_warn("no smtpd_tls_cert_file or smtpd_tls_chain_files: STARTTLS is not offered");
        return 0;
    }
    if (sv->params->smtpd_tls_req_ccert && !is_mandatory(sv))
        log_warn("smtpd_tls_req_ccert = yes has no effect where TLS is not required");
    sv->fingerprint_digest = EVP_get_digestbyname(sv->params->smtpd_tls_fingerprint_digest);
    if (!sv->fingerprint_digest) {
        conf_refuse("smtpd_tls_fingerprint_digest", span_of(sv->params->smtpd_tls_fingerprint_digest),
                    "a digest such as sha256", &err);
        log_error("%s", str_cstr(&err));
        return -EINVAL;
    }
    tls_server_on_problem(warn);
    if (!has_certificate(sv->params)) {
        str_add_str(&err, "TLS is required, but neither smtpd_tls_cert_file nor smtpd_tls_chain_files is set");
        r = -EINVAL;
    } else {
        r = open_server(sv, &err);
    }
    if (r < 0)
        log_error("%s", str_cstr(&err));
    else
        tls_server_foreach_file(sv->tls, watch, (void *)sv->server);
    return r;
}

int starttls_reread(struct server *server)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    struct service *sv = server->state;
    int r = tls_server_reread(sv->tls, &err);

    if (r < 0)
        log_error("%s", str_cstr(&err));
    return r;
}

/* ---- a session ---- */

static void log_certificate(const struct smtpd *s, SSL *ssl)
{
    const struct tls_peer *p = &s->tls_peer;

    if (!p->presented || s->sv->params->smtpd_tls_loglevel < 1)
        return;
    log_info("%s: %s: subject_CN=" SPAN_FMT ", issuer=" SPAN_FMT ", fingerprint=" SPAN_FMT
             ", pkey_fingerprint=" SPAN_FMT, s->namaddr, tls_trust(ssl),
             SPAN_ARG(str_span(&p->subject_cn)), SPAN_ARG(str_span(&p->issuer_cn)),
             SPAN_ARG(str_span(&p->cert_fingerprint)), SPAN_ARG(str_span(&p->key_fingerprint)));
    if (!p->trusted && s->sv->params->smtpd_tls_loglevel >= 2)
        log_info("certificate verification failed for %s: %s", s->namaddr,
                 X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
}

static void log_handshake(const struct smtpd *s, SSL *ssl)
{
    int64_t level = s->sv->params->smtpd_tls_loglevel;

    log_certificate(s, ssl);
    if (level >= 2 && SSL_session_reused(ssl))
        log_info("%s: reusing a TLS session", s->namaddr);
    if (level >= 1)
        log_info("%s TLS connection established from %s: " SPAN_FMT, tls_trust(ssl), s->namaddr,
                 SPAN_ARG(str_span(&s->tls_info)));
}

/* refuse_certificate - smtpd_tls_req_ccert; tells the client inside of TLS what was missing */
static bool refuse_certificate(struct smtpd *s)
{
    const struct tls_peer *p = &s->tls_peer;
    const char *why = p->presented ? "Client certificate not trusted" : "No client certificate presented";

    if (s->sv->tls_ask != TLS_REQUIRE_CERT || p->trusted)
        return false;
    log_info("NOQUEUE: abort: TLS from %s: %s", s->namaddr, why);
    reply_uncounted(s, "421 4.7.1 %s Error: %s", s->sv->params->myhostname, why);
    s->state = SMTP_CLOSED;
    return true;
}

int starttls_handshake(struct smtpd *s)
{
    if (s->sv->params->smtpd_tls_loglevel >= 2)
        log_info("setting up TLS connection from %s", s->namaddr);
    stream_set_deadline(s->client, clock_deadline_ms(s->sv->params->smtpd_starttls_timeout * 1000));

    int r = tls_server_handshake(s->sv->tls, s->client);

    if (r < 0) {
        const char *why = stream_tls_error(s->client);

        log_info("SSL_accept error from %s: %s", s->namaddr, *why ? why : strerror(-r));
        return r;
    }
    stream_set_deadline(s->client, CLOCK_NEVER);
    str_reset(&s->tls_info);
    tls_describe(stream_ssl(s->client), &s->tls_info);
    tls_peer_fill(stream_ssl(s->client), s->sv->fingerprint_digest, &s->tls_peer);
    log_handshake(s, stream_ssl(s->client));
    refuse_certificate(s);
    return 0;
}

/* The Received header breaks the line before these words */
static const char *const breaks[] = {" key-exchange ", " client-signature "};

void starttls_describe(const struct smtpd *s, struct str *ret)
{
    struct span info = str_span(&s->tls_info);
    const struct tls_peer *p = &s->tls_peer;

    if (info.len == 0)
        return;
    str_add_str(ret, "(using ");
    for (size_t i = 0; i < ARRAY_LEN(breaks); i++) {
        ptrdiff_t at = span_find(info, span_of(breaks[i]));

        if (at < 0)
            continue;
        str_addf(ret, SPAN_FMT "\n", SPAN_ARG(span_first(info, (size_t)at)));
        info = span_from(info, (size_t)at + 1);
    }
    str_addf(ret, SPAN_FMT ")\n", SPAN_ARG(info));
    if (p->presented)
        str_addf(ret, "(Client CN \"" SPAN_FMT "\", Issuer \"" SPAN_FMT "\" (%s))",
                 SPAN_ARG(str_span(&p->subject_cn)), SPAN_ARG(str_span(&p->issuer_cn)),
                 p->trusted ? "verified OK" : "not verified");
    else
        str_add_str(ret, s->sv->tls_ask == TLS_ASK_NOTHING ? "(No client certificate requested)"
                                                           : "(Client did not present a certificate)");
}

/* ---- the command ---- */

static void forget_plaintext(struct smtpd *s)
{
    size_t n = stream_discard_input(s->client);

    if (n > 0)
        log_warn("improper command pipelining after STARTTLS from %s: %zu bytes discarded",
                 s->namaddr, n);
    s->state = SMTP_CONNECTED;
    s->esmtp = false;
    str_reset(&s->helo);
    str_reset(&s->sasl_username);
    s->sasl_method[0] = '\0';
}

void cmd_starttls(struct smtpd *s, struct span args)
{
    (void)args;
    if (s->tls_info.len > 0) {
        reply(s, "554 5.5.1 Error: TLS already active");
        return;
    }
    if (!s->sv->tls) {
        reply(s, "502 5.5.1 Error: command not implemented");
        return;
    }
    if (limit_exceeded(s, LIMIT_NEWTLS_LOOK)) {
        reply(s, "454 4.7.0 Error: too many new TLS sessions from %s", s->namaddr);
        return;
    }
    reply(s, "220 2.0.0 Ready to start TLS");
    if (stream_flush(s->client) < 0)
        return;
    forget_plaintext(s);
    if (starttls_handshake(s) == 0)
        limits_tls(s);
}
