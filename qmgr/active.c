/* SPDX-License-Identifier: Apache-2.0 */
/*
 * active.c - a message becomes active: its file is read, its recipients are routed and grouped into jobs
 *
 * Recipients of one destination become one job. Where a delivery may have one recipient only, each
 * recipient is a destination of its own, so that its concurrency limit is that of a mailbox (as in Postfix).
 *
 * Runs in: qmgr. Queue files are read with mistrust: a broken one goes to corrupt/ and costs one log line.
 */
#include "qmgr/active.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/address.h"
#include "qmgr/clock.h"
#include "qmgr/deliver.h"
#include "qmgr/limits.h"
#include "qmgr/message.h"
#include "qmgr/settle.h"
#include "queue/delivery_line.h"

#define PREDECESSOR_RETRY_S 5    /* how often to look whether a predecessor has ended a delivery */
#define ROUTES_PER_TURN     1000 /* recipients routed before others get a turn */
#define LARGE_RCPTS         1000 /* messages of more are few at a time in memory */

/* ---- descriptors ---- */

int active_fd(struct active *a)
{
    if (a->fd >= 0)
        return a->fd;
    int fd = queue_open(&a->q->dirs, message_place(a->m), a->m->id, O_RDONLY);

    if (fd < 0)
        return fd;
    a->q->n_open++;
    return a->fd = fd;
}

int active_take_fd(struct active *a)
{
    if (a->fd >= 0)
        a->q->n_open--;
    return TAKE_FD(a->fd);
}

static void close_fd(struct active *a)
{
    int fd = active_take_fd(a);

    if (fd >= 0)
        close(fd);
}

int active_journal(struct active *a)
{
    if (a->journal_fd >= 0)
        return a->journal_fd;
    message_keep(a->q, a->m);
    return a->journal_fd = queue_open(&a->q->dirs, message_place(a->m), a->m->id, O_RDWR);
}

/* ---- life ---- */

static struct active *active_new(struct qmgr *q, struct message *m)
{
    struct active *a = mem_new(struct active);

    a->q = q;
    a->m = m;
    a->fd = a->journal_fd = -1;
    a->active_us = clock_real_us();
    list_init(&a->jobs);
    list_init(&a->removal);
    list_push_back(&q->actives, &a->link);
    m->state = QUEUE_STATE_ACTIVE;
    m->active = a;
    q->n_active++;
    return a;
}

/* There is room again for another large message. */
static void leave_large(struct active *a)
{
    struct qmgr *q = a->q;
    struct message *next = LIST_FIRST(&q->large, struct message, link);

    q->n_large_rcpts -= a->env.n_rcpts;
    if (next)
        message_enqueue(q, next);
}

void active_free(struct active *a)
{
    struct qmgr *q = a->q;

    if (a->is_large)
        leave_large(a);
    close_fd(a);
    if (a->journal_fd >= 0)
        close(a->journal_fd);
    list_remove(&a->link);
    queue_envelope_done(&a->env);
    a->m->active = NULL;
    free(a);
    if (q->n_active-- == q->active_max)
        clock_wake(q); /* others were waiting for a place */
}

static void settle_fiber(void *arg)
{
    settle_message(arg);
}

/* One reason less to keep it in the active set. */
static void release(struct active *a)
{
    if (--a->pending > 0)
        return;
    a->pending = 1; /* settling counts, so that it is not begun twice */
    if (settle_waits(a) || (a->env.flags & SUBMIT_PROBE))
        fiber_start(settle_fiber, a); /* it asks bounce or verify: not in the way of the next delivery */
    else
        settle_message(a);
}

/* What was parked at a destination comes back when there is room. */
static void unpark(struct qmgr *q, struct sched_dest *d)
{
    struct list back;

    list_init(&back);
    sched_unpark(d, &back);
    while (!list_empty(&back))
        message_enqueue(q, LIST_FIRST(&back, struct message, link));
}

static void free_job(struct qmgr *q, struct sched_job *j)
{
    struct sched_dest *d = j->dest;
    bool parked = !list_empty(&d->parked); /* then d outlives its jobs */

    sched_job_free(j);
    if (parked)
        unpark(q, d);
}

void active_job_done(struct active *a, struct sched_job *j)
{
    free_job(a->q, j);
    release(a);
}

