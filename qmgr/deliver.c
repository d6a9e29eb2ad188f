/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deliver.c - deliveries in flight: one fiber each, over kept connections to the agents
 *
 * A fiber that has ended a delivery takes the next one of its transport, so that under load no fiber is
 * started and none is woken for nothing. An agent may die at any moment: recipients without an
 * outcome are tried again soon, which at worst delivers a duplicate, never loses one.
 *
 * Runs in: qmgr. Agents are mistrusted: an outcome counts once, for a recipient of this delivery.
 */
#include "qmgr/deliver.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "qmgr/active.h"
#include "qmgr/clock.h"
#include "qmgr/settle.h"

#define CONNECT_TIMEOUT_MS 30000
#define KEPT_CONNECTIONS   64 /* idle ones per transport */

struct delivery {
    struct qmgr *q;
    struct sched_transport *transport;
    struct sched_task task;
    struct active *a;
    bool *answered;             /* by place in the task */
    size_t n_answered;
    bool put_off;               /* some recipient was deferred */
    uint64_t deadline;          /* TRANSPORT_time_limit */
    struct deliver_done done;   /* what the agent says of the destination */
};

/* ---- the conversation ---- */

static void send_request(const struct delivery *dv, struct ipc *c, int fd)
{
    const struct queue_envelope *e = &dv->a->env;
    struct deliver d = {
        .nexthop = str_borrow(dv->task.job->dest->nexthop),
        .sender = str_borrow(e->sender),
        .flags = e->flags,
        .dsn_ret = e->dsn_ret,
        .dsn_envid = str_borrow(e->dsn_envid),
        .content_offset = e->content_offset,
        .content_size = e->content_size,
        .arrival_us = (uint64_t)e->arrival_us,
        .active_us = (uint64_t)dv->a->active_us,
        .attempt = e->attempts + 1,
        .n_rcpt = (uint32_t)dv->task.n,
    };

    snprintf(d.queue_id, sizeof d.queue_id, "%s", e->id);
    snprintf(d.transport, sizeof d.transport, "%s", dv->transport->name);
    ipc_send_fd(c, fd);
    ipc_send(c, &deliver_shape, &d);
    for (size_t i = 0; i < dv->task.n; i++) {
        uint32_t number = dv->task.job->rcpts[dv->task.first + i];
        const struct queue_rcpt *r = &e->rcpts[number];
        struct deliver_rcpt rcpt = {
            .number = number,
            .address = str_borrow(r->address),
            .orig = str_borrow(r->orig),
            .dsn_orcpt = str_borrow(r->dsn_orcpt),
            .dsn_notify = r->dsn_notify,
        };
        ipc_send(c, &deliver_rcpt_shape, &rcpt);
    }
}

/* The place in the task of a recipient that has no outcome yet, or -1. Answers mostly come in order. */
static ptrdiff_t place_of(const struct delivery *dv, uint32_t number)
{
    const uint32_t *rcpts = &dv->task.job->rcpts[dv->task.first];

    for (size_t i = 0; i < dv->task.n; i++) {
        size_t place = (dv->n_answered + i) % dv->task.n;

        if (rcpts[place] == number)
            return dv->answered[place] ? -1 : (ptrdiff_t)place;
    }
    return -1;
}

static int recv_outcome(struct delivery *dv, struct ipc *c)
{
    _cleanup_(outcome_msg_done) struct outcome o = { 0 };
    int r = ipc_recv(c, &outcome_shape, &o);

    if (r < 0)
        return r;
    ptrdiff_t place = place_of(dv, o.number);

    if (place < 0)
        return -EPROTO;
    dv->answered[place] = true;
    dv->n_answered++;
    dv->put_off |= o.status == OUTCOME_DEFERRED;
    settle_outcome(dv->a, &o);
    return 0;
}

/* For the next wait: ipc_timeout, or what is left of the delivery's time. */
static void set_timeout(const struct delivery *dv, struct ipc *c)
{
    int64_t ms = dv->q->sv->params->ipc_timeout * 1000;
    uint64_t now = clock_ms();

    if (dv->deadline > 0 && dv->deadline < now + (uint64_t)ms)
        ms = dv->deadline > now ? (int64_t)(dv->deadline - now) : 1;
    stream_set_timeout(ipc_stream(c), ms);
}

