/* SPDX-License-Identifier: Apache-2.0 */
/*
 * starttls.c - STARTTLS, and TLS from the first byte (smtpd_tls_wrappermode)
 *
 * RFC 3207. What the client has sent after STARTTLS in plain text may come from
 * somebody in between, so it is discarded, and what was said before is forgotten
 * (section 4.2).
 *
 * Runs in: smtpd (input is hostile). Logs handshakes.
 */
#include "smtpd/starttls.h"

#include "base/log.h"
#include "smtpd/command.h"
#include "smtpd/limits.h"
#include "smtpd/reply.h"
#include "tls/tls.h"

int starttls_handshake(struct smtpd *s)
{
    int r = stream_start_tls(s->client, tls_accept(s->sv->tls));

    if (r < 0) {
        const char *why = stream_tls_error(s->client);

        log_info("SSL_accept error from %s: %s", s->namaddr, *why ? why : strerror(-r));
        return r;
    }
    str_reset(&s->tls_info);
    tls_describe(stream_ssl(s->client), &s->tls_info);
    if (s->sv->params->smtpd_tls_loglevel >= 1)
        log_info("%s TLS connection established from %s: " SPAN_FMT,
                 tls_trust(stream_ssl(s->client)), s->namaddr, SPAN_ARG(str_span(&s->tls_info)));
    return 0;
}

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
