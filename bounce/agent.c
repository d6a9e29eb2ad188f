/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.c - a delivery agent that delivers nothing: one answer for all recipients of a request
 *
 * Runs in: error, discard.
 */
#include "bounce/agent.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/delivery_line.h"

struct agent {
    struct server *sv;
    struct ipc *c;
    void (*judge)(const struct server *sv, const struct deliver *request, struct verdict *ret);
    int64_t handoff_us;
};

static void deliver_done_with(struct deliver *d)
{
    str_free(&d->nexthop);
    str_free(&d->sender);
    str_free(&d->dsn_envid);
}

static void rcpt_done_with(struct deliver_rcpt *r)
{
    str_free(&r->address);
    str_free(&r->orig);
    str_free(&r->dsn_orcpt);
}

static void verdict_done(struct verdict *v)
{
    str_free(&v->text);
}

static void log_outcome(const struct agent *a, const struct deliver *d,
                        const struct deliver_rcpt *r, const struct verdict *v)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    struct delivery_line l = {
        .queue_id = d->queue_id,
        .to = str_span(&r->address),
        .orig = str_span(&r->orig),
        .relay = SPAN("none"),
        .times = { .arrival_us = (int64_t)d->arrival_us, .active_us = (int64_t)d->active_us,
                   .handoff_us = a->handoff_us, .done_us = clock_real_us() },
        .resolution = (int)a->sv->params->delay_logging_resolution_limit,
        .dsn = v->dsn,
        .status = outcome_status_name(v->status),
        .text = str_span(&v->text),
    };

    delivery_line_add(&line, &l);
    log_info("%s", line.data);
}

static int serve_rcpt(const struct agent *a, const struct deliver *d, const struct verdict *v)
{
    static char none[] = "none";
    _cleanup_(rcpt_done_with) struct deliver_rcpt rcpt = { 0 };
    int r = ipc_recv(a->c, &deliver_rcpt_shape, &rcpt);

    if (r < 0)
        return r;
    struct outcome o = {
        .number = rcpt.number,
        .status = v->status,
        .text = v->text,
        .relay = { .data = none, .len = sizeof none - 1 },
    };

    memcpy(o.dsn, v->dsn, sizeof o.dsn);
    log_outcome(a, d, &rcpt, v);
    ipc_send(a->c, &outcome_shape, &o);
    return 0;
}

static int serve(struct agent *a)
{
    _cleanup_(deliver_done_with) struct deliver d = { 0 };
    _cleanup_(verdict_done) struct verdict v = { 0 };
    struct deliver_done done = { 0 };
    _cleanup_close_ int fd = -1;
    int r = ipc_recv(a->c, &deliver_shape, &d);

    if (r < 0)
        return r;
    if (ipc_recv_fd(a->c, &fd) < 0)
        return -EPROTO;
    a->handoff_us = clock_real_us();
    a->judge(a->sv, &d, &v);
    for (uint32_t i = 0; i < d.n_rcpt; i++) {
        r = serve_rcpt(a, &d, &v);
        if (r < 0)
            return r;
    }
    ipc_send(a->c, &deliver_done_shape, &done);
    return 0;
}

void agent_session(struct server *sv, struct stream *client, const struct peer *peer,
                   void (*judge)(const struct server *sv, const struct deliver *request,
                                 struct verdict *ret))
{
    struct agent a = { .sv = sv, .c = ipc_new(client), .judge = judge };
    struct span type;
    int r = 0;

    while (r == 0 && ipc_wait_request(a.c, &type) == 0)
        r = serve(&a);
    if (r == -EPROTO)
        log_warn("malformed request from uid %u", (unsigned)peer->uid);
    ipc_free(a.c);
}
