/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offload.c - calls that would block the process run on helper threads
 *
 * A job lies on the waiting fiber's stack. It is handed to the helper that became idle last,
 * whose caches are warm, and who then needs no lock to begin; only when all
 * are busy and no more may be started does it queue.
 *
 * A finished job is pushed on its loop's list, without a lock. The loop's eventfd is written only
 * when the loop sleeps, or is about to, and only for the first job of the list: a
 * loop that is busy looks at the list by itself, and completions of one moment cost one wake-up. The
 * eventfd is watched edge-triggered and never read.
 *
 * Runs in: every process with sessions. Helpers block all signals; they end
 * when they had nothing to do for a while.
 */
#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/internal.h"

enum { HELPERS_DEFAULT = 16, HELPER_STACK = 1024 * 1024, HELPER_IDLE_S = 30 };

struct offload_job {
    struct list link;         /* in helpers.jobs */
    struct offload_job *next; /* in loop.done */
    int (*fn)(void *arg);
    void *arg;
    int result;
    struct fiber *fiber;
    struct loop *loop;
};

/* Lives on its thread's stack. */
struct helper {
    struct list link;        /* in helpers.idle */
    struct offload_job *job; /* given by submit(), who then posts wake */
    sem_t wake;
};

static struct {
    pthread_mutex_t lock;
    struct list jobs; /* not yet begun: all helpers are busy */
    struct list idle; /* idle last first */
    size_t threads, limit;
} helpers = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .jobs = LIST_INIT(helpers.jobs),
    .idle = LIST_INIT(helpers.idle),
    .limit = HELPERS_DEFAULT,
};

void offload_limit(size_t threads)
{
    pthread_mutex_lock(&helpers.lock);
    helpers.limit = threads > 0 ? threads : 1;
    pthread_mutex_unlock(&helpers.lock);
}

/* wait_idle - until a job is given; NULL when there was none for long */
static struct offload_job *wait_idle(struct helper *h)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += HELPER_IDLE_S;
    while (sem_clockwait(&h->wake, CLOCK_MONOTONIC, &until) < 0) {
        if (errno != ETIMEDOUT)
            continue;
        pthread_mutex_lock(&helpers.lock);
        bool given = h->job != NULL; /* at the last moment: the post follows */
        if (!given) {
            list_remove(&h->link);
            helpers.threads--;
        }
        pthread_mutex_unlock(&helpers.lock);
        if (!given)
            return NULL;
        until.tv_sec += HELPER_IDLE_S;
    }
    return h->job;
}

static struct offload_job *next_job(struct helper *h)
{
    pthread_mutex_lock(&helpers.lock);
    struct offload_job *job = LIST_FIRST(&helpers.jobs, struct offload_job, link);
    if (job) {
        list_remove(&job->link);
    } else {
        h->job = NULL;
        list_push_front(&helpers.idle, &h->link);
    }
    pthread_mutex_unlock(&helpers.lock);
    return job ? job : wait_idle(h);
}

/* hand_back - from the moment the job is in the list its loop may end it */
static void hand_back(struct offload_job *job)
{
    struct loop *l = job->loop;
    struct offload_job *head = atomic_load(&l->done);
    const uint64_t one = 1;

    do
        job->next = head;
    while (!atomic_compare_exchange_weak(&l->done, &head, job));
    if (!head && atomic_load(&l->asleep)) {
        ssize_t n = write(l->event_fd, &one, sizeof one);

        assert(n == sizeof one);
    }
}

static void *helper_main(void *first)
{
    struct helper h;

    list_init(&h.link);
    sem_init(&h.wake, 0, 0);
    for (struct offload_job *job = first; job; job = next_job(&h)) {
        job->result = job->fn(job->arg);
        hand_back(job);
    }
    sem_destroy(&h.wake);
    return NULL;
}

/* start_helper - one more thread, all signals blocked; false if the system refuses. The lock is
 * held. */
static bool start_helper(struct offload_job *first)
{
    pthread_attr_t attr;
    sigset_t all, before;
    pthread_t thread;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, HELPER_STACK);
    bool ok = pthread_create(&thread, &attr, helper_main, first) == 0;
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    helpers.threads += ok;
    return ok;
}

/* submit - give the job to the helpers; false if there are none and none can be started */
static bool submit(struct offload_job *job)
{
    pthread_mutex_lock(&helpers.lock);
    struct helper *h = LIST_FIRST(&helpers.idle, struct helper, link);
    bool ok = true;

    if (h) {
        list_remove(&h->link);
        h->job = job;
    } else if (helpers.threads >= helpers.limit || !start_helper(job)) {
        ok = helpers.threads > 0;
        if (ok)
            list_push_back(&helpers.jobs, &job->link);
    }
    pthread_mutex_unlock(&helpers.lock);
    if (h)
        sem_post(&h->wake);
    return ok;
}

/* watch - the loop's eventfd, made at the first offload */
static int watch(struct loop *l)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = l};
    int r = loop_epoll(l);

    if (l->event_fd >= 0 || r < 0)
        return r;
    l->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->event_fd < 0)
        return -errno;
    return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->event_fd, &ev) < 0 ? -errno : 0;
}

int offload(int (*fn)(void *arg), void *arg)
{
    struct loop *l = loop_self();
    struct offload_job job = {.fn = fn, .arg = arg, .fiber = l->current, .loop = l};

    if (!job.fiber || watch(l) < 0)
        return fn(arg);
    if (!submit(&job))
        return fn(arg);
    job.fiber->uncancellable = true;
    fiber_suspend(l, CLOCK_NEVER);
    job.fiber->uncancellable = false;
    return job.result;
}

void offload_collect(struct loop *l)
{
    struct offload_job *job = atomic_load(&l->done) ? atomic_exchange(&l->done, NULL) : NULL;
    struct offload_job *first = NULL;

    while (job) { /* the list has the last one first */
        struct offload_job *before = job->next;

        job->next = first;
        first = job;
        job = before;
    }
    while (first) {
        struct offload_job *next = first->next;

        fiber_wake(l, first->fiber, 0);
        first = next;
    }
}

void offload_after_fork(void)
{
    pthread_mutex_init(&helpers.lock, NULL);
    list_init(&helpers.jobs);
    list_init(&helpers.idle);
    helpers.threads = 0;
}
