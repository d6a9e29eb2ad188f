/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule.h - which delivery is next: transports, destinations, jobs
 *
 *     transport            a service that delivers: "smtp", "virtual"
 *      `- destination      a next hop of it, with its concurrency window and its health
 *          `- job          recipients of one message for that destination
 *              `- task     a slice of them, at most limits.rcpts: one delivery in flight
 *
 * Destinations of a transport take turns, and so do the jobs (messages) of a destination: a message with
 * ten thousand recipients delays one with a single recipient by one delivery, not by all. Jobs of higher priority
 * come first, but none waits for ever (turns.h).
 *
 * How many deliveries at once a destination gets is its window's matter (window.h). One that uses more than its
 * ordinary limit may do so only while half of the transport is free. Where a delay between deliveries
 * is configured, one delivery at a time is made.
 *
 * A destination whose window says that a whole cohort has failed is suspended, for all messages, with a time
 * that doubles until it answers again, and some jitter. After a suspension a single delivery probes it. A transport
 * whose service cannot be reached is suspended likewise; its jobs stay queued at first, and are given
 * back to their messages once it has failed SCHED_TRANSPORT_PATIENCE times in a row.
 *
 * A destination with more jobs than the policy's `crowd` is crowded: its owner may park messages at it rather than
 * make more jobs, so that mail for one destination does not use up the memory that all share.
 *
 * Pure code: no clock, no waiting, no input or output. Times are milliseconds of any clock that only goes
 * forward, given by the caller. An owner (a message) is an opaque pointer.
 */
#ifndef QMGR_SCHEDULE_H
#define QMGR_SCHEDULE_H

#include "base/hash.h"
#include "base/heap.h"
#include "base/list.h"
#include "qmgr/turns.h"
#include "qmgr/window.h"

#define SCHED_TRANSPORT_PATIENCE 6

struct sched_limits {
    struct window_limits window;
    uint32_t rcpts;            /* recipients of one delivery; 0: no limit */
    uint32_t total;            /* deliveries at once through the transport; 0: no limit */
    uint64_t dest_delay_ms;    /* between two deliveries to a destination */
    uint64_t transport_delay_ms; /* between two deliveries through the transport */
    uint64_t delivery_ms;      /* longest time of one, which the caller sees to; 0: no limit */
};

struct sched_policy {
    /* Called once for each new transport. */
    void (*limits)(const char *transport, struct sched_limits *ret, void *arg);
    void *arg;
    uint64_t (*jitter)(uint64_t max_ms); /* a random time up to max_ms; NULL: none */
    uint64_t min_backoff_ms, max_backoff_ms; /* of a destination */
    uint64_t transport_retry_ms;             /* longest suspension of a transport */
    size_t crowd;                            /* 0: never crowded */
};

struct sched {
    struct sched_policy policy;
    struct hash transports;
    struct heap wakeups; /* ends of suspensions */
    struct heap paces;   /* ends of delays between deliveries */
};

/* Why a destination or transport is suspended, for the recipients that wait for it. */
struct sched_health {
    struct sched_transport *transport;
    struct sched_dest *dest; /* NULL: the health of the transport itself */
    uint64_t suspended_until; /* 0: not */
    uint32_t suspensions;     /* in a row */
    char dsn[16];
    char *reason;
    struct heap_node wake; /* end of the suspension; then, when its history is forgotten */
};

/* The delay between two deliveries. */
struct sched_pace {
    struct heap_node end; /* in sched->paces while it lasts */
    struct sched_transport *transport;
    struct sched_dest *dest; /* NULL: of the transport */
};

struct sched_transport {
    struct hash_node node;
    struct sched *sched;
    char *name;
    struct sched_limits limits;
    struct hash dests;
    struct list all;          /* the same destinations */
    struct turns ready; /* those with work and room in their window */
    uint32_t busy;
    struct sched_health health;
    struct sched_pace pace;
    void *pool; /* the caller's */
};

struct sched_dest {
    struct hash_node node;
    struct sched_transport *transport;
    struct list link;        /* in transport->all */
    struct list turn;        /* in transport->ready, or alone */
    struct turns jobs; /* queued ones */
    char *key;
    char *nexthop;
    size_t n_jobs; /* existing ones, queued or not: keeps the destination in memory */
    struct list parked; /* of the caller's; they do so as well */
    uint32_t busy;
    struct window window;
    struct sched_pace pace;
    struct sched_health health;
};

struct sched_job {
    struct sched_dest *dest;
    void *owner;
    struct list turn;  /* in dest->jobs, or alone */
    unsigned band;
    struct list owned; /* the owner's list of its jobs */
    uint32_t *rcpts;   /* numbers in the message */
    size_t n_rcpts, cap, next; /* those before `next` have been handed out in tasks */
    uint32_t tasks;    /* in flight */
};

struct sched_task {
    struct sched_job *job;
    size_t first, n; /* job->rcpts[first .. first + n) */
    uint64_t started;
};

void sched_init(struct sched *s, const struct sched_policy *policy);
void sched_done(struct sched *s); /* every job must have been freed */

/* The transport of that name, made if needed; it lives as long as s. */
struct sched_transport *sched_transport(struct sched *s, struct span name);
/* What there is, for reports; NULL: not in memory. */
const struct sched_transport *sched_find_transport(const struct sched *s, struct span name);
const struct sched_dest *sched_find_dest(const struct sched_transport *t, struct span key);

/*
 * A new job without recipients, not queued. key tells destinations apart (for the
 * concurrency), nexthop is what the agent is told; often they are the same. priority: -9 ... 9.
 */
struct sched_job *sched_job_new(struct sched_transport *t, struct span key, struct span nexthop,
                                int priority, void *owner);
void sched_job_add_rcpt(struct sched_job *j, uint32_t number);
/* Take it out of the queue, if it is in. Tasks in flight are not touched. */
void sched_job_remove(struct sched_job *j);
/* Remove and free; no task of it may be in flight. */
void sched_job_free(struct sched_job *j);
/* The queued job's recipients that no task has: none are left afterwards. */
size_t sched_job_rest(const struct sched_job *j);

/* Queue the job. 0, or -EHOSTDOWN: its destination is suspended or its transport given up, see
 * sched_trouble(); it was not queued. */
int sched_job_queue(struct sched_job *j, uint64_t now);

/* The health that keeps the job from being delivered; NULL: none. */
const struct sched_health *sched_trouble(const struct sched_dest *d, uint64_t now);

/* Too many jobs: park at it (d->parked) whatever has no other destination. */
bool sched_crowded(const struct sched_dest *d);
/* Move from d->parked to ret what may come now; to be called when a job of d was freed. This may free d. */
void sched_unpark(struct sched_dest *d, struct list *ret);

/* The next delivery of this transport, if one may start now. */
bool sched_next(struct sched_transport *t, uint64_t now, struct sched_task *ret);

enum sched_feedback {
    SCHED_ANSWERED,       /* whatever became of the recipients: the destination works */
    SCHED_RELUCTANT,      /* and it has put some of them off */
    SCHED_DEAD,           /* the destination as a whole cannot be reached */
    SCHED_NO_TRANSPORT,   /* the service that delivers cannot be reached */
    SCHED_NO_SERVICE,     /* and there is no such service: no use to wait for it */
    SCHED_UNKNOWN,        /* tells nothing about the destination (the agent died) */
};

/* A task has ended. The job stays (also when it has nothing left). dsn, reason: of SCHED_DEAD, SCHED_NO_TRANSPORT
 * and SCHED_NO_SERVICE. */
void sched_task_done(const struct sched_task *task, enum sched_feedback feedback, const char *dsn,
                     struct span reason, uint64_t now);

/* A queued job that can make no progress (see sched_job_queue), taken out of the queue; NULL: none left. */
struct sched_job *sched_take_stuck(struct sched_dest *d, uint64_t now);
struct sched_job *sched_take_stuck_transport(struct sched_transport *t, uint64_t now);

/* End suspensions and delays whose time is over, one a call: returns the transport that may have work now, or NULL. */
struct sched_transport *sched_wake(struct sched *s, uint64_t now);
/* When the next one ends; UINT64_MAX: none. */
uint64_t sched_next_wake(const struct sched *s);

/* End all suspensions (postqueue -f); sched_wake() then returns the transports. */
void sched_resume_all(struct sched *s);

#endif
