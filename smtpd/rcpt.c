/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rcpt.c - RCPT TO and VRFY: may this client send to this recipient, and does it exist
 *
 * RFC 5321 section 4.1.1.3. Order of the checks: syntax, number of recipients,
 * restrictions (restrict_rcpt()), and as the last of these that the recipient exists, so
 * that a stranger who may not relay learns nothing about names.
 *
 * Runs in: smtpd (input is hostile). Logs refusals.
 */
#include "base/mem.h"
#include "base/own.h"
#include "mail/address.h"
#include "mail/idna.h"
#include "smtpd/command.h"
#include "smtpd/envelope.h"
#include "smtpd/filter.h"
#include "smtpd/limits.h"
#include "smtpd/prescreen.h"
#include "smtpd/reply.h"

/* The limit, and the overshoot that is forgiven (RFC 5321 section 4.5.3.1.10: the client sends again) */
static bool room_for_one_more(struct smtpd *s)
{
    if (s->n_rcpts < (size_t)s->sv->params->smtpd_recipient_limit)
        return true;
    if (s->overshoot++ < (uint64_t)s->sv->params->smtpd_recipient_overshoot_limit)
        reply_uncounted(s, "452 4.5.3 Error: too many recipients");
    else
        reply(s, "452 4.5.3 Error: too many recipients");
    return false;
}

/* smtpd_recipient_domain_limit, which EHLO has told (RFC 9422 section 4.3) */
static bool domain_is_one_too_many(const struct smtpd *s)
{
    size_t limit = (size_t)s->sv->params->smtpd_recipient_domain_limit, n = 0;
    struct span domain = address_domain(str_span(&s->rcpt));

    for (size_t i = 0; limit > 0 && i < s->n_rcpts; i++) {
        struct span one = address_domain(span_of(s->rcpts[i].address));
        size_t j = 0;

        if (span_eq_nocase(one, domain))
            return false;
        while (j < i && !span_eq_nocase(one, address_domain(span_of(s->rcpts[j].address))))
            j++;
        n += j == i;
    }
    return limit > 0 && n >= limit;
}

static void add_rcpt(struct smtpd *s, struct span given, struct rcpt_args *args)
{
    MEM_GROW(s->rcpts, s->n_rcpts, s->cap_rcpts);
    s->rcpts[s->n_rcpts++] = (struct envelope_rcpt){
        .address = mem_dup_span(str_span(&s->rcpt)),
        .orig = span_eq(given, str_span(&s->rcpt)) ? NULL : mem_dup_span(given),
        .dsn_orcpt = args->orcpt.len > 0 ? str_take(&args->orcpt) : NULL,
        .dsn_notify = args->notify,
    };
}

/* The address and parameters; false: answered */
static bool parse(struct smtpd *s, struct span args, struct str *address, struct rcpt_args *ret)
{
    struct span bad;

    if (!span_take_nocase(&args, "TO:")) {
        reply(s, "501 5.5.4 Syntax: RCPT TO:<address>");
        return false;
    }
    /* "<postmaster>" without a domain is every server's duty (section 4.5.1) */
    if (address_parse_path(&args, envelope_address_flags(s) | ADDRESS_NODOMAIN, ADDRESS_BYTES, address) <
        0) {
        reply(s, "501 5.1.3 Bad recipient address syntax");
        return false;
    }
    if (!(s->mail.seen & ARG_UTF8) && !idna_is_ascii(str_span(address))) {
        reply(s, "550 5.6.7 Must declare SMTPUTF8 to send unicode address");
        return false;
    }

    int r = rcpt_args_parse(args, ret, &bad);

    if (r < 0) {
        reply_bad_args(s, r, bad);
        return false;
    }
    if (ret->seen != 0 && ehlo_hides(s, "DSN")) {
        reply(s, "501 5.7.1 DSN support is disabled");
        return false;
    }
    return true;
}

void cmd_rcpt(struct smtpd *s, struct span args)
{
    _cleanup_(str_free) struct str address = STR_INIT;
    _cleanup_(rcpt_args_done) struct rcpt_args rcpt = { 0 };

    if (limit_exceeded(s, LIMIT_RCPT)) {
        reply(s, "450 4.7.1 Error: too many recipients from %s", s->addr);
        return;
    }
    if (!parse(s, args, &address, &rcpt) || !room_for_one_more(s))
        return;
    route_complete(s->sv->params, str_span(&address), &s->rcpt);
    if (prescreen_refusal(s)) {
        prescreen_refuse_rcpt(s);
    } else if (domain_is_one_too_many(s)) {
        reply_uncounted(s, "452 4.5.3 Error: too many recipient domains");
    } else if (restrict_rcpt(s) == VERDICT_REFUSED) {
        filter_rcpt_refused(s, args);
    } else if (filter_rcpt(s, args) != VERDICT_REFUSED) {
        add_rcpt(s, str_span(&address), &rcpt);
        s->state = SMTP_RCPT;
        reply(s, "250 2.1.5 Ok");
    }
    str_reset(&s->rcpt);
}

/* RFC 5321 section 3.5.3: 252 says neither yes nor no, beyond what RCPT would tell */
void cmd_vrfy(struct smtpd *s, struct span args)
{
    _cleanup_(str_free) struct str address = STR_INIT;
    _cleanup_(str_free) struct str shown = STR_INIT;
    struct span rest = args;

    if (s->sv->params->disable_vrfy_command) {
        reply(s, "502 5.5.1 VRFY command is disabled");
        return;
    }
    if (args.len == 0) {
        reply(s, "501 5.5.4 Syntax: VRFY address");
        return;
    }
    if (address_parse_path(&rest, ADDRESS_LENIENT | ADDRESS_NODOMAIN, ADDRESS_BYTES, &address) < 0) {
        reply(s, "501 5.1.3 Bad recipient address syntax");
        return;
    }
    route_complete(s->sv->params, str_span(&address), &s->rcpt);
    if (restrict_rcpt(s) != VERDICT_REFUSED) {
        show_address(&shown, str_span(&address));
        reply(s, "252 2.0.0 %s", str_cstr(&shown));
    }
    str_reset(&s->rcpt);
}
