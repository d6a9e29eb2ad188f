/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - qmgr's requests, one after another: one command for all recipients of a request
 *
 * All recipients share the fate that the command's exit status tells.
 *
 * Runs in: pipe. qmgr is trusted; addresses and the message are not.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pipe/pipe.h"
#include "queue/delivery_line.h"

static void request_done(struct pipe_request *q)
{
    for (uint32_t i = 0; q->rcpts && i < q->d.n_rcpt; i++)
        deliver_rcpt_msg_done(&q->rcpts[i]);
    free(q->rcpts);
    deliver_msg_done(&q->d);
    queue_envelope_done(&q->e);
    if (q->fd >= 0)
        close(q->fd);
}

static void set(struct outcome *o, enum outcome_status status, const char *dsn, const char *text)
{
    o->status = status;
    snprintf(o->dsn, sizeof o->dsn, "%s", dsn);
    str_set(&o->text, span_of(text));
}

/* Can the command run for this request at all? */
static bool acceptable(const struct pipe_request *q, struct outcome *o)
{
    const struct pipe_config *c = q->config;
    _cleanup_(str_free) struct str text = STR_INIT;

    if (c->size > 0 && q->d.content_size > c->size) {
        str_addf(&text, "message size %llu exceeds size limit %llu of transport %s",
                 (unsigned long long)q->d.content_size, (unsigned long long)c->size, q->sv->service);
        set(o, OUTCOME_BOUNCED, "5.2.3", str_cstr(&text));
        return false;
    }
    if ((c->flags & (PIPE_DELIVERED_TO | PIPE_ORIGINAL_TO)) && q->d.n_rcpt > 1) {
        log_warn("pipe flag D or O requires %s_destination_recipient_limit = 1", q->sv->service);
        set(o, OUTCOME_DEFERRED, "4.3.5", "mail system configuration error");
        return false;
    }
    return true;
}

static void run(const struct pipe_request *q, struct outcome *o)
{
    _cleanup_(argv_free) char **argv = expand_argv(q);
    struct command_end end = { .output = STR_INIT };
    int r = command_run(q, argv, &end);

    if (r < 0) {
        log_warn_errno(r, "%s: cannot start the command %s", q->d.queue_id, argv[0]);
        set(o, OUTCOME_DEFERRED, "4.3.0", "cannot start the command");
    } else {
        status_judge(&end, q->sv->service, argv[0], o);
    }
    o->fate = q->config->flags & PIPE_FINAL ? FATE_DELIVERED : FATE_RELAYED;
    str_free(&end.output);
}

static void deliver(struct pipe_request *q, struct outcome *o)
{
    int r = 0;

    str_add_str(&o->relay, q->sv->service);
    if (!acceptable(q, o))
        return;
    if (q->d.flags & SUBMIT_PROBE) {
        set(o, OUTCOME_SENT, "2.0.0", "delivers to command");
        return;
    }
    if (expand_needs_envelope(q->config->argv))
        r = queue_read(q->fd, q->d.queue_id, &queue_default_limits, &q->e, NULL);
    if (r < 0) {
        log_warn_errno(r, "%s: cannot read the queue file", q->d.queue_id);
        set(o, OUTCOME_DEFERRED, "4.3.0", "cannot read the queue file");
        return;
    }
    run(q, o);
}

static void answer(const struct pipe_request *q, struct outcome *o, struct ipc *c)
{
    const struct deliver_done done = { .reason = STR_INIT };
    const struct delivery_times times = {
        .handoff_us = q->handoff_us, .setup_us = q->handoff_us, .done_us = clock_real_us(),
    };

    for (uint32_t i = 0; i < q->d.n_rcpt; i++) {
        _cleanup_(str_free) struct str line = STR_INIT;

        o->number = q->rcpts[i].number;
        delivery_line_of(&line, &q->d, &q->rcpts[i], o, &times, q->sv->params->delay_logging_resolution_limit);
        log_info("%s", str_cstr(&line));
        ipc_send(c, &outcome_shape, o);
    }
    ipc_send(c, &deliver_done_shape, &done);
}

static int serve(struct server *sv, struct ipc *c)
{
    _cleanup_(request_done) struct pipe_request q = { .sv = sv, .config = sv->state, .fd = -1 };
    _cleanup_(outcome_msg_done) struct outcome o = { 0 };
    int r = ipc_recv(c, &deliver_shape, &q.d);

    if (r < 0)
        return r;
    if (ipc_recv_fd(c, &q.fd) < 0 || q.d.n_rcpt == 0)
        return -EPROTO;
    q.rcpts = mem_new_n(struct deliver_rcpt, q.d.n_rcpt);
    for (uint32_t i = 0; i < q.d.n_rcpt && r == 0; i++)
        r = ipc_recv(c, &deliver_rcpt_shape, &q.rcpts[i]);
    if (r < 0)
        return r;
    q.handoff_us = clock_real_us();
    deliver(&q, &o);
    if (fiber_cancelled())
        return -ECANCELED; /* the command was stopped with us: no outcome, it is tried again */
    answer(&q, &o, c);
    return 0;
}

void pipe_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    _cleanup_(ipc_free_ptr_) struct ipc *c = ipc_new(client);
    struct span type;
    int r = 0;

    while (r == 0 && ipc_wait_request(c, &type) == 0)
        r = serve(sv, c);
    if (r == -EPROTO)
        log_warn("malformed request from uid %u", (unsigned)peer->uid);
}