void active_job_stuck(struct active *a, struct sched_job *j, const struct sched_health *why)
{
    size_t n = sched_job_rest(j);

    settle_suspended(a, &j->rcpts[j->next], n, why);
    j->n_rcpts = j->next;
    if (j->tasks == 0)
        active_job_done(a, j);
}

void active_recall(struct active *a)
{
    struct sched_job *j;

    a->pending++; /* keeps a while its jobs go */
    LIST_FOREACH(j, &a->jobs, struct sched_job, owned) {
        a->recalled |= sched_job_rest(j) > 0;
        sched_job_remove(j);
        j->n_rcpts = j->next;
        if (j->tasks == 0)
            active_job_done(a, j);
    }
    release(a);
}

/* ---- reading ---- */

/* Is a qmgr that is about to end still delivering it? It then holds a lock; see main.c. */
static bool predecessor_delivers(struct active *a)
{
    if (!a->m->inherited)
        return false;
    if (flock(a->fd, LOCK_SH | LOCK_NB) < 0)
        return errno == EWOULDBLOCK;
    flock(a->fd, LOCK_UN);
    a->m->inherited = false;
    return false;
}

int active_priority(const struct active *a)
{
    if (a->env.flags & SUBMIT_PROBE)
        return SCHED_PRIORITY_MAX;
    return a->env.priority > 0 ? (int)a->env.priority - SUBMIT_PRIORITY_ZERO : 0;
}

/* Too many recipients for now: false, a is freed. One large message always has a place. */
static bool enter_large(struct active *a)
{
    struct qmgr *q = a->q;
    struct message *m = a->m;

    if (a->env.n_rcpts <= LARGE_RCPTS)
        return true;
    if (q->n_large_rcpts > 0 && q->n_large_rcpts + a->env.n_rcpts > q->large_max) {
        message_describe(q, m, &a->env);
        active_free(a);
        message_park(q, m, &q->large);
        return false;
    }
    a->is_large = true;
    q->n_large_rcpts += a->env.n_rcpts;
    return true;
}

/* Fill a from the file. 0, or negative: the message has been dropped or deferred, a freed. */
static int active_read(struct active *a)
{
    _cleanup_(str_free) struct str why = STR_INIT;
    struct qmgr *q = a->q;
    struct message *m = a->m;
    int r = active_fd(a);

    if (r >= 0 && predecessor_delivers(a)) {
        active_free(a);
        message_defer(q, m, clock_real() + PREDECESSOR_RETRY_S);
        return -EBUSY;
    }
    if (r >= 0)
        r = queue_read(a->fd, m->id, &queue_default_limits, &a->env, &why);
    if (r >= 0) {
        settle_begin(a);
        return enter_large(a) ? 0 : -EBUSY;
    }
    active_free(a);
    if (r == -EBADMSG) {
        message_corrupt(q, message_place(m), m->id, str_cstr(&why));
        message_drop(q, m);
    } else if (r == -ENOENT) {
        if (!m->fresh) /* else the scan of new/ was faster than its notice, and it is delivered already */
            log_warn("%s: queue file has vanished from cur/", m->id);
        message_drop(q, m);
    } else {
        log_warn_errno(r, "%s: cannot read queue file, will try again", m->id);
        message_defer(q, m, clock_real() + retry_fault_delay(&q->retry, ++m->faults));
    }
    return r;
}

static void log_active(const struct active *a)
{
    _cleanup_(str_free) struct str line = STR_INIT;

    str_addf(&line, "%s: from=<", a->m->id);
    delivery_address_add(&line, span_of(a->env.sender));
    str_addf(&line, ">, size=%" PRIu64 ", nrcpt=%zu (queue active)", a->env.content_size,
             a->n_open);
    log_info("%s", line.data);
}

/* ---- routing ---- */

static struct sched_job *job_for(struct active *a, const struct route *route)
{
    _cleanup_(str_free) struct str key = STR_INIT;
    struct sched_transport *t = sched_transport(&a->q->sched, span_of(route->transport));
    struct sched_job *j;

    str_add_lower(&key, str_span(&route->nexthop));
    if (t->limits.rcpts == 1) {
        str_add_char(&key, '\n');
        str_add_lower(&key, str_span(&route->address));
    }
    LIST_FOREACH(j, &a->jobs, struct sched_job, owned)
        if (j->dest->transport == t && span_eq(j->dest->node.key, str_span(&key)))
            return j;
    j = sched_job_new(t, str_span(&key), str_span(&route->nexthop), active_priority(a), a);
    list_push_front(&a->jobs, &j->owned);
    a->pending++;
    return j;
}