/* The whole exchange. 0; -EPROTO the agent talks nonsense; or the connection's error. */
static int converse(struct delivery *dv, struct ipc *c, int fd)
{
    static const struct span outcome = SPAN("outcome");
    struct span type;

    set_timeout(dv, c);
    send_request(dv, c, fd);
    for (;;) {
        int r = ipc_peek_type(c, &type);

        if (r < 0)
            return r;
        if (!span_eq(type, outcome))
            break;
        r = recv_outcome(dv, c);
        if (r < 0)
            return r;
        if (dv->deadline > 0)
            set_timeout(dv, c);
    }
    int r = ipc_recv(c, &deliver_done_shape, &dv->done);

    return r == 0 && dv->n_answered < dv->task.n ? -EPROTO : r;
}

/*
 * Over a kept connection, else a new one. A kept one may lead to a process that has retired since, and a new one to a
 * process that was about to: an attempt that got no answer at all is repeated, on a new one once.
 * 0; -EHOSTUNREACH: no agent could be reached; -EACCES: there is no such service; else the error of a connection on which the agent died.
 */
static int reach_and_converse(struct delivery *dv, int fd)
{
    for (unsigned fresh = 0;;) {
        struct ipc *c;
        int r = ipc_pool_get(dv->transport->pool, clock_deadline_ms(CONNECT_TIMEOUT_MS), &c);

        if (r < 0) {
            if (r == -ECANCELED)
                return r;
            if (r == -EACCES) {
                log_warn("%s: no service %s that delivers mail in master.cf", dv->a->m->id,
                         dv->transport->name);
                return r;
            }
            log_warn_errno(r, "cannot connect to the service %s", dv->transport->name);
            return -EHOSTUNREACH;
        }
        r = converse(dv, c, fd);
        if (r == 0) {
            ipc_pool_put(dv->transport->pool, c);
            return 0;
        }
        bool repeat = dv->n_answered == 0 && r != -ECANCELED && r != -ETIMEDOUT &&
                      (ipc_was_kept(c) || fresh++ == 0);

        ipc_free(c);
        if (repeat)
            continue;
        if (r == -ETIMEDOUT && dv->deadline > 0 && clock_ms() >= dv->deadline) {
            log_warn("%s: the delivery through %s took longer than %s_time_limit, trying again later",
                     dv->a->m->id, dv->transport->name, dv->transport->name);
            return -ETIMEDOUT;
        }
        return r == -ECANCELED
                   ? r
                   : log_warn_errno(r,
                                    "%s: the delivery agent %s ended within a delivery, "
                                    "trying again soon",
                                    dv->a->m->id, dv->transport->name);
    }
}

/* ---- one delivery ---- */

/* What the end of the conversation means for the scheduler and for recipients without an outcome. */
static enum sched_feedback judge(struct delivery *dv, int r, struct span *ret_reason)
{
    *ret_reason = str_span(&dv->done.reason);
    if (r == 0)
        return dv->done.dead ? SCHED_DEAD : dv->put_off ? SCHED_RELUCTANT : SCHED_ANSWERED;
    if (r != -EHOSTUNREACH && r != -EACCES)
        return SCHED_UNKNOWN;
    *ret_reason = span_of("mail transport unavailable");
    memcpy(dv->done.dsn, "4.3.0", sizeof "4.3.0");
    return r == -EACCES ? SCHED_NO_SERVICE : SCHED_NO_TRANSPORT;
}

/* Move the recipients of the task that have no outcome to the front of it; how many. */
static size_t unanswered(const struct delivery *dv)
{
    uint32_t *rcpts = &dv->task.job->rcpts[dv->task.first];
    size_t n = 0;

    for (size_t i = 0; i < dv->task.n; i++) {
        if (dv->answered[i])
            continue;
        uint32_t number = rcpts[i];

        rcpts[i] = rcpts[n];
        rcpts[n++] = number;
    }
    return n;
}

/* Nobody has seen these recipients: a new job for them waits until the transport is back. */
static void requeue(struct delivery *dv, const uint32_t *rcpts, size_t n)
{
    struct sched_job *old = dv->task.job;
    struct sched_job *j =
        sched_job_new(dv->transport, old->dest->node.key, span_of(old->dest->nexthop),
                      active_priority(dv->a), dv->a);
    uint64_t now = clock_ms();

    list_push_back(&dv->a->jobs, &j->owned);
    dv->a->pending++;
    for (size_t i = 0; i < n; i++)
        sched_job_add_rcpt(j, rcpts[i]);
    if (dv->a->m->want != WANT_NOTHING)
        active_job_done(dv->a, j); /* recalled */
    else if (sched_job_queue(j, now) < 0)
        active_job_stuck(dv->a, j, sched_trouble(j->dest, now));
}

