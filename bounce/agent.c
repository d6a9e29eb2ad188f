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
#include "mail/status.h"
#include "queue/delivery_line.h"

struct agent {
    struct server *sv;
    struct ipc *c;
    agent_judge *judge;
};

static int serve_rcpt(const struct agent *a, const struct deliver *d, const struct delivery_times *since,
                      struct outcome *o)
{
    _cleanup_(deliver_rcpt_msg_done) struct deliver_rcpt rcpt = { 0 };
    _cleanup_(str_free) struct str line = STR_INIT;
    struct delivery_times times = *since;
    int r = ipc_recv(a->c, &deliver_rcpt_shape, &rcpt);

    if (r < 0)
        return r;
    o->number = rcpt.number;
    times.done_us = clock_real_us();
    delivery_line_of(&line, d, &rcpt, o, &times, a->sv->params->delay_logging_resolution_limit);
    log_info("%s", line.data);
    ipc_send(a->c, &outcome_shape, o);
    return 0;
}

static int serve(struct agent *a)
{
    _cleanup_(deliver_msg_done) struct deliver d = { 0 };
    _cleanup_(outcome_msg_done) struct outcome o = { 0 };
    const struct deliver_done done = { 0 };
    _cleanup_close_ int fd = -1;
    int r = ipc_recv(a->c, &deliver_shape, &d);

    if (r < 0)
        return r;
    if (ipc_recv_fd(a->c, &fd) < 0)
        return -EPROTO;
    const struct delivery_times since = { .handoff_us = clock_real_us() };

    str_add_str(&o.relay, "none");
    a->judge(a->sv, &d, &o);
    for (uint32_t i = 0; i < d.n_rcpt; i++) {
        r = serve_rcpt(a, &d, &since, &o);
        if (r < 0)
            return r;
    }
    ipc_send(a->c, &deliver_done_shape, &done);
    return 0;
}

void agent_answer(struct outcome *ret, enum outcome_status status, const struct deliver *request, const char *text)
{
    static const char classes[] = { [OUTCOME_SENT] = '2', [OUTCOME_DEFERRED] = '4', [OUTCOME_BOUNCED] = '5' };
    struct span given = str_span(&request->nexthop);
    size_t n = status_dsn_parse(given, ret->dsn);

    if (n > 0)
        given = span_skip_ws(span_from(given, n));
    else
        snprintf(ret->dsn, sizeof ret->dsn, "5.0.0");
    ret->dsn[0] = classes[status];
    ret->status = status;
    str_set(&ret->text, span_first(given.len > 0 ? given : span_of(text), 1024));
}

int agent_start(struct server *sv)
{
    (void)sv;
    return 0;
}

void agent_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    const struct agent_program *program = CONTAINER_OF(sv->daemon, struct agent_program, daemon);
    struct agent a = { .sv = sv, .c = ipc_new(client), .judge = program->judge };
    struct span type;
    int r = 0;

    while (r == 0 && ipc_wait_request(a.c, &type) == 0)
        r = serve(&a);
    if (r == -EPROTO)
        log_warn("malformed request from uid %u", (unsigned)peer->uid);
    ipc_free(a.c);
}
