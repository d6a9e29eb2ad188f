/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compose.c - the Received field, and fields that a local message lacks
 *
 * The Received field is read by people and by filters that know Postfix's: the lines
 * and their order are Postfix's. Texts from the peer were bounded by the submit message and are
 * escaped here, so that a HELO name cannot end the field.
 *
 * Runs in: cleanup.
 */
#include "cleanup/compose.h"

#include <time.h>

#include "base/mem.h"
#include "cleanup/headers.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/idna.h"

/* Peer's text within a field: printable, on one line. */
static void add_safe(struct str *out, struct span text)
{
    str_add_escaped(out, text, text.len, STR_UTF8);
}

static void add_date(struct str *out, int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;

    date_rfc5322(out, seconds);
    if (localtime_r(&t, &tm) && tm.tm_zone)
        str_addf(out, " (%s)", tm.tm_zone);
}

/* "from HELO (NAME [ADDR])"; an IPv6 address with the tag of RFC 5321 section 4.1.3 */
static void add_from(const struct submit *s, struct str *out)
{
    struct span addr = span_of(s->client_addr);
    struct span helo = str_span(s->helo.len > 0 ? &s->helo : &s->client_name);

    str_add_str(out, "from ");
    add_safe(out, helo);
    str_add_str(out, " (");
    add_safe(out, str_span(&s->client_name));
    str_add_str(out, span_chr(addr, ':') >= 0 ? " [IPv6:" : " [");
    add_safe(out, addr);
    str_add_str(out, "])\r\n\t");
}

/* tls_info may have several lines */
static void add_tls(struct span info, struct str *out)
{
    while (info.len > 0) {
        struct span line = span_trim(span_cut(&info, '\n'));

        if (line.len == 0)
            continue;
        add_safe(out, line);
        str_add_str(out, "\r\n\t");
    }
}

/* The recipient, its domain in A-labels if that makes it ASCII: a next hop without SMTPUTF8 may then have the
 * message (RFC 6531 section 3.6). */
static void add_traced(struct str *out, struct span address)
{
    _cleanup_(str_free) struct str ascii = STR_INIT, whole = STR_INIT;

    if (idna_is_ascii(address) || !idna_is_ascii(address_local(address)) ||
        idna_to_ascii(address_domain(address), &ascii) < 0) {
        address_quote(out, address);
        return;
    }
    str_addf(&whole, SPAN_FMT "@%s", SPAN_ARG(address_local(address)), str_cstr(&ascii));
    address_quote(out, str_span(&whole));
}

static void add_network(const struct compose *c, struct str *out)
{
    const struct submit *s = c->submit;

    add_from(s, out);
    add_tls(str_span(&s->tls_info), out);
    if (s->sasl_username.len > 0 && c->params->smtpd_sasl_authenticated_header) {
        str_add_str(out, "(Authenticated sender: ");
        add_safe(out, str_span(&s->sasl_username));
        str_add_str(out, ")\r\n\t");
    }
    str_addf(out, "by %s (%s) with ", c->params->myhostname, c->params->mail_name);
    add_safe(out, span_of(s->proto));
    str_addf(out, " id %s", c->queue_id);
    if (c->only_rcpt.len == 0) {
        str_add_str(out, ";\r\n\t");
        return;
    }
    str_add_str(out, "\r\n\tfor <");
    _cleanup_(str_free) struct str quoted = STR_INIT;

    add_traced(&quoted, c->only_rcpt);
    add_safe(out, str_span(&quoted));
    str_add_str(out, ">; ");
}

void compose_received(const struct compose *c, struct str *out)
{
    const struct params *p = c->params;

    str_add_str(out, "Received: ");
    switch ((enum submit_origin)c->submit->origin) {
    case SUBMIT_NETWORK:
        add_network(c, out);
        break;
    case SUBMIT_LOCAL:
        str_addf(out, "by %s (%s, from userid %llu)\r\n\tid %s; ", p->myhostname, p->mail_name,
                 (unsigned long long)c->submit->uid, c->queue_id);
        break;
    case SUBMIT_INTERNAL:
        str_addf(out, "by %s (%s)\r\n\tid %s; ", p->myhostname, p->mail_name, c->queue_id);
        break;
    }
    add_date(out, c->arrival);
    str_add_str(out, "\r\n");
}

static void add_message_id(const struct compose *c, const char *prefix, struct str *out,
                           struct str *id)
{
    time_t t = (time_t)c->arrival;
    struct tm tm;
    char stamp[32] = "";

    if (gmtime_r(&t, &tm))
        strftime(stamp, sizeof stamp, "%Y%m%d%H%M%S", &tm);
    str_reset(id);
    str_addf(id, "<%s.%s@%s>", stamp, c->queue_id, c->params->myhostname);
    str_addf(out, "%sMessage-Id: %s\r\n", prefix, str_cstr(id));
}

static void add_from_field(const struct compose *c, const char *prefix, struct str *out)
{
    _cleanup_(str_free) struct str quoted = STR_INIT;
    struct span sender = str_span(&c->submit->sender);

    if (sender.len == 0)
        sender = span_of("MAILER-DAEMON");
    address_quote(&quoted, sender);
    str_addf(out, "%sFrom: ", prefix);
    add_safe(out, str_span(&quoted));
    if (span_chr(sender, '@') < 0)
        str_addf(out, "@%s", c->params->myorigin);
    str_add_str(out, "\r\n");
}

void compose_missing(const struct compose *c, unsigned seen, struct str *out,
                     struct str *message_id)
{
    bool resent = seen & HEADER_RESENT;
    const char *prefix = resent ? "Resent-" : "";

    if (!(seen & (resent ? HEADER_RESENT_MESSAGE_ID : HEADER_MESSAGE_ID)))
        add_message_id(c, prefix, out, message_id);
    if (!(seen & (resent ? HEADER_RESENT_DATE : HEADER_DATE))) {
        str_addf(out, "%sDate: ", prefix);
        add_date(out, c->arrival);
        str_add_str(out, "\r\n");
    }
    if (!(seen & (resent ? HEADER_RESENT_FROM : HEADER_FROM)))
        add_from_field(c, prefix, out);
}
