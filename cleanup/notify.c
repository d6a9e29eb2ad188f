/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.c - the ids of new messages, sent to qmgr over one kept connection
 *
 * The first id of a burst starts a fiber, which runs in the next turn of the
 * loop and takes along what has gathered by then: one write for all. A connection that qmgr has
 * closed meanwhile is known by the failed write, and opened anew once.
 *
 * Runs in: cleanup.
 */
#include "cleanup/notify.h"

#include "base/clock.h"
#include "base/log.h"
#include "ipc/msg_queue.h"

#define NOTIFY_TIMEOUT_MS 5000

static int send_ids(struct notify *n, struct span ids)
{
    struct queue_new msg;

    while (ids.len > 0) {
        struct span id = span_cut(&ids, '\0');

        snprintf(msg.queue_id, sizeof msg.queue_id, SPAN_FMT, SPAN_ARG(id));
        ipc_send(n->qmgr, &queue_new_shape, &msg);
    }
    return ipc_flush(n->qmgr);
}

static int open_connection(struct notify *n)
{
    int r = ipc_connect(n->service, clock_deadline_ms(NOTIFY_TIMEOUT_MS), &n->qmgr);

    if (r == 0)
        stream_set_timeout(ipc_stream(n->qmgr), NOTIFY_TIMEOUT_MS);
    return r;
}

static int connect_and_send(struct notify *n, struct span ids)
{
    int r = open_connection(n);

    return r < 0 ? r : send_ids(n, ids);
}

static void forget_connection(struct notify *n)
{
    ipc_free(n->qmgr);
    n->qmgr = NULL;
}

static void send_burst(void *arg)
{
    struct notify *n = arg;

    while (n->ids.len > 0) {
        _cleanup_(str_free) struct str ids = n->ids; /* new ones gather behind it while we wait */
        int r = -1;

        n->ids = STR_INIT;
        if (n->qmgr)
            r = send_ids(n, str_span(&ids));
        if (r < 0) {
            forget_connection(n);
            r = connect_and_send(n, str_span(&ids));
        }
        if (r < 0) {
            forget_connection(n);
            log_debug("qmgr is not there; it will find new messages when it starts");
        }
    }
    n->sending = false;
}

void notify_open(struct notify *n)
{
    if (open_connection(n) < 0)
        log_debug("qmgr is not there yet");
}

void notify_new_message(struct notify *n, const char *id)
{
    str_add(&n->ids, span_make(id, strlen(id) + 1));
    if (n->sending)
        return;
    n->sending = true;
    fiber_start(send_burst, n);
}
