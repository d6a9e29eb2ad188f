/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule.c - which delivery is next; see schedule.h for the rules
 *
 * Turns and times are kept in heaps, so that nothing here costs more than the logarithm of what waits.
 *
 * Runs in: qmgr. Pure: tested in virtual time.
 */
#include "qmgr/schedule.h"

#include <errno.h>
#include <stdlib.h>

/* ---- health ---- */

static uint64_t backoff_ms(uint64_t first, uint64_t most, uint32_t nth)
{
    uint64_t ms = first;

    for (uint32_t i = 1; i < nth && ms < most; i++)
        ms *= 2;
    return ms < most ? ms : most;
}

static uint64_t jitter(const struct sched *s, uint64_t max_ms)
{
    return s->policy.jitter ? s->policy.jitter(max_ms) : 0;
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
    t->pace.transport = t;
    t->name = mem_dup_span(name);
    t->dests = HASH_INIT;
    list_init(&t->all);
    turns_init(&t->ready);
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
    d->pace = (struct sched_pace){ .transport = t, .dest = d };
    window_init(&d->window, &t->limits.window);
    list_init(&d->turn);
    list_init(&d->parked);
    turns_init(&d->jobs);
    list_push_back(&t->all, &d->link);
    d->node.key = span_make(d->key, key.len);
    hash_put(&t->dests, &d->node);
    return d;
}

static void dest_free(struct sched_dest *d)
{
    turns_leave(&d->turn);
    heap_remove(&d->transport->sched->paces, &d->pace.end);
    list_remove(&d->link);
    hash_remove(&d->transport->dests, &d->node);
    health_done(&d->health);
    free(d->key);
    free(d->nexthop);
    free(d);
}

/* A destination is forgotten with its last job, but not its troubles and delays before their time. */
static void dest_free_if_idle(struct sched_dest *d)
{
    if (d->n_jobs == 0 && d->busy == 0 && list_empty(&d->parked) && !heap_has(&d->health.wake) &&
        !heap_has(&d->pace.end))
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
    heap_done(&s->paces);
}

const struct sched_transport *sched_find_transport(const struct sched *s, struct span name)
{
    return HASH_ENTRY(hash_get(&s->transports, name), const struct sched_transport, node);
}

const struct sched_dest *sched_find_dest(const struct sched_transport *t, struct span key)
{
    return HASH_ENTRY(hash_get(&t->dests, key), const struct sched_dest, node);
}

/* Is there room for one more delivery? What is beyond the ordinary limit comes out of the free half of the transport. */
static bool has_room(const struct sched_dest *d)
{
    const struct sched_limits *l = &d->transport->limits;
    uint32_t limit = l->window.limit;

    if (l->dest_delay_ms > 0)
        return d->busy == 0;
    if (limit > 0 && d->busy >= limit && l->total > 0 && d->transport->busy >= l->total / 2)
        return false;
    return d->busy < d->window.size;
}

/* Put it among those that can start a delivery, or take it out; its place in the turn is kept. */
static void dest_update(struct sched_dest *d)
{
    unsigned band = turns_best(&d->jobs);

    if (band == TURNS_BANDS || !has_room(d) || d->health.suspended_until > 0 || heap_has(&d->pace.end))
        turns_leave(&d->turn);
    else if (list_empty(&d->turn))
        turns_enter(&d->transport->ready, &d->turn, band);
}

const struct sched_health *sched_trouble(const struct sched_dest *d, uint64_t now)
{
    if (suspended(&d->health, now))
        return &d->health;
    return given_up(d->transport, now) ? &d->transport->health : NULL;
}

/* ---- jobs ---- */

struct sched_job *sched_job_new(struct sched_transport *t, struct span key, struct span nexthop,
                                int priority, void *owner)
{
    struct sched_job *j = mem_new(struct sched_job);

    j->dest = dest_get(t, key, nexthop);
    j->dest->n_jobs++;
    j->owner = owner;
    j->band = turns_band(priority);
    list_init(&j->turn);
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
    turns_leave(&j->turn);
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
    turns_enter(&j->dest->jobs, &j->turn, j->band);
    dest_update(j->dest);
    return 0;
}

/* ---- parked messages ---- */

/* Enough to keep the window busy, and some more. */
static size_t crowd_of(const struct sched_dest *d)
{
    size_t crowd = d->transport->sched->policy.crowd, busy = 4 * (size_t)d->window.size;

    return crowd > busy ? crowd : busy;
}

bool sched_crowded(const struct sched_dest *d)
{
    return d->transport->sched->policy.crowd > 0 && d->n_jobs > crowd_of(d);
}

