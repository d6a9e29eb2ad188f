/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - qmgr, the queue manager: decides which message goes where, and when
 *
 * Owns cur/, and what it has taken notice of in new/. It parses queue files that cleanup wrote and messages of delivery agents; nothing from a network.
 * Memory holds an index of all messages and the envelopes of those in delivery; all else is in
 * the queue files, so that it can be killed at any moment.
 *
 * There is one qmgr. On reload a successor is started while this one drains: the successor waits until
 * this one gives up the lock on cur/, which it does at once; the files of deliveries still in flight stay
 * locked one by one until they have ended, and the successor leaves them alone.
 *
 * May touch: the queue directory (read, rename, unlink), its lookup tables, the sockets of delivery
 * agents, bounce and proxymap. Runs as mail_owner; no network.
 *
 * Parameters: its manual page lists them, made from what these sources read.
 */
#include <errno.h>
#include <sys/file.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "qmgr/active.h"
#include "qmgr/authorize.h"
#include "qmgr/clock.h"
#include "qmgr/limits.h"
#include "qmgr/message.h"
#include "qmgr/qmgr.h"
#include "qmgr/remove.h"
#include "qmgr/scan.h"
#include "qmgr/session.h"

#define LOCK_POLL_MS 50
#define CROWD_SHARE  10 /* one destination gets so much of the active set before mail for it waits outside */

/* ---- start ---- */

static uint64_t random_ms(uint64_t max_ms)
{
    return rand_below(max_ms + 1);
}

static void init_policies(struct qmgr *q, const struct params *p)
{
    const struct sched_policy policy = {
        .limits = limits_of_transport,
        .arg = q->sv,
        .jitter = random_ms,
        .crowd = q->active_max / CROWD_SHARE,
        .min_backoff_ms = (uint64_t)p->minimal_backoff_time * 1000,
        .max_backoff_ms = (uint64_t)p->maximal_backoff_time * 1000,
        .transport_retry_ms = (uint64_t)p->transport_retry_time * 1000,
    };

    sched_init(&q->sched, &policy);
    q->retry = (struct retry_policy){
        .min_backoff = p->minimal_backoff_time,
        .max_backoff = p->maximal_backoff_time,
        .lifetime = p->maximal_queue_lifetime,
        .bounce_lifetime = p->bounce_queue_lifetime,
        .max_attempts = p->maximal_delivery_attempts,
        .fault_backoff = p->transport_retry_time,
    };
}

/* Half of the descriptors may be files of active messages; the others are connections. */
static size_t open_files_limit(void)
{
    struct rlimit limit = { .rlim_cur = 1024 };

    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur / 2;
}

static int start(struct server *sv)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    const struct params *p = sv->params;
    struct qmgr *q = mem_new(struct qmgr);

    q->sv = sv;
    q->settled_fd = -1;
    q->digests = (struct digests){ NAMES_INIT, NAMES_INIT };
    list_init(&q->incoming);
    list_init(&q->actives);
    list_init(&q->large);
    waitq_init(&q->scanned);
    list_init(&q->removals);
    waitq_init(&q->clock);
    q->active_max = (size_t)p->qmgr_message_active_limit;
    q->open_max = open_files_limit();
    q->large_max = (size_t)p->qmgr_message_recipient_limit;
    init_policies(q, p);
    int r = router_open(sv->conf, p, &q->router, &err);
    if (r < 0) {
        log_error("%s", str_cstr(&err));
        return r;
    }
    r = authorize_open(q);
    if (r < 0 || daemon_checking(sv))
        return r;
    r = queue_dirs_open(p->queue_directory, (1u << QUEUE_PLACES) - 1, &q->dirs);
    if (r < 0)
        return log_error_errno(r, "cannot open the queue below %s", p->queue_directory);
    q->bounce = ipc_pool_new(p->bounce_service_name, p->ipc_idle * 1000, 16);
    sv->state = q;
    return 0;
}

/* Wait until there is no other qmgr. */
static int lock_queue(struct qmgr *q)
{
    while (flock(q->dirs.fd[QUEUE_CUR], LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return log_error_errno(-errno, "cannot lock cur/");
        int r = fiber_sleep_until(clock_ms() + LOCK_POLL_MS);

        if (r < 0)
            return r;
    }
    return 0;
}

static int ready(struct server *sv)
{
    struct qmgr *q = sv->state;
    int r = lock_queue(q);

    if (r < 0)
        return r;
    remove_settled(q);
    scan_new(q);
    scan_cur(q);
    fiber_start(clock_fiber, q);
    return 0;
}

/* ---- end ---- */

/* Draining: what is in flight is ours to the end, all else is our successor's. */
static void stop(struct server *sv)
{
    struct qmgr *q = sv->state;
    struct active *a;

    q->stopping = true;
    remove_all_now(q);
    LIST_FOREACH(a, &q->actives, struct active, link) {
        message_keep(q, a->m); /* our successor takes what is in new/ */
        if (a->fd >= 0 && flock(a->fd, LOCK_EX | LOCK_NB) < 0)
            log_warn_errno(-errno, "%s: cannot lock; it may be delivered twice", a->m->id);
        active_recall(a);
    }
    flock(q->dirs.fd[QUEUE_CUR], LOCK_UN);
    clock_wake(q);
}

int main(int argc, char **argv)
{
    static const struct daemon qmgr = {
        .name = "qmgr",
        .mode = DAEMON_FIBERS,
        .sandbox = {
            .user = RUN_AS_QUEUE,
            .flags = SANDBOX_NSS,
            .write = { "$queue_directory" },
        },
        .start = start,
        .ready = ready,
        .session = qmgr_session,
        .stop = stop,
        .resident = true,
    };

    return daemon_main(&qmgr, argc, argv);
}