/* The address as the agent shall see it, if routing has changed it. */
static void readdress(struct queue_rcpt *r, struct span address)
{
    if (span_eq(address, span_of(r->address)))
        return;
    if (!r->orig)
        r->orig = r->address;
    else
        free(r->address);
    r->address = mem_dup_span(address);
}

/* FILTER transport:destination replaces every route; without a destination it is the recipient's domain */
static void apply_filter(struct span filter, struct span address, struct route *route)
{
    struct span nexthop = filter, transport = span_cut(&nexthop, ':');

    snprintf(route->transport, sizeof route->transport, SPAN_FMT, SPAN_ARG(transport));
    str_set(&route->nexthop, nexthop.len > 0 ? nexthop : address_domain(address));
}

static void route_rcpt(struct active *a, uint32_t number)
{
    _cleanup_(route_done) struct route route = { 0 };
    struct queue_rcpt *r = &a->env.rcpts[number];
    int err = route_resolve(a->q->router, span_of(a->env.sender), span_of(r->address), &route);

    if (err < 0) {
        settle_fault(a, &number, 1, "4.3.0", "address resolver failure");
        return;
    }
    readdress(r, str_span(&route.address));
    if (a->env.content_filter)
        apply_filter(span_of(a->env.content_filter), span_of(r->address), &route);
    sched_job_add_rcpt(job_for(a, &route), number);
}

static void route_all(struct active *a)
{
    for (size_t i = 0, routed = 0; i < a->env.n_rcpts; i++) {
        enum queue_rcpt_state state = a->env.rcpts[i].state;

        if (state != RCPT_PENDING && state != RCPT_DEFERRED)
            continue;
        route_rcpt(a, (uint32_t)i);
        if (++routed % ROUTES_PER_TURN == 0 && fiber_self())
            fiber_yield();
    }
}

/* Mail for a destination that has more than enough waits outside the active set, so that there is room for the rest. */
static bool park(struct active *a)
{
    struct qmgr *q = a->q;
    struct message *m = a->m;
    struct sched_job *j, *last = LIST_FIRST(&a->jobs, struct sched_job, owned);

    if (!last || active_priority(a) > 0)
        return false;
    LIST_FOREACH(j, &a->jobs, struct sched_job, owned)
        if (!sched_crowded(j->dest) || sched_trouble(j->dest, clock_ms()))
            return false;
    LIST_FOREACH(j, &a->jobs, struct sched_job, owned)
        if (j != last)
            free_job(q, j);
    list_remove(&last->owned);
    message_describe(q, m, &a->env);
    active_free(a);
    message_park(q, m, &last->dest->parked);
    free_job(q, last);
    return true;
}

/* defer_transports */
static bool is_put_off(struct active *a, const struct sched_job *j, uint64_t now,
                       struct sched_health *ret_why)
{
    if (a->m->flushed || !limits_deferred(a->q->sv->params, j->dest->transport->name))
        return false;
    *ret_why = (struct sched_health){ .suspended_until = now + a->q->sched.policy.max_backoff_ms,
                                      .dsn = "4.3.2", .reason = (char *)"deferred transport" };
    return true;
}

/* Give the jobs to the scheduler, and start what can start. */
static void queue_jobs(struct active *a)
{
    uint64_t now = clock_ms();
    struct sched_job *j;

    LIST_FOREACH(j, &a->jobs, struct sched_job, owned) {
        struct sched_transport *t = j->dest->transport;
        struct sched_health why;

        if (is_put_off(a, j, now, &why))
            active_job_stuck(a, j, &why);
        else if (sched_job_queue(j, now) < 0)
            active_job_stuck(a, j, sched_trouble(j->dest, now));
        else
            deliver_start(a->q, t);
    }
}

void active_start(struct qmgr *q, struct message *m)
{
    struct active *a = active_new(q, m);

    if (active_read(a) < 0)
        return;
    a->pending = 1;
    route_all(a);
    if (m->want == WANT_NOTHING && !q->stopping && park(a))
        return;
    log_active(a);
    if (m->want == WANT_NOTHING && !q->stopping)
        queue_jobs(a);
    else
        active_recall(a);
    if (q->n_open > q->open_max && a->in_flight == 0)
        close_fd(a);
    release(a);
}
