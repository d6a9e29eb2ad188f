/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c - telling verify what became of an address probe
 *
 * A probe is tried once: a temporary failure is an answer as well. Nobody is sent a report of it.
 *
 * Runs in: qmgr.
 */
#include "qmgr/probe.h"

#include "base/clock.h"
#include "base/log.h"
#include "ipc/msg_verify.h"

#define CONNECT_TIMEOUT_MS 30000

static enum address_status status_of(const struct queue_rcpt *r)
{
    return r->state == RCPT_SENT      ? ADDRESS_DELIVERABLE
           : r->state == RCPT_BOUNCED ? ADDRESS_UNDELIVERABLE
                                      : ADDRESS_DEFERRED;
}

static void send_outcome(struct ipc *c, const struct queue_rcpt *r)
{
    struct verify_update u = {
        .address = str_borrow(r->orig ? r->orig : r->address),
        .status = status_of(r),
        .text = str_borrow(r->text ? r->text : "delivery could not be tried"),
    };

    ipc_send(c, &verify_update_shape, &u);
}

void probe_report(const struct active *a)
{
    _cleanup_(ipc_free_ptr_) struct ipc *c = NULL;
    const char *service = a->q->sv->params->address_verify_service_name;
    int r = ipc_connect(service, clock_deadline_ms(CONNECT_TIMEOUT_MS), &c);

    for (size_t i = 0; r == 0 && i < a->env.n_rcpts; i++)
        send_outcome(c, &a->env.rcpts[i]);
    if (r == 0)
        r = ipc_flush(c);
    if (r < 0)
        log_warn_errno(r, "%s: cannot tell the service %s the outcome of a probe", a->m->id, service);
}
