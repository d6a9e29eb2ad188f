/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - qmgr's requests for reports (ipc/msg_deliver.h)
 *
 * What to report stands in the journal of the queue file whose descriptor came with the request; bounce can
 * name no file itself.
 *
 * Runs in: bounce. The queue file is read with mistrust: what a stranger wrote is in it.
 */
#include "bounce/session.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "bounce/compose.h"
#include "bounce/submit.h"

static void answer(struct report_done *done, enum submit_status status, const char *text)
{
    done->status = status;
    snprintf(done->text, sizeof done->text, "%s", text);
}

static void submit(struct server *sv, const struct notice *n, int fd, struct report_done *done)
{
    const struct bounce *b = sv->state;
    struct submit_result res = { 0 };
    int r = notice_submit(b->cleanup, n, fd, &res);

    if (r < 0) {
        answer(done, SUBMIT_TEMPORARY, strerror(-r));
        log_warn_errno(r, "%s: cannot hand a notification to %s", n->e->id,
                       sv->params->cleanup_service_name);
        return;
    }
    answer(done, res.status, res.text);
    snprintf(done->queue_id, sizeof done->queue_id, "%s", res.queue_id);
    if (res.status == SUBMIT_OK) {
        log_info("%s: sender %s notification: %s", n->e->id, notice_name(n->kind), res.queue_id);
        return;
    }
    _cleanup_(str_free) struct str to = STR_INIT;

    str_add_escaped(&to, span_of(n->e->sender), SUBMIT_ADDRESS_MAX, STR_UTF8);
    log_warn("%s: sender notification failed to <%s>: %s", n->e->id, str_cstr(&to), res.text);
}

static void report(struct server *sv, const struct report *request, int fd,
                   struct report_done *done)
{
    _cleanup_(queue_envelope_done) struct queue_envelope e = { 0 };
    _cleanup_(str_free) struct str why = STR_INIT;
    struct notice n;
    int r = queue_read(fd, request->queue_id, &queue_default_limits, &e, &why);

    if (r < 0) {
        answer(done, SUBMIT_TEMPORARY, "cannot read the queue file");
        log_warn_errno(r, "%s: cannot read the queue file to report on %s", request->queue_id,
                       str_cstr(&why));
        return;
    }
    notice_init(&n, sv->params, &e, request->kind, clock_real());
    if (!e.sender[0])
        answer(done, SUBMIT_PERMANENT, "the message is itself a notification");
    else if (notice_count(&n) == 0)
        answer(done, SUBMIT_TEMPORARY, "the journal names no recipient to report on");
    else
        submit(sv, &n, fd, done);
}

static int serve(struct server *sv, struct ipc *c)
{
    struct report request = { 0 };
    struct report_done done = { 0 };
    _cleanup_close_ int fd = -1;
    int r = ipc_recv(c, &report_shape, &request);

    if (r < 0)
        return r;
    if (ipc_recv_fd(c, &fd) < 0 || !queue_id_valid(span_of(request.queue_id)))
        return -EPROTO;
    report(sv, &request, fd, &done);
    ipc_send(c, &report_done_shape, &done);
    return 0;
}

void bounce_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    struct ipc *c = ipc_new(client);
    struct span type;
    int r = 0;

    while (r == 0 && ipc_wait_request(c, &type) == 0)
        r = serve(sv, c);
    if (r == -EPROTO)
        log_warn("malformed request from uid %u", (unsigned)peer->uid);
    ipc_free(c);
}
