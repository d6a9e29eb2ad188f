/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule.c - which delivery is next; see schedule.h for the rules
 *
 * All operations take constant time, but that ends of suspensions are kept in a heap.
 *
 * Runs in: qmgr. Pure: tested in virtual time.
 */
#include "qmgr/schedule.h"

#include <errno.h>
#include <stdlib.h>

#define COHORT 1000u /* thousandths: a whole cohort of failures suspends a destination */

/* ---- health ---- */

static uint64_t backoff_ms(uint64_t first, uint64_t most, uint32_t nth)
{
    uint64_t ms = first;

    for (uint32_t i = 1; i < nth && ms < most; i++)
        ms *= 2;
    return ms < most ? ms : most;
}

static void health_suspend(struct sched_health *h, uint64_t until, const char *dsn,
                           struct span reason)
{
    h->suspended_until = until;
    free(h->reason);
    h->reason = mem_dup_span(reason);
    memset(h->dsn, 0, sizeof h->dsn);
    memcpy(h->dsn, dsn, strnlen(dsn, sizeof h->dsn - 1));
    heap_put(&h->transport->sched->wakeups, &h->wake, until);
}

static void health_done(struct sched_health *h)
{
    heap_remove(&h->transport->sched->wakeups, &h->wake);
    free(h->reason);
}

static bool suspended(const struct sched_health *h, uint64_t now)
{
    return h->suspended_until > now;
}

static bool given_up(const struct sched_transport *t, uint64_t now)
{
    return suspended(&t->health, now) && t->health.suspensions >= SCHED_TRANSPORT_PATIENCE;
}

/* ---- transports and destinations ---- */

void sched_init(struct sched *s, const struct sched_policy *policy)
{
    *s = (struct sched){ .policy = *policy, .transports = HASH_INIT };
}

struct sched_transport *sched_transport(struct sched *s, struct span name)
{
    struct sched_transport *t =
        HASH_ENTRY(hash_get(&s->transports, name), struct sched_transport, node);

    if (t)
        return t;
    t = mem_new(struct sched_transport);
    t->sched = s;
    t->health.transport = t;
    t->name = mem_dup_span(name);
    t->dests = HASH_INIT;
    list_init(&t->all);
    list_init(&t->ready);
    s->policy.limits(t->name, &t->limits, s->policy.arg);
    t->node.key = span_of(t->name);
    hash_put(&s->transports, &t->node);
    return t;
}

static struct sched_dest *dest_get(struct sched_transport *t, struct span key, struct span nexthop)
{
    struct sched_dest *d = HASH_ENTRY(hash_get(&t->dests, key), struct sched_dest, node);

    if (d)
        return d;
    d = mem_new(struct sched_dest);
    d->transport = t;
    d->health = (struct sched_health){ .transport = t, .dest = d };
    d->key = mem_dup_span(key);
    d->nexthop = mem_dup_span(nexthop);
    d->window = t->limits.initial > 0 ? t->limits.initial : 1;
    if (t->limits.concurrency > 0 && d->window > t->limits.concurrency)
        d->window = t->limits.concurrency;
    list_init(&d->ready);
    list_init(&d->jobs);
    list_push_back(&t->all, &d->link);
    d->node.key = span_make(d->key, key.len);
    hash_put(&t->dests, &d->node);
    return d;
}

static void dest_free(struct sched_dest *d)
{
    list_remove(&d->ready);
    list_remove(&d->link);
    hash_remove(&d->transport->dests, &d->node);
    health_done(&d->health);
    free(d->key);
    free(d->nexthop);
    free(d);
}

/* A destination is forgotten with its last job, but not its troubles before their time. */
static void dest_free_if_idle(struct sched_dest *d)
{
    if (d->n_jobs == 0 && d->busy == 0 && !heap_has(&d->health.wake))
        dest_free(d);
}

void sched_done(struct sched *s)
{
    struct hash_node *next;

    for (struct hash_node *n = hash_next(&s->transports, NULL); n; n = next) {
        next = hash_next(&s->transports, n);
        struct sched_transport *t = CONTAINER_OF(n, struct sched_transport, node);
        struct sched_dest *d;

        LIST_FOREACH(d, &t->all, struct sched_dest, link)
            dest_free(d);
        hash_done(&t->dests);
        health_done(&t->health);
        free(t->name);
        free(t);
    }
    hash_done(&s->transports);
    heap_done(&s->wakeups);
}

