/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helo.c - HELO and EHLO
 *
 * RFC 5321 section 4.1.1.1. The EHLO answer is a table: a keyword, when it is
 * offered, and its parameter. smtpd_discard_ehlo_keywords hides rows.
 *
 * Runs in: smtpd (input is hostile). Logs refusals.
 */
#include "base/chars.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/own.h"
#include "sasl/offer.h"
#include "smtpd/command.h"
#include "smtpd/filter.h"
#include "smtpd/reply.h"
#include "smtpd/xclient.h"

static bool always(const struct smtpd *s)
{
    (void)s;
    return true;
}

static bool has_vrfy(const struct smtpd *s)
{
    return !s->sv->params->disable_vrfy_command;
}

static bool has_tls(const struct smtpd *s)
{
    return s->sv->tls && s->tls_info.len == 0;
}

static bool has_auth(const struct smtpd *s)
{
    return s->sv->params->smtpd_sasl_auth_enable &&
           (s->tls_info.len > 0 || !s->sv->params->smtpd_tls_auth_only);
}

/* BINARYMIME is nothing without BDAT (RFC 3030 section 3) */
static bool has_chunking(const struct smtpd *s)
{
    return !ehlo_hides(s, "CHUNKING");
}

static bool has_utf8(const struct smtpd *s)
{
    return s->sv->params->smtputf8_enable;
}

static bool has_xclient(const struct smtpd *s)
{
    return s->may_xclient;
}

static bool has_xforward(const struct smtpd *s)
{
    return s->may_xforward;
}

static void add_limits(const struct smtpd *s, struct str *line)
{
    const struct params *p = s->sv->params;

    if (p->smtpd_transaction_limit > 0)
        str_addf(line, " MAILMAX=%lld", (long long)p->smtpd_transaction_limit);
    str_addf(line, " RCPTMAX=%lld", (long long)p->smtpd_recipient_limit);
    if (p->smtpd_recipient_domain_limit > 0)
        str_addf(line, " RCPTDOMAINMAX=%lld", (long long)p->smtpd_recipient_domain_limit);
}

static void add_xclient(const struct smtpd *s, struct str *line)
{
    (void)s;
    str_add_str(line, " " XCLIENT_ATTRIBUTES);
}

static void add_xforward(const struct smtpd *s, struct str *line)
{
    (void)s;
    str_add_str(line, " " XFORWARD_ATTRIBUTES);
}

static void add_size(const struct smtpd *s, struct str *line)
{
    if (s->sv->params->message_size_limit > 0)
        str_addf(line, " %lld", (long long)s->sv->params->message_size_limit);
}

static void add_mechanisms(const struct smtpd *s, struct str *line)
{
    sasl_offer(s->sv->params->auth_mechanisms, s->tls_info.len > 0, " ", line);
}

static const struct keyword {
    const char *name;
    bool (*offered)(const struct smtpd *s);
    void (*add_parameter)(const struct smtpd *s, struct str *line);
} keywords[] = {
    { "PIPELINING",          always,   NULL           }, /* RFC 2920 */
    { "SIZE",                always,   add_size       }, /* RFC 1870 */
    { "VRFY",                has_vrfy, NULL           },
    { "ETRN",                always,   NULL           }, /* RFC 1985 */
    { "STARTTLS",            has_tls,  NULL           }, /* RFC 3207 */
    { "AUTH",                has_auth, add_mechanisms }, /* RFC 4954 */
    { "ENHANCEDSTATUSCODES", always,   NULL           }, /* RFC 2034 */
    { "8BITMIME",            always,   NULL           }, /* RFC 6152 */
    { "DSN",                 always,   NULL           }, /* RFC 3461 */
    { "SMTPUTF8",            has_utf8, NULL           }, /* RFC 6531 */
    { "CHUNKING",            always,   NULL           }, /* RFC 3030 */
    { "BINARYMIME",          has_chunking, NULL       }, /* RFC 3030 */
    { "LIMITS",              always,   add_limits     }, /* RFC 9422 */
    { "XCLIENT",             has_xclient, add_xclient }, /* Postfix's XCLIENT_README */
    { "XFORWARD",            has_xforward, add_xforward },
};

