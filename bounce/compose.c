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

#include <arpa/inet.h>
#include <inttypes.h>

#include "base/mem.h"
#include "base/rand.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/route.h"

#define FOLD_AT  79
#define SPILL_AT 32768
#define TEXT_MAX 900 /* bytes shown of one address or reply: a line may have 998 (RFC 5322 section 2.1.1) */

/* ---- what differs between the kinds ---- */

static const struct kind_row {
    const char *name, *action, *dsn, *returned;
    enum template_kind template;
    enum queue_rcpt_state state;
    enum dsn_notify notify;
} kinds[] = {
    [REPORT_FAILED]  = { "non-delivery", "failed", "5.0.0", "Undelivered Message", TEMPLATE_FAILURE, RCPT_BOUNCED,
                         DSN_FAILURE },
    [REPORT_DELAYED] = { "delay", "delayed", "4.0.0", "Undelivered Message", TEMPLATE_DELAY, RCPT_DEFERRED,
                         DSN_DELAY },
    [REPORT_SUCCESS] = { "delivery status", "delivered", "2.0.0", "Message", TEMPLATE_SUCCESS, RCPT_SENT,
                         DSN_SUCCESS },
};

const char *notice_name(enum report_kind kind)
{
    return kinds[kind].name;
}

void notice_init(struct notice *n, const struct params *p, const struct templates *t,
                 const struct queue_envelope *e, enum report_kind kind, int64_t now)
{
    *n = (struct notice){ .params = p, .templates = t, .e = e, .kind = kind, .to = e->sender, .now = now };
    snprintf(n->boundary, sizeof n->boundary, "%s.%" PRIx64 "%" PRIx64, e->id,
             rand_below(UINT64_MAX), rand_below(UINT64_MAX));
}

bool notice_concerns(const struct notice *n, const struct queue_rcpt *r)
{
    const struct kind_row *k = &kinds[n->kind];

    if (r->state != k->state)
        return false;
    if (n->kind == REPORT_SUCCESS)
        return queue_rcpt_wants_success(r, n->params->confirm_delay_cleared);
    /* Our own reports ask for none; that is for others, not for the postmaster. */
    if (n->audience == TO_POSTMASTER_INSTEAD && n->e->origin == SUBMIT_INTERNAL)
        return true;
    return queue_rcpt_wants(r, k->notify);
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
    return n->kind == REPORT_FAILED && n->audience != TO_POSTMASTER && n->e->dsn_ret != DSN_RET_HDRS &&
           n->e->content_size <= (uint64_t)n->params->bounce_size_limit;
}

static bool is_utf8(const struct notice *n)
{
    return n->e->flags & SUBMIT_SMTPUTF8;
}

static const struct template *template_of(const struct notice *n)
{
    return &n->templates->of[kinds[n->kind].template];
}

static bool is_ascii(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 128)
            return false;
    return true;
}

bool notice_is_8bit(const struct notice *n)
{
    return (n->e->flags & (SUBMIT_8BIT | SUBMIT_SMTPUTF8)) || !is_ascii(str_span(&template_of(n)->text));
}

