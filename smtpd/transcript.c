/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transcript.c - what was said in a session, for the postmaster (notify_classes)
 *
 * The class of an error is read off its reply, which is made in one place and has a code, so that no handler needs
 * to know of classes.
 *
 * Runs in: smtpd. What the client says is hostile, and is escaped.
 */
#include "smtpd/transcript.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/date.h"
#include "mail/notify.h"
#include "mail/route.h"

#define TRANSCRIPT_MAX 32768
#define LINE_SHOWN_MAX      998

/* The first row that fits. */
static const struct {
    struct span begin;
    unsigned class;
} classes[] = {
    { SPAN("421 4.3.0"), NOTIFY_SOFTWARE },
    { SPAN("421 "), NOTIFY_POLICY },
    { SPAN("451 4.3.0 Error: queue file"), NOTIFY_RESOURCE },
    { SPAN("451 4.3.0"), NOTIFY_DATA },
    { SPAN("451 4.3.5"), NOTIFY_SOFTWARE },
    { SPAN("452 4.3"), NOTIFY_RESOURCE },
    { SPAN("454 4.7.0 Temporary"), NOTIFY_SOFTWARE },
    { SPAN("458 "), NOTIFY_SOFTWARE },
    { SPAN("50"), NOTIFY_PROTOCOL },
    { SPAN("551 "), NOTIFY_PROTOCOL },
    { SPAN("555 "), NOTIFY_PROTOCOL },
    { SPAN("4"), NOTIFY_POLICY },
    { SPAN("5"), NOTIFY_POLICY },
};

unsigned transcript_class(struct span reply)
{
    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        if (span_starts(reply, classes[i].begin))
            return classes[i].class;
    return 0;
}

/* ---- keeping it ---- */

static bool is_kept(const struct smtpd *s)
{
    return s->sv->notify != 0;
}

static void add(struct smtpd *s, const char *who, struct span line)
{
    struct str *t = &s->transcript;

    if (t->len > TRANSCRIPT_MAX)
        return;
    str_add_str(t, who);
    str_add_escaped(t, line, LINE_SHOWN_MAX, STR_UTF8);
    str_add_str(t, "\r\n");
    if (t->len > TRANSCRIPT_MAX)
        str_add_str(t, " [the rest is left out]\r\n");
}

void transcript_in(struct smtpd *s, struct span line)
{
    if (is_kept(s))
        add(s, " In:  ", span_starts_nocase(line, span_of("AUTH")) ? span_of("AUTH [not shown]") : line);
}

void transcript_out(struct smtpd *s, struct span reply)
{
    if (!is_kept(s))
        return;
    s->trouble |= transcript_class(reply);
    while (reply.len > 0)
        add(s, " Out: ", span_trim(span_cut(&reply, '\n')));
}

/* ---- mailing it ---- */

static void compose(const struct smtpd *s, struct str *to, struct str *ret)
{
    const struct params *p = s->sv->params;

    str_add_str(ret, "Date: ");
    date_rfc5322(ret, clock_real());
    str_addf(ret, "\r\nFrom: MAILER-DAEMON@%s (Mail Delivery System)\r\nTo: %s\r\n", p->myorigin, str_cstr(to));
    str_addf(ret, "Subject: %s SMTP server: errors from %s\r\n", p->mail_name, s->namaddr);
    str_add_str(ret, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                     "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
                     "\r\nTranscript of session follows.\r\n\r\n");
    str_add(ret, str_span(&s->transcript));
    str_addf(ret, "\r\nFor other details, see the log of %s.\r\n", p->myhostname);
}

static int converse(struct ipc *c, unsigned flags, struct str sender, struct str to, struct span content)
{
    struct submit m = { .origin = SUBMIT_INTERNAL, .flags = flags, .n_rcpt = 1, .sender = sender };
    struct submit_rcpt rcpt = { .address = to, .dsn_notify = DSN_FAILURE };
    struct submit_result result;

    ipc_send(c, &submit_shape, &m);
    ipc_send(c, &submit_rcpt_shape, &rcpt);
    ipc_send_chunk(c, content);
    ipc_send_chunk(c, SPAN_NULL);
    int r = ipc_recv(c, &submit_result_shape, &result);

    return r == 0 && result.status != SUBMIT_OK ? -EREMOTEIO : r;
}

/* The class bounce wants to know of refused mail, too. */
static unsigned wanted(const struct smtpd *s)
{
    return s->sv->notify & NOTIFY_BOUNCE ? s->sv->notify | NOTIFY_POLICY : s->sv->notify;
}

static const char *reader(const struct smtpd *s)
{
    const struct params *p = s->sv->params;

    return s->trouble & s->sv->notify ? p->error_notice_recipient : p->bounce_notice_recipient;
}

static int send_notice(struct smtpd *s)
{
    const struct params *p = s->sv->params;
    _cleanup_(str_free) struct str to = STR_INIT, sender = STR_INIT, content = STR_INIT;
    bool filtered = span_list_has(span_of(p->internal_mail_filter_classes), "notify");
    struct ipc *c;
    int r = ipc_pool_get(s->sv->cleanup, clock_deadline_ms(p->ipc_timeout * 1000), &c);

    if (r < 0)
        return r;
    route_complete(p, span_of(reader(s)), &to);
    route_complete(p, span_of(p->double_bounce_sender), &sender);
    compose(s, &to, &content);
    r = converse(c, SUBMIT_8BIT | (filtered ? SUBMIT_FILTER : 0u), sender, to, str_span(&content));
    if (r < 0)
        ipc_free(c);
    else
        ipc_pool_put(s->sv->cleanup, c);
    return r;
}

void transcript_mail(struct smtpd *s)
{
    if (!(s->trouble & wanted(s)))
        return;
    int r = send_notice(s);

    if (r < 0)
        log_warn_errno(r, "cannot mail the transcript of the session of %s", s->namaddr);
}
