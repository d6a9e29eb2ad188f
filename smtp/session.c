/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - qmgr's requests, one after another (ipc/msg_deliver.h)
 *
 * Runs in: smtp.
 */
#include "smtp/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "smtp/smtp.h"

static void delivery_done(struct delivery *d)
{
    for (uint32_t i = 0; d->rcpts && i < d->request.n_rcpt; i++) {
        outcome_msg_done(&d->rcpts[i].result);
        deliver_rcpt_msg_done(&d->rcpts[i].r);
    }
    free(d->rcpts);
    deliver_msg_done(&d->request);
    str_free(&d->last.text);
    nexthop_done(&d->hop);
    str_free(&d->hop_text);
    tls_site_done(&d->tls);
    str_free(&d->key);
    str_free(&d->terms);
    if (d->fd >= 0)
        close(d->fd);
}

static int receive(struct ipc *c, struct delivery *d)
{
    int r = ipc_recv(c, &deliver_shape, &d->request);

    if (r == 0)
        r = ipc_recv_fd(c, &d->fd);
    if (r < 0)
        return r;
    d->rcpts = mem_new_n(struct delivery_rcpt, d->request.n_rcpt);
    for (uint32_t i = 0; r == 0 && i < d->request.n_rcpt; i++)
        r = ipc_recv(c, &deliver_rcpt_shape, &d->rcpts[i].r);
    return r;
}

static void log_outcome(const struct delivery *d, const struct delivery_rcpt *r)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    struct delivery_line l;

    delivery_line_fill(&l, &d->request, &r->r, &r->result, &d->times,
                       d->client->params->delay_logging_resolution_limit);
    l.conn_use = r->conn_use;
    delivery_line_add(&line, &l);
    log_info("%s", str_cstr(&line));
}

static int answer(struct ipc *c, struct delivery *d)
{
    struct deliver_done done = { .dead = d->dead, .reason = STR_INIT };

    for (uint32_t i = 0; i < d->request.n_rcpt; i++) {
        d->rcpts[i].result.number = d->rcpts[i].r.number;
        log_outcome(d, &d->rcpts[i]);
        ipc_send(c, &outcome_shape, &d->rcpts[i].result);
    }
    if (d->dead) {
        memcpy(done.dsn, d->last.dsn, sizeof done.dsn);
        str_add(&done.reason, span_first(str_span(&d->last.text), 1024));
    }
    ipc_send(c, &deliver_done_shape, &done);
    str_free(&done.reason);
    return ipc_flush(c);
}

static int serve(struct server *sv, struct ipc *c)
{
    _cleanup_(delivery_done) struct delivery d = { .client = sv->state, .fd = -1 };
    int r = receive(c, &d);

    if (r < 0)
        return r;
    d.times.handoff_us = clock_real_us();
    delivery_run(&d);
    d.times.done_us = clock_real_us();
    return answer(c, &d);
}

void smtp_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    struct ipc *c = ipc_new(client);
    struct span type;
    int r = 0;

    (void)peer;
    while (r == 0 && ipc_wait_request(c, &type) == 0)
        r = serve(sv, c);
    ipc_free(c);
}