void sched_unpark(struct sched_dest *d, struct list *ret)
{
    size_t room = crowd_of(d) / 2;

    if (d->n_jobs > room)
        return;
    for (size_t i = 0; i < room && !list_empty(&d->parked); i++) {
        struct list *first = d->parked.next;

        list_remove(first);
        list_push_back(ret, first);
    }
    dest_free_if_idle(d);
}

/* ---- tasks ---- */

/* A slice of the job whose turn it is. */
static void take_slice(struct sched_dest *d, uint64_t now, struct sched_task *ret)
{
    uint32_t most = d->transport->limits.rcpts;
    struct sched_job *j = CONTAINER_OF(turns_take(&d->jobs), struct sched_job, turn);
    size_t n = sched_job_rest(j);

    if (most > 0 && n > most)
        n = most;
    *ret = (struct sched_task){ .job = j, .first = j->next, .n = n, .started = now };
    j->next += n;
    j->tasks++;
    if (sched_job_rest(j) > 0)
        turns_enter(&d->jobs, &j->turn, j->band);
}

bool sched_next(struct sched_transport *t, uint64_t now, struct sched_task *ret)
{
    if (suspended(&t->health, now) || heap_has(&t->pace.end) ||
        (t->limits.total > 0 && t->busy >= t->limits.total))
        return false;
    struct list *first = turns_take(&t->ready);

    if (!first)
        return false;
    struct sched_dest *d = CONTAINER_OF(first, struct sched_dest, turn);

    take_slice(d, now, ret);
    d->busy++;
    t->busy++;
    if (t->limits.transport_delay_ms > 0)
        heap_put(&t->sched->paces, &t->pace.end, now + t->limits.transport_delay_ms);
    dest_update(d);
    return true;
}

static void dest_failed(struct sched_dest *d, const char *dsn, struct span reason, uint64_t now)
{
    struct sched *s = d->transport->sched;

    if (suspended(&d->health, now))
        return; /* one of the cohort that has suspended it */
    if (!window_failed(&d->window, &d->transport->limits.window, now) && d->health.suspensions == 0) {
        /* remembered also when no mail is left for it: failures may come one at a time */
        heap_put(&s->wakeups, &d->health.wake, now + s->policy.min_backoff_ms);
        return;
    }
    d->health.suspensions++;
    uint64_t wait =
        backoff_ms(s->policy.min_backoff_ms, s->policy.max_backoff_ms, d->health.suspensions);

    health_suspend(&d->health, now + wait + jitter(s, wait / 8), dsn, reason);
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
    if (t->limits.dest_delay_ms > 0)
        heap_put(&t->sched->paces, &d->pace.end, now + t->limits.dest_delay_ms);
    if (feedback == SCHED_ANSWERED || feedback == SCHED_RELUCTANT || feedback == SCHED_DEAD)
        t->health.suspensions = 0;
    switch (feedback) {
    case SCHED_ANSWERED:
        d->health.suspensions = 0;
        window_answered(&d->window, &t->limits.window, d->busy + 1, now - task->started, now);
        break;
    case SCHED_RELUCTANT:
        d->health.suspensions = 0;
        window_reluctant(&d->window, &t->limits.window, now);
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
    unsigned band = turns_best(&d->jobs);

    if (band == TURNS_BANDS || !sched_trouble(d, now))
        return NULL;
    struct sched_job *j = LIST_FIRST(&d->jobs.bands[band].waiting, struct sched_job, turn);

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
        window_probe(&d->window);
        heap_put(&s->wakeups, &h->wake,
                 now + backoff_ms(s->policy.min_backoff_ms, s->policy.max_backoff_ms, h->suspensions));
        dest_update(d);
        return true;
    }
    h->suspensions = 0;
    d->window.cohorts = 0;
    dest_free_if_idle(d);
    return false;
}

/* Let the next sched_wake() end it; it is not counted as one more. */
static void health_resume(struct sched *s, struct sched_health *h)
{
    h->suspended_until = 1;
    heap_put(&s->wakeups, &h->wake, 0);
}

/* The delay is over. */
static struct sched_transport *pace_end(struct sched *s, struct sched_pace *p)
{
    struct sched_transport *t = p->transport;

    heap_remove(&s->paces, &p->end);
    if (p->dest) {
        dest_update(p->dest);
        dest_free_if_idle(p->dest);
    }
    return t;
}

struct sched_transport *sched_wake(struct sched *s, uint64_t now)
{
    struct heap_node *n = heap_min(&s->paces);

    if (n && n->key <= now)
        return pace_end(s, CONTAINER_OF(n, struct sched_pace, end));
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
    const struct heap_node *wake = heap_min(&s->wakeups), *pace = heap_min(&s->paces);
    uint64_t at = wake ? wake->key : UINT64_MAX;

    return pace && pace->key < at ? pace->key : at;
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
