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
    bool superuser;
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
    return list_serve(rq->q, rq->c);
}

static int serve_command(struct request *rq)
{
    return control_serve(rq->q, rq->c, rq->superuser);
}

static const struct {
    struct span type;
    int (*serve)(struct request *rq);
} requests[] = {
    { SPAN("queue_new"),     serve_new },
    { SPAN("queue_list"),    serve_list },
    { SPAN("queue_command"), serve_command },
};

static int serve(struct request *rq, struct span type)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        if (span_eq(type, requests[i].type))
            return requests[i].serve(rq);
    return -EPROTO;
}

void qmgr_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    struct request rq = {
        .q = sv->state,
        .c = ipc_new(client),
        .superuser = daemon_is_superuser(sv, peer->uid),
    };
    struct span type;
    int r = 0;

    while (r == 0 && ipc_wait_request(rq.c, &type) == 0)
        r = serve(&rq, type);
    /* A cleanup may have been killed between a rename into new/ and the notice. */
    if (rq.superuser && !rq.q->stopping)
        scan_new(rq.q);
    if (r == -EPROTO)
        log_warn("malformed request from uid %u", (unsigned)peer->uid);
    ipc_free(rq.c);
}
