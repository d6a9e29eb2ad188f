/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.c - asking bounce to tell the sender
 *
 * Runs in: qmgr.
 */
#include "qmgr/report.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/log.h"
#include "qmgr/active.h"
#include "qmgr/message.h"

#define CONNECT_TIMEOUT_MS 30000

/* A descriptor for this request alone: bounce's lock is upon it, and ends when bounce and cleanup have closed it, or been killed. */
static int converse(struct active *a, struct ipc *c, const struct report *request, struct report_done *ret)
{
    message_keep(a->q, a->m);
    _cleanup_close_ int fd = queue_open(&a->q->dirs, message_place(a->m), a->m->id, O_RDWR);

    if (fd < 0)
        return fd;
    ipc_send_fd(c, fd);
    ipc_send(c, &report_shape, request);
    return ipc_recv(c, &report_done_shape, ret);
}

static int exchange(struct active *a, const struct report *request, struct report_done *ret)
{
    struct qmgr *q = a->q;

    for (unsigned fresh = 0;;) {
        struct ipc *c;
        int r = ipc_pool_get(q->bounce, clock_deadline_ms(CONNECT_TIMEOUT_MS), &c);

        if (r < 0)
            return r;
        stream_set_timeout(ipc_stream(c), q->sv->params->ipc_timeout * 1000);
        r = converse(a, c, request, ret);
        if (r == 0) {
            ipc_pool_put(q->bounce, c);
            return 0;
        }
        bool repeat = r != -ECANCELED && r != -ETIMEDOUT && (ipc_was_kept(c) || fresh++ == 0);

        ipc_free(c);
        if (!repeat)
            return r;
    }
}

int report_send(struct active *a, enum report_kind kind)
{
    struct report request = { .kind = kind };
    struct report_done done = { 0 };
    const char *id = a->m->id;

    snprintf(request.queue_id, sizeof request.queue_id, "%s", id);
    int r = exchange(a, &request, &done);

    if (r < 0)
        return log_warn_errno(
            r, "%s: cannot reach the service %s to notify the sender, will try again", id,
            a->q->sv->params->bounce_service_name);
    switch ((enum submit_status)done.status) {
    case SUBMIT_OK:
        return 0;
    case SUBMIT_TEMPORARY:
        log_warn("%s: notification of the sender was not accepted, will try again: %s", id,
                 done.text);
        return -EAGAIN;
    case SUBMIT_PERMANENT:
        log_warn("%s: notification of the sender was refused, giving up: %s", id, done.text);
        return 0;
    }
    return -EPROTO;
}
