/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - serving cleanup, postqueue, postsuper and sendmail -q (ipc/msg_queue.h)
 *
 * A session is a loop over requests on a kept connection.
 *
 * Runs in: qmgr. The socket is public: any local user may connect, and is trusted with nothing but its own uid.
 */
#include "qmgr/session.h"

#include <errno.h>

#include "base/log.h"
#include "qmgr/control.h"
#include "qmgr/list.h"
#include "qmgr/message.h"
#include "qmgr/scan.h"

struct request {
    struct qmgr *q;
    struct ipc *c;
    uid_t uid;
    bool superuser;
    bool front;
};

/* A new message. There is no answer: if the notice is lost, the next look into new/ finds the file. */
static int serve_new(struct request *rq)
{
    struct queue_new notice = { 0 };
    int r = ipc_recv(rq->c, &queue_new_shape, &notice);

    if (r < 0)
        return r;
    if (!rq->superuser || !queue_id_valid(span_of(notice.queue_id)))
        return -EPROTO;
    message_accept(rq->q, notice.queue_id);
    return 0;
}

static int serve_list(struct request *rq)
{
    return list_serve(rq->q, rq->c, rq->uid);
}

static int serve_command(struct request *rq)
{
    return control_serve(rq->q, rq->c, rq->uid);
}

static int serve_flush_site(struct request *rq)
{
    struct queue_flush_site flush = { 0 };
    struct queue_command_done done = { .status = SUBMIT_OK };
    int r = ipc_recv(rq->c, &queue_flush_site_shape, &flush);

    if (r < 0)
        return r;
    done.count = control_flush_site(rq->q, span_of(flush.site));
    ipc_send(rq->c, &queue_command_done_shape, &done);
    return ipc_flush(rq->c);
}

static const struct {
    struct span type;
    bool for_fronts;    /* smtpd may ask this: one that was taken over learns nothing of the queue */
    int (*serve)(struct request *rq);
} requests[] = {
    { SPAN("queue_new"),        false, serve_new },
    { SPAN("queue_list"),       false, serve_list },
    { SPAN("queue_command"),    false, serve_command },
    { SPAN("queue_flush_site"), true,  serve_flush_site },
};

static int serve(struct request *rq, struct span type)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        if (span_eq(type, requests[i].type) && (requests[i].for_fronts || !rq->front))
            return requests[i].serve(rq);
    return -EPROTO;
}

void qmgr_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    struct request rq = {
        .q = sv->state,
        .c = ipc_new(client),
        .uid = peer->uid,
        .superuser = daemon_is_superuser(sv, peer->uid),
        .front = daemon_is_front(sv, peer->uid),
    };
    struct span type;
    int r = 0;

    while (r == 0 && ipc_wait_request(rq.c, &type) == 0)
        r = serve(&rq, type);
    /* A cleanup may have been killed before its notice of a file in new/. */
    if (rq.superuser && !rq.q->stopping)
        scan_new(rq.q);
    if (r == -EPROTO)
        log_warn("malformed request from uid %u", (unsigned)peer->uid);
    ipc_free(rq.c);
}