/* Put it on or off the list of those that can start a delivery; its place in the turn is kept. */
static void dest_update(struct sched_dest *d)
{
    bool ready = !list_empty(&d->jobs) && d->busy < d->window && d->health.suspended_until == 0;

    if (!ready)
        list_remove(&d->ready);
    else if (list_empty(&d->ready))
        list_push_back(&d->transport->ready, &d->ready);
}

const struct sched_health *sched_trouble(const struct sched_dest *d, uint64_t now)
{
    if (suspended(&d->health, now))
        return &d->health;
    return given_up(d->transport, now) ? &d->transport->health : NULL;
}

/* ---- jobs ---- */

struct sched_job *sched_job_new(struct sched_transport *t, struct span key, struct span nexthop,
                                void *owner)
{
    struct sched_job *j = mem_new(struct sched_job);

    j->dest = dest_get(t, key, nexthop);
    j->dest->n_jobs++;
    j->owner = owner;
    list_init(&j->link);
    list_init(&j->owned);
    return j;
}

void sched_job_add_rcpt(struct sched_job *j, uint32_t number)
{
    MEM_GROW(j->rcpts, j->n_rcpts, j->cap);
    j->rcpts[j->n_rcpts++] = number;
}

size_t sched_job_rest(const struct sched_job *j)
{
    return j->n_rcpts - j->next;
}

void sched_job_remove(struct sched_job *j)
{
    list_remove(&j->link);
    dest_update(j->dest);
}

void sched_job_free(struct sched_job *j)
{
    struct sched_dest *d = j->dest;

    sched_job_remove(j);
    list_remove(&j->owned);
    free(j->rcpts);
    free(j);
    d->n_jobs--;
    dest_free_if_idle(d);
}

int sched_job_queue(struct sched_job *j, uint64_t now)
{
    if (sched_trouble(j->dest, now))
        return -EHOSTDOWN;
    list_push_back(&j->dest->jobs, &j->link);
    dest_update(j->dest);
    return 0;
}

/* ---- tasks ---- */

bool sched_next(struct sched_transport *t, uint64_t now, struct sched_task *ret)
{
    struct sched_dest *d = LIST_FIRST(&t->ready, struct sched_dest, ready);

    if (!d || suspended(&t->health, now) || (t->limits.total > 0 && t->busy >= t->limits.total))
        return false;

    struct sched_job *j = LIST_FIRST(&d->jobs, struct sched_job, link);
    size_t n = sched_job_rest(j);

    if (t->limits.rcpts > 0 && n > t->limits.rcpts)
        n = t->limits.rcpts;
    *ret = (struct sched_task){ .job = j, .first = j->next, .n = n };
    j->next += n;
    j->tasks++;
    list_remove(&j->link);
    if (sched_job_rest(j) > 0)
        list_push_back(&d->jobs, &j->link); /* the next message's turn */
    d->busy++;
    t->busy++;
    list_remove(&d->ready); /* the next destination's turn */
    dest_update(d);
    return true;
}

static void dest_answered(struct sched_dest *d)
{
    uint32_t limit = d->transport->limits.concurrency;

    d->failed = 0;
    d->health.suspensions = 0;
    if (limit == 0 || d->window < limit)
        d->window++;
}

static uint64_t dest_backoff_ms(const struct sched_dest *d)
{
    const struct sched_policy *p = &d->transport->sched->policy;

    return backoff_ms(p->min_backoff_ms, p->max_backoff_ms, d->health.suspensions);
}

static void dest_failed(struct sched_dest *d, const char *dsn, struct span reason, uint64_t now)
{
    if (suspended(&d->health, now))
        return; /* one of the cohort that has suspended it */
    d->failed += COHORT / d->window;
    if (d->window > 1)
        d->window--;
    if (d->failed < COHORT && d->health.suspensions == 0)
        return;
    d->failed = 0;
    d->health.suspensions++;
    health_suspend(&d->health, now + dest_backoff_ms(d), dsn, reason);
}

