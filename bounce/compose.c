/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compose.c - the text of a delivery status notification (RFC 3464, RFC 6522; RFC 6533 for SMTPUTF8)
 *
 * Subject lines, field names and the frame of the text are those that programs which sort bounces know
 * from Postfix.
 *
 * Runs in: bounce. Addresses and the replies of remote hosts are hostile text.
 */
#include "bounce/compose.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/rand.h"
#include "mail/address.h"
#include "mail/date.h"

#define FOLD_AT  79
#define TEXT_MAX 900 /* bytes shown of one address or reply: a line may have 998 (RFC 5322 section 2.1.1) */

/* ---- what differs between the kinds ---- */

static const char failed_text[] =
    "Your message could not be delivered to one or more recipients. The reason\r\n"
    "for each of them stands below; your message is attached.\r\n"
    "\r\n"
    "For further help, please write to postmaster and include this report. You\r\n"
    "may remove your own text from the attached message.\r\n";

static const char delayed_text[] =
    "####################################################################\r\n"
    "# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #\r\n"
    "####################################################################\r\n"
    "\r\n"
    "Your message could not be delivered to the recipients below so far. It\r\n"
    "stays in the queue and will be tried again until it is too old.\r\n"
    "\r\n"
    "For further help, please write to postmaster and include this report.\r\n";

static const char success_text[] =
    "Your message was delivered to the recipients below. Where it was handed to\r\n"
    "a system that does not confirm deliveries you will hear no more of it.\r\n";

static const struct kind_row {
    const char *name, *subject, *action, *dsn, *returned, *text;
    enum queue_rcpt_state state;
    uint32_t notify, by_default; /* the NOTIFY bit; is it meant when there was no NOTIFY? */
} kinds[] = {
    [REPORT_FAILED]  = { "non-delivery", "Undelivered Mail Returned to Sender", "failed", "5.0.0",
                         "Undelivered Message", failed_text, RCPT_BOUNCED, DSN_FAILURE, true },
    [REPORT_DELAYED] = { "delay", "Delayed Mail (still being retried)", "delayed", "4.0.0",
                         "Undelivered Message", delayed_text, RCPT_DEFERRED, DSN_DELAY, true },
    [REPORT_SUCCESS] = { "delivery status", "Successful Mail Delivery Report", "delivered", "2.0.0",
                         "Message", success_text, RCPT_SENT, DSN_SUCCESS, false },
};

const char *notice_name(enum report_kind kind)
{
    return kinds[kind].name;
}

void notice_init(struct notice *n, const struct params *p, const struct queue_envelope *e,
                 enum report_kind kind, int64_t now)
{
    *n = (struct notice){ .params = p, .e = e, .kind = kind, .now = now };
    snprintf(n->boundary, sizeof n->boundary, "%s.%" PRIx64 "%" PRIx64, e->id,
             rand_below(UINT64_MAX), rand_below(UINT64_MAX));
}

bool notice_concerns(const struct notice *n, const struct queue_rcpt *r)
{
    const struct kind_row *k = &kinds[n->kind];

    if (r->state != k->state || (n->kind == REPORT_SUCCESS && r->relayed_dsn))
        return false;
    return r->dsn_notify ? (r->dsn_notify & k->notify) != 0 : k->by_default;
}

size_t notice_count(const struct notice *n)
{
    size_t count = 0;

    for (size_t i = 0; i < n->e->n_rcpts; i++)
        count += notice_concerns(n, &n->e->rcpts[i]);
    return count;
}

bool notice_returns_body(const struct notice *n)
{
    return n->kind == REPORT_FAILED && n->e->dsn_ret != DSN_RET_HDRS &&
           n->e->content_size <= (uint64_t)n->params->bounce_size_limit;
}

static bool is_utf8(const struct notice *n)
{
    return n->e->flags & SUBMIT_SMTPUTF8;
}

/* ---- pieces ---- */

void notice_add_folded(struct str *ret, struct span text)
{
    size_t column = 0;

    while (text.len > 0) {
        struct span word = span_cut(&text, ' ');

        if (word.len == 0)
            continue;
        if (column > 0 && column + 1 + word.len > FOLD_AT) {
            str_add_str(ret, "\r\n   ");
            column = 3;
        }
        if (column > 0) {
            str_add_char(ret, ' ');
            column++;
        }
        str_add(ret, word);
        column += word.len;
    }
    str_add_str(ret, "\r\n");
}

