/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restrict_verify.c - reject_unverified_sender, reject_unverified_recipient: would mail to the address arrive?
 *
 * verify knows, or finds out by a probe, for which the client waits a while. Without a final outcome the
 * client is asked to come back, when the outcome will be known.
 *
 * Runs in: smtpd (addresses and what remote servers say of them are hostile). Logs a verify that cannot be asked.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "ipc/msg_verify.h"
#include "mail/route.h"
#include "smtpd/reply.h"
#include "smtpd/restrict_internal.h"

#define TEXT_MAX 250 /* bytes of a probe's outcome in a reply */

/* What differs between sender and recipient. */
struct kind {
    const char *detail;
    int64_t reject_code, defer_code;
    const char *reject_reason, *tempfail_action;
};

static int converse(struct ipc *c, const struct verify_query *q, struct verify_answer *ret)
{
    ipc_send(c, &verify_query_shape, q);
    return ipc_recv(c, &verify_answer_shape, ret);
}

/* Ask verify, once more if a kept connection turns out to be dead. 0, or a negative errno */
static int ask(struct smtpd *s, const struct str *address, struct verify_answer *ret)
{
    const struct params *p = s->sv->params;
    int64_t wait_ms = p->address_verify_poll_count * p->address_verify_poll_delay * 1000;
    struct verify_query q = { .address = *address, .wait_ms = (uint32_t)wait_ms };

    for (unsigned fresh = 0;;) {
        struct ipc *c;
        int r = ipc_pool_get(s->sv->verify, clock_deadline_ms(p->ipc_timeout * 1000), &c);

        if (r < 0)
            return r;
        stream_set_timeout(ipc_stream(c), wait_ms + p->ipc_timeout * 1000);
        r = converse(c, &q, ret);
        if (r == 0) {
            ipc_pool_put(s->sv->verify, c);
            return 0;
        }
        bool repeat = r != -ECANCELED && r != -ETIMEDOUT && (ipc_was_kept(c) || fresh++ == 0);

        ipc_free(c);
        if (!repeat)
            return r;
    }
}

static enum verdict refuse_address(struct smtpd *s, const struct kind *kind, const struct subject *about,
                                   const struct verify_answer *a)
{
    _cleanup_(str_free) struct str why = STR_INIT;
    _cleanup_(str_free) struct str text = STR_INIT;
    bool final = a->status == ADDRESS_UNDELIVERABLE;

    if (*kind->reject_reason) {
        str_add_str(&why, kind->reject_reason);
    } else {
        str_add_str(&why, final ? "undeliverable address: " : "unverified address: ");
        str_add_escaped(&why, str_span(&a->text), TEXT_MAX, STR_UTF8);
    }
    reply_text(&text, about, final ? kind->reject_code : kind->defer_code, kind->detail, str_cstr(&why));
    return final ? restrict_refuse_text(s, str_span(&text))
                 : restrict_tempfail(s, kind->tempfail_action, str_span(&text));
}

static enum verdict verify_address(struct smtpd *s, const struct kind *kind, const struct str *address,
                                   const struct subject *about)
{
    _cleanup_(verify_answer_msg_done) struct verify_answer a = { 0 };
    int r = ask(s, address, &a);

    if (r < 0) {
        log_warn_errno(r, "cannot ask the service %s", s->sv->params->address_verify_service_name);
        a.status = ADDRESS_UNKNOWN;
        str_set(&a.text, span_of("Address verification is not available"));
    }
    return a.status == ADDRESS_DELIVERABLE ? VERDICT_NONE : refuse_address(s, kind, about, &a);
}

enum verdict ask_unverified_sender(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_sender(s, &scratch);
    const struct params *p = s->sv->params;
    const struct kind kind = {
        .detail = "1.7",
        .reject_code = p->unverified_sender_reject_code,
        .defer_code = p->unverified_sender_defer_code,
        .reject_reason = p->unverified_sender_reject_reason,
        .tempfail_action = p->unverified_sender_tempfail_action,
    };

    (void)item;
    return s->sender.len > 0 ? verify_address(s, &kind, &s->sender, &about) : VERDICT_NONE;
}

enum verdict ask_unverified_rcpt(struct smtpd *s, const struct restriction_item *item)
{
    _cleanup_(str_free) struct str scratch = STR_INIT;
    struct subject about = subject_rcpt(s, &scratch);
    const struct params *p = s->sv->params;
    const struct kind kind = {
        .detail = "1.1",
        .reject_code = p->unverified_recipient_reject_code,
        .defer_code = p->unverified_recipient_defer_code,
        .reject_reason = p->unverified_recipient_reject_reason,
        .tempfail_action = p->unverified_recipient_tempfail_action,
    };

    (void)item;
    return verify_address(s, &kind, &s->rcpt, &about);
}

bool restrict_is_probe_sender(const struct smtpd *s)
{
    _cleanup_(str_free) struct str own = STR_INIT;

    route_complete(s->sv->params, span_of(s->sv->params->address_verify_sender), &own);
    return own.len > 0 && span_eq_nocase(str_span(&own), str_span(&s->rcpt));
}
