/* SPDX-License-Identifier: Apache-2.0 */
/*
 * requeue.c - messages that are put back into maildrop/ (postsuper -r)
 *
 * pickup is told, by one notice for all that are moved in a moment. When it cannot be told it finds them at its next
 * wakeup.
 *
 * Runs in: qmgr.
 */
#include "qmgr/requeue.h"

#include "base/clock.h"
#include "base/log.h"

#define CONNECT_TIMEOUT_MS 10000
#define GATHER_MS          20

static void tell_pickup(void *arg)
{
    struct qmgr *q = arg;
    _cleanup_(ipc_free_ptr_) struct ipc *c = NULL;
    const char *service = q->sv->params->pickup_service_name;

    fiber_sleep_until(clock_ms() + GATHER_MS);
    const struct maildrop_notice notice = { .count = q->n_requeued };

    q->n_requeued = 0;
    int r = ipc_connect(service, clock_deadline_ms(CONNECT_TIMEOUT_MS), &c);

    if (r == 0) {
        ipc_send(c, &maildrop_notice_shape, &notice);
        r = ipc_flush(c);
    }
    if (r < 0)
        log_warn_errno(r, "cannot tell the service %s of requeued mail; it will find it by itself", service);
}

int requeue_file(struct qmgr *q, enum queue_place from, const char *id)
{
    int r = queue_move(&q->dirs, from, QUEUE_MAILDROP, id);

    if (r == 0 && q->n_requeued++ == 0)
        fiber_start(tell_pickup, q);
    return r;
}
