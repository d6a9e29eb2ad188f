/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mail.c - MAIL FROM: a transaction begins
 *
 * RFC 5321 section 4.1.1.2 with the extensions whose parameters mail_args.c reads.
 * An announced SIZE over the limit is refused before a byte is sent (RFC 1870
 * section 6.1).
 *
 * Runs in: smtpd (input is hostile). Logs refusals.
 */
#include <errno.h>

#include "base/own.h"
#include "mail/address.h"
#include "mail/idna.h"
#include "smtpd/command.h"
#include "smtpd/envelope.h"
#include "smtpd/filter.h"
#include "smtpd/limits.h"
#include "smtpd/reply.h"

unsigned envelope_address_flags(const struct smtpd *s)
{
    return (s->sv->params->smtputf8_enable ? ADDRESS_UTF8 : 0) |
           (s->sv->params->strict_rfc821_envelopes ? 0 : ADDRESS_LENIENT | ADDRESS_NODOMAIN);
}

void reply_bad_args(struct smtpd *s, int error, struct span name)
{
    _cleanup_(str_free) struct str shown = STR_INIT;

    show(&shown, name);
    if (error == -ENOTSUP)
        reply(s, "555 5.5.4 Unsupported option: %s", str_cstr(&shown));
    else
        reply(s, "501 5.5.4 Error: Bad %s parameter syntax", str_cstr(&shown));
}

/* Is `args` in order for this server and this address? False: answered */
static bool args_acceptable(struct smtpd *s, struct span address, const struct mail_args *args)
{
    int64_t limit = s->sv->params->message_size_limit;

    if (limit > 0 && args->size > (uint64_t)limit) {
        refuse(s, "MAIL", "552 5.3.4 Message size exceeds fixed limit");
        return false;
    }
    if ((args->seen & ARG_UTF8) && (!s->sv->params->smtputf8_enable || ehlo_hides(s, "SMTPUTF8"))) {
        reply(s, "555 5.5.4 Unsupported option: SMTPUTF8");
        return false;
    }
    if (args->binary && (ehlo_hides(s, "BINARYMIME") || ehlo_hides(s, "CHUNKING"))) {
        reply(s, "501 5.5.4 Error: Bad BODY parameter syntax");
        return false;
    }
    if ((args->seen & (ARG_RET | ARG_ENVID)) && ehlo_hides(s, "DSN")) {
        reply(s, "501 5.7.1 DSN support is disabled");
        return false;
    }
    if ((args->seen & ARG_AUTH) && !s->sv->params->smtpd_sasl_auth_enable) {
        reply(s, "503 5.5.4 Error: authentication disabled");
        return false;
    }
    if (!(args->seen & ARG_UTF8) && !idna_is_ascii(address)) {
        reply(s, "550 5.6.7 Must declare SMTPUTF8 to send unicode address");
        return false;
    }
    return true;
}

/* The address and parameters; false: answered */
static bool parse(struct smtpd *s, struct span args, struct str *address, struct mail_args *ret)
{
    struct span bad;
    int r;

    if (!span_take_nocase(&args, "FROM:")) {
        reply(s, "501 5.5.4 Syntax: MAIL FROM:<address>");
        return false;
    }
    if (address_parse_path(&args, envelope_address_flags(s) | ADDRESS_NULL, ADDRESS_BYTES, address) < 0) {
        reply(s, "501 5.1.7 Bad sender address syntax");
        return false;
    }
    r = mail_args_parse(args, ret, &bad);
    if (r < 0)
        reply_bad_args(s, r, bad);
    return r == 0;
}

/* smtpd_transaction_limit, which EHLO has told (RFC 9422 section 4.1); true: answered */
static bool session_is_full(struct smtpd *s)
{
    size_t limit = (size_t)s->sv->params->smtpd_transaction_limit;

    if (limit == 0 || s->n_mails < limit)
        return false;
    reply_uncounted(s, "421 4.5.3 %s Error: too many messages in one session", s->sv->params->myhostname);
    s->state = SMTP_CLOSED;
    return true;
}

void cmd_mail(struct smtpd *s, struct span args)
{
    _cleanup_(str_free) struct str address = STR_INIT;
    _cleanup_(mail_args_done) struct mail_args mail = { 0 };

    if (s->state == SMTP_CONNECTED && s->sv->params->smtpd_helo_required) {
        reply(s, "503 5.5.1 Error: send HELO/EHLO first");
        return;
    }
    if (limit_exceeded(s, LIMIT_MESSAGE)) {
        reply(s, "450 4.7.1 Error: too much mail from %s", s->addr);
        return;
    }
    if (session_is_full(s))
        return;
    if (!parse(s, args, &address, &mail) || !args_acceptable(s, str_span(&address), &mail))
        return;

    route_complete(s->sv->params, str_span(&address), &s->sender);
    s->mail = mail;
    mail = (struct mail_args){ 0 };
    s->state = SMTP_MAIL;
    s->n_mails++;
    if (restrict_mail(s) == VERDICT_REFUSED || filter_mail(s, args) == VERDICT_REFUSED)
        transaction_reset(s);
    else
        reply(s, "250 2.1.0 Ok");
}