/* Jobs that wait for a destination or transport just suspended are given back to their messages. */
static void release_stuck(struct sched_transport *t, struct sched_dest *d)
{
    uint64_t now = clock_ms();
    struct sched_job *j;

    while ((j = sched_take_stuck(d, now)))
        active_job_stuck(j->owner, j, sched_trouble(d, now));
    while ((j = sched_take_stuck_transport(t, now)))
        active_job_stuck(j->owner, j, &t->health);
}

static void after(struct delivery *dv, int r)
{
    struct sched_job *j = dv->task.job;
    struct sched_dest *d = j->dest;
    struct active *a = dv->a;
    struct span reason;
    enum sched_feedback feedback = judge(dv, r, &reason);
    size_t n = unanswered(dv);
    const uint32_t *rest = &j->rcpts[dv->task.first];

    sched_task_done(&dv->task, feedback, dv->done.dsn, reason, clock_ms());
    a->in_flight--;
    settle_journal(a, rest + n, dv->task.n - n);
    if (r == -ECANCELED)
        return; /* the process ends: the file in cur/ is all that counts now */
    if (feedback == SCHED_NO_TRANSPORT || feedback == SCHED_NO_SERVICE)
        requeue(dv, rest, n);
    else if (n > 0)
        settle_fault(a, rest, n, "4.3.0", "unknown mail transport error");
    if (d->health.suspended_until > 0 || dv->transport->health.suspended_until > 0) {
        clock_wake_at(dv->q, sched_next_wake(&dv->q->sched));
        j->tasks++; /* keeps j and d while others go */
        release_stuck(dv->transport, d);
        j->tasks--;
    }
    if (j->tasks == 0 && sched_job_rest(j) == 0)
        active_job_done(a, j);
}

static void deliver_task(struct delivery *dv)
{
    bool few[16] = { false };
    _cleanup_free_ bool *many = NULL;
    int fd = active_fd(dv->a);

    dv->answered = few;
    if (dv->task.n > ARRAY_LEN(few))
        dv->answered = many = mem_calloc(dv->task.n, sizeof *many);
    dv->n_answered = 0;
    dv->put_off = false;
    dv->deadline = dv->transport->limits.delivery_ms;
    if (dv->deadline > 0)
        dv->deadline += clock_ms();
    dv->done = (struct deliver_done){ 0 };
    if (fd < 0)
        log_warn_errno(fd, "%s: cannot open queue file for delivery, trying again soon",
                       dv->a->m->id);
    after(dv, fd < 0 ? -EIO : reach_and_converse(dv, fd));
    str_free(&dv->done.reason);
}

/* A delay between deliveries has begun: its end is an event. */
static void mind_delays(struct qmgr *q, const struct sched_transport *t)
{
    if (t->limits.dest_delay_ms > 0 || t->limits.transport_delay_ms > 0)
        clock_wake_at(q, sched_next_wake(&q->sched));
}

static void claim(struct delivery *dv)
{
    dv->a = dv->task.job->owner;
    dv->a->in_flight++;
}

static void delivery_fiber(void *arg)
{
    struct delivery *dv = arg;

    do {
        deliver_task(dv);
        mind_delays(dv->q, dv->transport);
        if (dv->q->stopping || !sched_next(dv->transport, clock_ms(), &dv->task))
            break;
        claim(dv);
        deliver_start(dv->q, dv->transport); /* the window may have grown */
    } while (true);
    free(dv);
}

void deliver_start(struct qmgr *q, struct sched_transport *t)
{
    struct sched_task task;

    if (!t->pool)
        t->pool = ipc_pool_new(t->name, q->sv->params->ipc_idle * 1000, KEPT_CONNECTIONS);
    while (!q->stopping && sched_next(t, clock_ms(), &task)) {
        struct delivery *dv = mem_new(struct delivery);

        *dv = (struct delivery){ .q = q, .transport = t, .task = task };
        claim(dv);
        fiber_start(delivery_fiber, dv);
    }
    mind_delays(q, t);
}