static void transport_failed(struct sched_transport *t, const char *dsn, struct span reason,
                             uint64_t now)
{
    if (suspended(&t->health, now))
        return;
    t->health.suspensions++;
    health_suspend(&t->health,
                   now +
                       backoff_ms(1000, t->sched->policy.transport_retry_ms, t->health.suspensions),
                   dsn, reason);
}

void sched_task_done(const struct sched_task *task, enum sched_feedback feedback, const char *dsn,
                     struct span reason, uint64_t now)
{
    struct sched_dest *d = task->job->dest;
    struct sched_transport *t = d->transport;

    task->job->tasks--;
    d->busy--;
    t->busy--;
    if (feedback == SCHED_ANSWERED || feedback == SCHED_DEAD)
        t->health.suspensions = 0;
    switch (feedback) {
    case SCHED_ANSWERED:
        dest_answered(d);
        break;
    case SCHED_DEAD:
        dest_failed(d, dsn, reason, now);
        break;
    case SCHED_NO_SERVICE:
        if (t->health.suspensions < SCHED_TRANSPORT_PATIENCE - 1)
            t->health.suspensions = SCHED_TRANSPORT_PATIENCE - 1;
        transport_failed(t, dsn, reason, now);
        break;
    case SCHED_NO_TRANSPORT:
        transport_failed(t, dsn, reason, now);
        break;
    case SCHED_UNKNOWN:
        break;
    }
    dest_update(d);
}

struct sched_job *sched_take_stuck(struct sched_dest *d, uint64_t now)
{
    struct sched_job *j = LIST_FIRST(&d->jobs, struct sched_job, link);

    if (!j || !sched_trouble(d, now))
        return NULL;
    sched_job_remove(j);
    return j;
}

struct sched_job *sched_take_stuck_transport(struct sched_transport *t, uint64_t now)
{
    struct sched_dest *d;

    if (!given_up(t, now))
        return NULL;
    LIST_FOREACH(d, &t->all, struct sched_dest, link) {
        struct sched_job *j = sched_take_stuck(d, now);

        if (j)
            return j;
    }
    return NULL;
}

/* ---- ends of suspensions ---- */

/* A suspension is over, or its history: true if there may be work now. */
static bool health_wake(struct sched *s, struct sched_health *h, uint64_t now)
{
    struct sched_dest *d = h->dest;
    bool ended = h->suspended_until > 0;

    heap_remove(&s->wakeups, &h->wake);
    h->suspended_until = 0;
    if (!d)
        return ended;
    if (ended) {
        d->window = 1; /* one delivery probes it */
        heap_put(&s->wakeups, &h->wake, now + dest_backoff_ms(d));
        dest_update(d);
        return true;
    }
    h->suspensions = 0;
    dest_free_if_idle(d);
    return false;
}

/* Let the next sched_wake() end it; it is not counted as one more. */
static void health_resume(struct sched *s, struct sched_health *h)
{
    h->suspended_until = 1;
    heap_put(&s->wakeups, &h->wake, 0);
}

struct sched_transport *sched_wake(struct sched *s, uint64_t now)
{
    struct heap_node *n;

    while ((n = heap_min(&s->wakeups)) && n->key <= now) {
        struct sched_health *h = CONTAINER_OF(n, struct sched_health, wake);
        struct sched_transport *t = h->transport;

        if (health_wake(s, h, now))
            return t;
    }
    return NULL;
}

uint64_t sched_next_wake(const struct sched *s)
{
    const struct heap_node *n = heap_min(&s->wakeups);

    return n ? n->key : UINT64_MAX;
}

void sched_resume_all(struct sched *s)
{
    struct hash_node *n = NULL;

    while ((n = hash_next(&s->transports, n))) {
        struct sched_transport *t = CONTAINER_OF(n, struct sched_transport, node);
        struct sched_dest *d;

        if (t->health.suspended_until > 0)
            health_resume(s, &t->health);
        LIST_FOREACH(d, &t->all, struct sched_dest, link)
            if (d->health.suspended_until > 0)
                health_resume(s, &d->health);
    }
}