static void spill(struct str *text, const struct notice *n)
{
    if (n->spill && text->len >= SPILL_AT)
        n->spill(text, n->spill_arg);
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

/* "MAILER-DAEMON" gets our domain, as an address in mail of this machine does. */
static int complete(struct span in, struct str *out, void *arg)
{
    route_complete(arg, in, out);
    return !span_eq(in, str_span(out));
}

static void add_from(struct str *ret, const struct notice *n)
{
    _cleanup_(str_free) struct str completed = STR_INIT;
    struct span from = str_span(&template_of(n)->from);

    if (header_addresses_rewrite(from, complete, (void *)n->params, &completed) == 1)
        from = span_trim(str_span(&completed));
    str_addf(ret, "From: " SPAN_FMT "\r\n", SPAN_ARG(from));
}

static void add_header(struct str *ret, const struct notice *n)
{
    const struct template *t = template_of(n);
    const struct str *subject = n->audience == TO_SENDER ? &t->subject : &t->postmaster_subject;

    add_date(ret, "Date", n->now);
    add_from(ret, n);
    str_addf(ret, "Subject: " SPAN_FMT "\r\nTo: ", SPAN_ARG(str_span(subject)));
    add_address(ret, n, n->to);
    str_addf(ret, "\r\nMessage-Id: <%s.%" PRIx64 "@%s>\r\n", n->e->id, rand_below(UINT64_MAX),
             n->params->myhostname);
    str_add_str(ret, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
    str_addf(ret, "Content-Type: multipart/report; report-type=%s;\r\n\tboundary=\"%s\"\r\n",
             is_utf8(n) ? "global-delivery-status" : "delivery-status", n->boundary);
    if (notice_is_8bit(n))
        str_add_str(ret, "Content-Transfer-Encoding: 8bit\r\n");
    str_add_str(ret, "\r\nThis is a MIME-encapsulated message.\r\n");
}

/* What the part for people is written in. The template's own set may be any that holds ASCII. */
static struct span charset_of(const struct notice *n)
{
    struct span charset = str_span(&template_of(n)->charset);

    return is_utf8(n) && span_eq_nocase_str(charset, "us-ascii") ? span_of("utf-8") : charset;
}

static void add_reason(struct str *ret, const struct queue_rcpt *r, enum str_escape charset)
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_add_char(&text, '<');
    str_add_escaped(&text, span_of(r->address), TEXT_MAX, charset);
    str_add_char(&text, '>');
    if (r->orig && strcmp(r->orig, r->address) != 0) {
        str_add_str(&text, " (expanded from <");
        str_add_escaped(&text, span_of(r->orig), TEXT_MAX, charset);
        str_add_str(&text, ">)");
    }
    str_add_str(&text, ": ");
    str_add_escaped(&text, span_of(r->text ? r->text : "no reason is known"), TEXT_MAX, charset);
    str_add_str(ret, "\r\n");
    notice_add_folded(ret, str_span(&text));
}

static void add_lines(struct str *ret, struct span text)
{
    while (text.len > 0) {
        str_add(ret, span_cut(&text, '\n'));
        str_add_str(ret, "\r\n");
    }
}

static void add_notification(struct str *ret, const struct notice *n)
{
    _cleanup_(str_free) struct str type = STR_INIT;
    struct span charset = charset_of(n);
    bool utf8 = is_utf8(n) && span_eq_nocase_str(charset, "utf-8");

    str_addf(&type, "text/plain; charset=" SPAN_FMT, SPAN_ARG(charset));
    add_part(ret, n, "Notification", str_cstr(&type));
    if (notice_is_8bit(n))
        str_add_str(ret, "Content-Transfer-Encoding: 8bit\r\n");
    str_add_str(ret, "\r\n");
    if (n->audience == TO_SENDER)
        add_lines(ret, str_span(&template_of(n)->text));
    for (size_t i = 0; i < n->e->n_rcpts; i++) {
        if (notice_concerns(n, &n->e->rcpts[i]))
            add_reason(ret, &n->e->rcpts[i], utf8 ? STR_UTF8 : STR_ASCII);
        spill(ret, n);
    }
}

/* ---- the part for programs ---- */

/* "rfc822; " or "utf-8; " (RFC 6533 section 3) and the address. */
static void add_typed_address(struct str *ret, const struct notice *n, const char *name, const char *address)
{
    _cleanup_(str_free) struct str field = STR_INIT, quoted = STR_INIT;

    str_addf(&field, "%s: %s; ", name, is_ascii(span_of(address)) ? "rfc822" : "utf-8");
    address_quote(&quoted, span_of(address));
    add_field(ret, n, str_cstr(&field), str_cstr(&quoted));
}

static void add_message_fields(struct str *ret, const struct notice *n)
{
    _cleanup_(str_free) struct str name = STR_INIT;
    const char *mail_name = n->params->mail_name;

    str_addf(ret, "Reporting-MTA: dns; %s\r\n", n->params->myhostname);
    add_field(ret, n, "Original-Envelope-Id: ", n->e->dsn_envid);
    str_addf(ret, "X-%s-Queue-ID: %s\r\n", mail_name, n->e->id);
    str_addf(&name, "X-%s-Sender", mail_name);
    if (n->e->sender[0])
        add_typed_address(ret, n, str_cstr(&name), n->e->sender);
    add_date(ret, "Arrival-Date", n->e->arrival_us / 1000000);
}

static const char *action(const struct notice *n, const struct queue_rcpt *r)
{
    /* RFC 3464 section 2.3.3 */
    static const char *const of_fate[] = {
        [FATE_DELIVERED] = "delivered", [FATE_CONFIRMING] = "relayed", [FATE_RELAYED] = "relayed",
        [FATE_EXPANDED] = "expanded",
    };

    return n->kind == REPORT_SUCCESS ? of_fate[r->fate] : kinds[n->kind].action;
}

/* A host without a name is shown as an address literal (RFC 3464 section 2.1.2). */
static void add_remote_mta(struct str *ret, const struct notice *n, const char *host)
{
    struct in6_addr scratch;
    _cleanup_(str_free) struct str literal = STR_INIT;

    if (host && inet_pton(AF_INET6, host, &scratch) == 1)
        str_addf(&literal, "[IPv6:%s]", host);
    else if (host && inet_pton(AF_INET, host, &scratch) == 1)
        str_addf(&literal, "[%s]", host);
    add_field(ret, n, "Remote-MTA: dns; ", literal.len > 0 ? str_cstr(&literal) : host);
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
    add_typed_address(ret, n, "Final-Recipient", r->address);
    if (r->dsn_orcpt)
        add_field(ret, n, "Original-Recipient: ", r->dsn_orcpt);
    else if (r->orig)
        add_typed_address(ret, n, "Original-Recipient", r->orig);
    str_addf(ret, "Action: %s\r\n", action(n, r));
    add_field(ret, n, "Status: ", r->dsn[0] ? r->dsn : kinds[n->kind].dsn);
    add_remote_mta(ret, n, r->remote_mta);
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
    for (size_t i = 0; i < n->e->n_rcpts; i++) {
        if (notice_concerns(n, &n->e->rcpts[i]))
            add_rcpt_fields(ret, n, &n->e->rcpts[i]);
        spill(ret, n);
    }
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