_Static_assert(ARRAY_LEN(keywords) <= 32, "struct smtpd.hidden_keywords has a bit for each");

static size_t row_of(struct span keyword)
{
    size_t i = 0;

    while (i < ARRAY_LEN(keywords) && !span_eq_nocase_str(keyword, keywords[i].name))
        i++;
    return i;
}

bool ehlo_hides(const struct smtpd *s, const char *keyword)
{
    return s->hidden_keywords & (1u << row_of(span_of(keyword)));
}

/* smtpd_discard_ehlo_keyword_address_maps, else smtpd_discard_ehlo_keywords */
static void hide_keywords(struct smtpd *s)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    int found = maps_get(s->sv->ehlo_filters, span_of(s->addr), &value);
    struct span list = found > 0 ? str_span(&value) : span_of(s->sv->params->smtpd_discard_ehlo_keywords);
    struct span rest = list, word;
    bool silent = false;

    if (found < 0)
        log_warn("smtpd_discard_ehlo_keyword_address_maps cannot be read, EHLO of %s is answered without it", s->namaddr);
    s->hidden_keywords = 0;
    while (span_word(&rest, ", \t\r\n", &word)) {
        size_t row = row_of(word);

        silent |= span_eq_nocase_str(word, "silent-discard");
        if (row < ARRAY_LEN(keywords))
            s->hidden_keywords |= 1u << row;
    }
    if (s->hidden_keywords != 0 && !silent)
        log_info("discarding EHLO keywords: " SPAN_FMT, SPAN_ARG(list));
}

/* Take the name; a new HELO drops a transaction (RFC 5321 section 4.1.4) */
static bool take_name(struct smtpd *s, const char *command, struct span args)
{
    struct span name = span_trim(args);

    if (name.len == 0) {
        reply(s, "501 Syntax: %s hostname", command);
        return false;
    }
    transaction_reset(s);
    str_reset(&s->helo);
    str_add_escaped(&s->helo, name, HELO_MAX, STR_UTF8);
    s->state = SMTP_GREETED;
    if (restrict_helo(s) != VERDICT_REFUSED) {
        filter_helo(s);
        return s->state != SMTP_CLOSED;
    }
    str_reset(&s->helo);
    if (s->state != SMTP_CLOSED)
        s->state = SMTP_CONNECTED;
    return false;
}

static bool is_wrong_protocol(struct smtpd *s, bool lmtp)
{
    if (s->sv->params->smtpd_lmtp_mode == lmtp)
        return false;
    reply(s, lmtp ? "500 5.5.2 Error: command not recognized" : "500 5.5.1 Error: this is LMTP: say LHLO");
    return true;
}

void cmd_helo(struct smtpd *s, struct span args)
{
    if (is_wrong_protocol(s, false))
        return;
    s->esmtp = false;
    if (!take_name(s, "HELO", args))
        return;
    reply(s, "250 %s", s->sv->params->myhostname);
}

/* EHLO and LHLO */
static void greet_extended(struct smtpd *s, const char *command, struct span args)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    s->esmtp = true;
    if (!take_name(s, command, args))
        return;
    hide_keywords(s);
    str_add_str(&line, s->sv->params->myhostname);
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
        if (!keywords[i].offered(s) || (s->hidden_keywords & (1u << i)))
            continue;
        reply(s, "250-%s", str_cstr(&line));
        str_reset(&line);
        str_add_str(&line, keywords[i].name);
        if (keywords[i].add_parameter)
            keywords[i].add_parameter(s, &line);
    }
    reply(s, "250 %s", str_cstr(&line));
}

void cmd_ehlo(struct smtpd *s, struct span args)
{
    if (!is_wrong_protocol(s, false))
        greet_extended(s, "EHLO", args);
}

void cmd_lhlo(struct smtpd *s, struct span args)
{
    if (!is_wrong_protocol(s, true))
        greet_extended(s, "LHLO", args);
}