static void add_escaped(struct str *ret, const struct notice *n, const char *text)
{
    str_add_escaped(ret, span_of(text), TEXT_MAX, is_utf8(n) ? STR_UTF8 : STR_ASCII);
}

/* The address as it stands in a header: quoted where it must be. */
static void add_address(struct str *ret, const struct notice *n, const char *address)
{
    _cleanup_(str_free) struct str quoted = STR_INIT;

    address_quote(&quoted, span_of(address));
    add_escaped(ret, n, str_cstr(&quoted));
}

/* "Name: text", folded; nothing when text is empty. */
static void add_field(struct str *ret, const struct notice *n, const char *name_and_type,
                      const char *text)
{
    _cleanup_(str_free) struct str field = STR_INIT;

    if (!text || !*text)
        return;
    str_add_str(&field, name_and_type);
    add_escaped(&field, n, text);
    notice_add_folded(ret, str_span(&field));
}

static void add_date(struct str *ret, const char *name, int64_t seconds)
{
    str_addf(ret, "%s: ", name);
    date_rfc5322(ret, seconds);
    str_add_str(ret, "\r\n");
}

static void add_part(struct str *ret, const struct notice *n, const char *description,
                     const char *type)
{
    str_addf(ret, "\r\n--%s\r\nContent-Description: %s\r\nContent-Type: %s\r\n", n->boundary,
             description, type);
}

/* ---- header and the part for people ---- */

static void add_header(struct str *ret, const struct notice *n)
{
    const char *host = n->params->myhostname;

    add_date(ret, "Date", n->now);
    str_addf(ret, "From: MAILER-DAEMON@%s (Mail Delivery System)\r\n", host);
    str_addf(ret, "Subject: %s\r\nTo: ", kinds[n->kind].subject);
    add_address(ret, n, n->e->sender);
    str_addf(ret, "\r\nMessage-Id: <%s.%" PRIx64 "@%s>\r\n", n->e->id, rand_below(UINT64_MAX),
             host);
    str_add_str(ret, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
    str_addf(ret, "Content-Type: multipart/report; report-type=%s;\r\n\tboundary=\"%s\"\r\n",
             is_utf8(n) ? "global-delivery-status" : "delivery-status", n->boundary);
    if (n->e->flags & (SUBMIT_8BIT | SUBMIT_SMTPUTF8))
        str_add_str(ret, "Content-Transfer-Encoding: 8bit\r\n");
    str_add_str(ret, "\r\nThis is a MIME-encapsulated message.\r\n");
}

static void add_reason(struct str *ret, const struct notice *n, const struct queue_rcpt *r)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_add_char(&text, '<');
    add_escaped(&text, n, r->address);
    str_add_char(&text, '>');
    if (r->orig && strcmp(r->orig, r->address) != 0) {
        str_add_str(&text, " (expanded from <");
        add_escaped(&text, n, r->orig);
        str_add_str(&text, ">)");
    }
    str_add_str(&text, ": ");
    add_escaped(&text, n, r->text ? r->text : "no reason is known");
    str_add_str(ret, "\r\n");
    notice_add_folded(ret, str_span(&text));
}

static void add_notification(struct str *ret, const struct notice *n)
{
    add_part(ret, n, "Notification",
             is_utf8(n) ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii");
    if (is_utf8(n))
        str_add_str(ret, "Content-Transfer-Encoding: 8bit\r\n");
    str_addf(ret, "\r\nThis is the mail system at host %s.\r\n\r\n", n->params->myhostname);
    str_add_str(ret, kinds[n->kind].text);
    str_add_str(ret, "\r\n                   The mail system\r\n");
    for (size_t i = 0; i < n->e->n_rcpts; i++)
        if (notice_concerns(n, &n->e->rcpts[i]))
            add_reason(ret, n, &n->e->rcpts[i]);
}

/* ---- the part for programs ---- */

static bool is_ascii(const char *text)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p >= 128)
            return false;
    return true;
}

