/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etrn.c - ETRN: a host that has come back asks for the mail that waits for it
 *
 * RFC 1985. The mail does not go over this connection: qmgr is asked to try at once what waits for
 * the domain, which harms nobody. Only domains in fast_flush_domains are served, so that strangers
 * cannot have qmgr search its queue for any name.
 *
 * Runs in: smtpd (input is hostile). Logs refusals, and a qmgr that cannot be asked.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "ipc/msg_queue.h"
#include "mail/address.h"
#include "smtpd/command.h"
#include "smtpd/reply.h"

/* Ask qmgr. 0, or a negative errno */
static int flush_site(struct smtpd *s)
{
    _cleanup_(ipc_free_ptr_) struct ipc *qmgr = NULL;
    struct queue_flush_site request = { 0 };
    struct queue_command_done done = { 0 };
    int64_t timeout_ms = s->sv->params->ipc_timeout * 1000;
    int r = ipc_connect("qmgr", clock_deadline_ms(timeout_ms), &qmgr);

    if (r < 0)
        return r;
    stream_set_timeout(ipc_stream(qmgr), timeout_ms);
    snprintf(request.site, sizeof(request.site), SPAN_FMT, SPAN_ARG(s->etrn));
    ipc_send(qmgr, &queue_flush_site_shape, &request);
    return ipc_recv(qmgr, &queue_command_done_shape, &done);
}

static void answer(struct smtpd *s)
{
    int served = match_list_has(s->sv->flush_domains, s->etrn);

    if (served == 0) {
        refuse(s, "ETRN", "459 4.7.1 <" SPAN_FMT ">: service unavailable", SPAN_ARG(s->etrn));
        return;
    }
    int r = served < 0 ? served : flush_site(s);

    if (r == 0) {
        reply(s, "250 2.0.0 Queuing started");
        return;
    }
    log_warn_errno(r, "cannot flush the queue for " SPAN_FMT ", telling %s to try again", SPAN_ARG(s->etrn),
                   s->namaddr);
    reply_uncounted(s, "458 4.3.0 Unable to queue messages");
}

void cmd_etrn(struct smtpd *s, struct span args)
{
    struct span site = span_trim(args);

    if (s->state == SMTP_CONNECTED && s->sv->params->smtpd_helo_required) {
        reply(s, "503 5.5.1 Error: send HELO/EHLO first");
        return;
    }
    if (site.len > 0 && (site.ptr[0] == '@' || site.ptr[0] == '#'))
        site = span_from(site, 1); /* the subtree or queue of that name: for us the same as the name */
    if (site.len == 0) {
        reply(s, "501 5.5.4 Syntax: ETRN domain");
        return;
    }
    if (site.len > HELO_MAX || !address_domain_valid(site)) {
        reply(s, "501 5.5.4 Error: invalid parameter syntax");
        return;
    }
    s->etrn = site;
    if (restrict_etrn(s) != VERDICT_REFUSED)
        answer(s);
    s->etrn = SPAN_NULL;
}
