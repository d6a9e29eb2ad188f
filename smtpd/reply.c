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
#include "smtpd/expand.h"
#include "smtpd/transcript.h"

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

/* The lines of smtpd_reject_footer ("\\n" between them) behind the reply, each with its codes; or
 * on its own line when the footer begins with "\\c" */
static void add_footer(struct smtpd *s, struct span template, struct str *text)
{
    static const struct span same_line = SPAN("\\c"), new_line = SPAN("\\n");
    _cleanup_(str_free) struct str footer = STR_INIT;
    _cleanup_(str_free) struct str reply = STR_INIT;
    struct span rest, codes = span_first(str_span(text), 4);

    expand_reply(s, template, NULL, 0, &footer);
    rest = str_span(&footer);
    if (text->len > 6 && text->data[5] == '.') {
        ptrdiff_t end = span_chr(span_from(str_span(text), 4), ' ');

        codes = span_first(str_span(text), end < 0 ? 4 : 5 + (size_t)end);
    }
    str_add(&reply, str_span(text));
    if (span_starts(rest, same_line)) {
        ptrdiff_t end = span_find(rest, new_line);

        str_add(&reply,
                span_from(span_first(rest, end < 0 ? rest.len : (size_t)end), same_line.len));
        rest = end < 0 ? SPAN_NULL : span_from(rest, (size_t)end + new_line.len);
    }
    for (size_t last = 0; rest.len > 0;) {
        ptrdiff_t end = span_find(rest, new_line);

        reply.data[last + 3] = '-';
        str_add_str(&reply, "\r\n");
        last = reply.len;
        str_add(&reply, codes);
        str_add(&reply, span_first(rest, end < 0 ? rest.len : (size_t)end));
        rest = end < 0 ? SPAN_NULL : span_from(rest, (size_t)end + new_line.len);
    }
    str_set(text, str_span(&reply));
}

/* smtpd_reject_footer_maps for this reply, else smtpd_reject_footer; empty: none */
static struct span find_footer(struct smtpd *s, const struct str *text, struct str *scratch)
{
    int r = maps_get(s->sv->footers, str_span(text), scratch);

    if (r < 0)
        log_warn("smtpd_reject_footer_maps cannot be read, smtpd_reject_footer holds");
    return r > 0 ? str_span(scratch) : span_of(s->sv->reject_footer);
}

static void add_footer_if_any(struct smtpd *s, struct str *text)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct span footer = find_footer(s, text, &scratch);

    if (footer.len > 0)
        add_footer(s, footer, text);
}

static void send_line(struct smtpd *s, struct str *text)
{
    if (s->sv->params->soft_bounce)
        soften(text);
    if (is_error(text))
        add_footer_if_any(s, text);
    if (s->errors >= (uint64_t)s->sv->params->smtpd_soft_error_limit &&
        s->sv->params->smtpd_error_sleep_time > 0) {
        stream_flush(s->client);
        fiber_sleep_until(clock_deadline_ms(s->sv->params->smtpd_error_sleep_time * 1000));
    }
    transcript_out(s, str_span(text));
    str_add_str(text, "\r\n");
    for (size_t i = 0; i == 0 || i < s->copies; i++)
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

/* "; from=<a> to=<b> proto=ESMTP helo=<c> sasl_method=..." as far as known (facts of the session)
 */
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
    str_addf(line, " proto=%s", s->sv->params->smtpd_lmtp_mode ? "LMTP" : s->esmtp ? "ESMTP" : "SMTP");
    if (s->helo.len > 0)
        str_addf(line, " helo=<" SPAN_FMT ">", SPAN_ARG(str_span(&s->helo)));
    if (s->sasl_username.len > 0) {
        str_addf(line, " sasl_method=%s sasl_username=", s->sasl_method);
        show(line, str_span(&s->sasl_username));
    }
}

static void log_event(const struct smtpd *s, const char *verb, const char *stage, struct span text)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    str_addf(&line, "NOQUEUE: %s: %s from %s: " SPAN_FMT ";", verb, stage, s->namaddr,
             SPAN_ARG(text));
    add_session(s, &line);
    log_info("%s", str_cstr(&line));
}

void log_verdict(const struct smtpd *s, const char *verb, struct span text)
{
    log_event(s, verb, s->where, text);
}

enum verdict refuse(struct smtpd *s, const char *stage, const char *fmt, ...)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    va_list ap;

    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    if (s->sv->params->soft_bounce)
        soften(&text);
    log_event(s, "reject", stage, str_span(&text));
    s->errors++;
    send_line(s, &text);
    return VERDICT_REFUSED;
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