static void add_message_fields(struct str *ret, const struct notice *n)
{
    _cleanup_(str_free) struct str name = STR_INIT;
    const char *mail_name = n->params->mail_name;

    str_addf(ret, "Reporting-MTA: dns; %s\r\n", n->params->myhostname);
    add_field(ret, n, "Original-Envelope-Id: ", n->e->dsn_envid);
    str_addf(ret, "X-%s-Queue-ID: %s\r\n", mail_name, n->e->id);
    str_addf(&name, "X-%s-Sender: %s; ", mail_name, is_ascii(n->e->sender) ? "rfc822" : "utf-8");
    add_field(ret, n, str_cstr(&name), n->e->sender);
    add_date(ret, "Arrival-Date", n->e->arrival_us / 1000000);
}

static const char *action(const struct notice *n, const struct queue_rcpt *r)
{
    /* RFC 3464 section 2.3.3: handed to a system that does not confirm */
    return n->kind == REPORT_SUCCESS && r->remote_mta ? "relayed" : kinds[n->kind].action;
}

static void add_original_recipient(struct str *ret, const struct notice *n,
                                   const struct queue_rcpt *r)
{
    if (r->dsn_orcpt)
        add_field(ret, n, "Original-Recipient: ", r->dsn_orcpt);
    else if (r->orig)
        add_field(ret, n,
                  is_ascii(r->orig) ? "Original-Recipient: rfc822; "
                                    : "Original-Recipient: utf-8; ",
                  r->orig);
}

static void add_diagnostic(struct str *ret, const struct notice *n, const struct queue_rcpt *r)
{
    _cleanup_(str_free) struct str type = STR_INIT;

    if (r->remote_reply) {
        add_field(ret, n, "Diagnostic-Code: smtp; ", r->remote_reply);
        return;
    }
    str_addf(&type, "Diagnostic-Code: X-%s; ", n->params->mail_name);
    add_field(ret, n, str_cstr(&type), r->text);
}

static void add_rcpt_fields(struct str *ret, const struct notice *n, const struct queue_rcpt *r)
{
    str_add_str(ret, "\r\n");
    add_field(ret, n,
              is_ascii(r->address) ? "Final-Recipient: rfc822; " : "Final-Recipient: utf-8; ",
              r->address);
    add_original_recipient(ret, n, r);
    str_addf(ret, "Action: %s\r\n", action(n, r));
    add_field(ret, n, "Status: ", r->dsn[0] ? r->dsn : kinds[n->kind].dsn);
    add_field(ret, n, "Remote-MTA: dns; ", r->remote_mta);
    add_diagnostic(ret, n, r);
    if (r->last_us > 0)
        add_date(ret, "Last-Attempt-Date", r->last_us / 1000000);
    if (n->kind == REPORT_DELAYED)
        add_date(ret, "Will-Retry-Until",
                 n->e->arrival_us / 1000000 + n->params->maximal_queue_lifetime);
}

static void add_delivery_report(struct str *ret, const struct notice *n)
{
    add_part(ret, n, "Delivery report",
             is_utf8(n) ? "message/global-delivery-status" : "message/delivery-status");
    if (is_utf8(n))
        str_add_str(ret, "Content-Transfer-Encoding: 8bit\r\n");
    str_add_str(ret, "\r\n");
    add_message_fields(ret, n);
    for (size_t i = 0; i < n->e->n_rcpts; i++)
        if (notice_concerns(n, &n->e->rcpts[i]))
            add_rcpt_fields(ret, n, &n->e->rcpts[i]);
}

/* ---- all of it ---- */

void notice_add_head(struct str *ret, const struct notice *n)
{
    static const char *const types[2][2] = {
        { "text/rfc822-headers", "message/rfc822" },
        { "message/global-headers", "message/global" },
    };
    _cleanup_(str_free) struct str description = STR_INIT;

    add_header(ret, n);
    add_notification(ret, n);
    add_delivery_report(ret, n);
    str_addf(&description, "%s%s", kinds[n->kind].returned,
             notice_returns_body(n) ? "" : " Headers");
    add_part(ret, n, str_cstr(&description), types[is_utf8(n)][notice_returns_body(n)]);
    if (n->e->flags & (SUBMIT_8BIT | SUBMIT_SMTPUTF8))
        str_add_str(ret, "Content-Transfer-Encoding: 8bit\r\n");
    str_add_str(ret, "\r\n");
}

void notice_add_tail(struct str *ret, const struct notice *n)
{
    str_addf(ret, "\r\n--%s--\r\n", n->boundary);
}
