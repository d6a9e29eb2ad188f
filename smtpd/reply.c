/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.c - answers to the client
 *
 * Replies are only buffered here and leave when the session waits for input, so
 * that pipelined commands (RFC 2920) cost one write. The error counter lives
 * here because a reply is the one thing that every error has.
 *
 * Runs in: smtpd. Logs refusals as "NOQUEUE: reject:".
 */
#include "smtpd/reply.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "mail/address.h"

/* soft_bounce: a 5xx is sent as 4xx, its enhanced code as well */
static void soften(struct str *text)
{
    if (text->len < 5 || text->data[0] != '5')
        return;
    text->data[0] = '4';
    if (text->data[4] == '5')
        text->data[4] = '4';
}

static bool is_error(const struct str *text)
{
    return text->len > 0 && (text->data[0] == '4' || text->data[0] == '5');
}

static void send_line(struct smtpd *s, struct str *text)
{
    if (s->sv->params->soft_bounce)
        soften(text);
    if (s->errors >= (uint64_t)s->sv->params->smtpd_soft_error_limit &&
        s->sv->params->smtpd_error_sleep_time > 0) {
        stream_flush(s->client);
        fiber_sleep_until(clock_deadline_ms(s->sv->params->smtpd_error_sleep_time * 1000));
    }
    str_add_str(text, "\r\n");
    stream_write(s->client, str_span(text));
}

void reply(struct smtpd *s, const char *fmt, ...)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    if (is_error(&text))
        s->errors++;
    send_line(s, &text);
}

void reply_uncounted(struct smtpd *s, const char *fmt, ...)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    send_line(s, &text);
}

/* "; from=<a> to=<b> proto=ESMTP helo=<c> sasl_method=..." as far as known (facts of the session) */
static void add_session(const struct smtpd *s, struct str *line)
{
    bool transaction = s->state & (SMTP_MAIL | SMTP_RCPT | SMTP_BDAT);

    if (transaction || s->sender.len > 0) {
        str_add_str(line, " from=<");
        show_address(line, str_span(&s->sender));
        str_add_char(line, '>');
    }
    if (s->rcpt.len > 0) {
        str_add_str(line, " to=<");
        show_address(line, str_span(&s->rcpt));
        str_add_char(line, '>');
    }
    str_addf(line, " proto=%s", s->esmtp ? "ESMTP" : "SMTP");
    if (s->helo.len > 0)
        str_addf(line, " helo=<" SPAN_FMT ">", SPAN_ARG(str_span(&s->helo)));
    if (s->sasl_username.len > 0) {
        str_addf(line, " sasl_method=%s, sasl_username=", s->sasl_method);
        show(line, str_span(&s->sasl_username));
    }
}

enum verdict refuse(struct smtpd *s, const char *stage, const char *fmt, ...)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    _cleanup_(str_free) struct str line = STR_INIT;
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    if (s->sv->params->soft_bounce)
        soften(&text);
    str_addf(&line, "NOQUEUE: reject: %s from %s: " SPAN_FMT ";", stage, s->namaddr,
             SPAN_ARG(str_span(&text)));
    add_session(s, &line);
    log_info("%s", str_cstr(&line));
    s->errors++;
    send_line(s, &text);
    return VERDICT_REFUSED;
}

enum verdict refuse_rcpt(struct smtpd *s, const char *code, const char *text)
{
    _cleanup_(str_free) struct str shown = STR_INIT;

    show_address(&shown, str_span(&s->rcpt));
    return refuse(s, s->where, "%s <%s>: %s", code, str_cstr(&shown), text);
}

enum verdict refuse_sender(struct smtpd *s, const char *code, const char *text)
{
    _cleanup_(str_free) struct str shown = STR_INIT;

    show_address(&shown, str_span(&s->sender));
    return refuse(s, s->where, "%s <%s>: %s", code, str_cstr(&shown), text);
}

void show(struct str *ret, struct span text)
{
    str_add_escaped(ret, text, SHOWN_MAX, STR_UTF8);
}

void show_address(struct str *ret, struct span address)
{
    _cleanup_(str_free) struct str quoted = STR_INIT;

    address_quote(&quoted, address);
    show(ret, str_span(&quoted));
}
