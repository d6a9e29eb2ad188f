/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notice.c - tell a local sender that his message was refused after postdrop had taken it
 *
 * postdrop's exit status 0 was a promise: the message is delivered, or its sender is told. Only
 * cleanup can say what is wrong with a message, and it was not running then.
 *
 * Runs in: pickup. Texts from the message are quoted as they are, behind the header of ours.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/header.h"
#include "pickup/pickup.h"

#define QUOTE_MAX 16384 /* of the message, for its header */

static void add_header(struct str *s, const struct params *p, const char *sender)
{
    _cleanup_(str_free) struct str to = STR_INIT;

    address_quote(&to, span_of(sender));
    str_addf(s, "From: MAILER-DAEMON@%s (Mail Delivery System)\r\nTo: ", p->myorigin);
    str_add_escaped(s, str_span(&to), to.len, STR_UTF8);
    str_add_str(s, "\r\nSubject: Undelivered Mail Returned to Sender\r\nDate: ");
    date_rfc5322(s, clock_real());
    str_add_str(
        s, "\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
           "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
}

/* Only the header section is quoted. */
static void add_quote(struct str *s, struct span message)
{
    struct header_field f;

    while (header_next(&message, SIZE_MAX, &f) != 0) {
        str_add_str(s, "    ");
        str_add_escaped(s, f.raw, 512, STR_UTF8);
        str_add_str(s, "\r\n");
    }
}

static void compose(struct pickup *p, const struct queue_envelope *e, int fd,
                    const struct submit_result *why, struct str *s)
{
    _cleanup_free_ char *quote = mem_realloc(NULL, QUOTE_MAX, 1);
    size_t want = e->content_size < QUOTE_MAX ? (size_t)e->content_size : QUOTE_MAX;
    ssize_t n = pread(fd, quote, want, (off_t)e->content_offset);

    add_header(s, p->params, e->sender);
    str_addf(s,
             "This is the mail system at host %s.\r\n\r\n"
             "Your message was taken while the mail system was not running. It has now\r\n"
             "been refused:\r\n\r\n    %s %s\r\n\r\nIts header:\r\n\r\n",
             p->params->myhostname, why->dsn, why->text);
    add_quote(s, span_make(quote, n > 0 ? (size_t)n : 0));
}

static int exchange(struct ipc *cleanup, const char *recipient, struct span content)
{
    struct submit submit = {
        .origin = SUBMIT_INTERNAL, .flags = SUBMIT_8BIT | SUBMIT_REWRITE, .n_rcpt = 1};
    struct submit_rcpt rcpt = {.dsn_notify = DSN_NEVER};
    struct submit_result result;

    str_add_str(&rcpt.address, recipient);
    ipc_send(cleanup, &submit_shape, &submit);
    ipc_send(cleanup, &submit_rcpt_shape, &rcpt);
    str_free(&rcpt.address);
    ipc_send_chunk(cleanup, content);
    ipc_send_chunk(cleanup, SPAN_NULL);
    int r = ipc_recv(cleanup, &submit_result_shape, &result);

    return r < 0 ? r : result.status == SUBMIT_OK ? 0 : -EAGAIN;
}

int notice_send(struct pickup *p, const struct queue_envelope *e, int content_fd,
                const struct submit_result *why)
{
    _cleanup_(ipc_free_ptr_) struct ipc *cleanup = NULL;
    _cleanup_(str_free) struct str content = STR_INIT;
    int r = ipc_pool_get(p->cleanup, clock_deadline_ms(p->params->ipc_timeout * 1000), &cleanup);

    if (r < 0)
        return r;
    compose(p, e, content_fd, why, &content);
    r = exchange(cleanup, e->sender, str_span(&content));
    if (r == 0 || r == -EAGAIN)
        ipc_pool_put(p->cleanup, TAKE_PTR(cleanup));
    return r;
}
