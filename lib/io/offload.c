/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offload.c - calls that would block the process run on helper threads
 *
 * A job lies on the waiting fiber's stack. A helper puts the finished job into
 * the list of its loop and writes the loop's eventfd only when that list was
 * empty: completions of one moment cost one wake-up. The eventfd is watched
 * edge-triggered and never read.
 *
 * Runs in: every process with sessions. Helpers block all signals; they end
 * when they had nothing to do for a while.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/internal.h"

enum { HELPERS_DEFAULT = 16, HELPER_STACK = 1024 * 1024, HELPER_IDLE_S = 30 };

struct job {
    struct list link;
    int (*fn)(void *arg);
    void *arg;
    int result;
    struct fiber *fiber;
    struct loop *loop;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct list jobs; /* not yet begun */
    size_t waiting;   /* length of jobs */
    size_t threads, idle, limit;
} helpers = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .more = PTHREAD_COND_INITIALIZER,
    .jobs = LIST_INIT(helpers.jobs),
    .limit = HELPERS_DEFAULT,
};

void offload_limit(size_t threads)
{
    pthread_mutex_lock(&helpers.lock);
    helpers.limit = threads > 0 ? threads : 1;
    pthread_mutex_unlock(&helpers.lock);
}

/* next_job - wait for one; NULL when there was none for long. The lock is held. */
static struct job *next_job(void)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += HELPER_IDLE_S;
    helpers.idle++;
    while (list_empty(&helpers.jobs))
        if (pthread_cond_timedwait(&helpers.more, &helpers.lock, &until) == ETIMEDOUT)
            break;
    helpers.idle--;
    struct job *job = LIST_FIRST(&helpers.jobs, struct job, link);
    if (job) {
        list_remove(&job->link);
        helpers.waiting--;
    }
    return job;
}

/* hand_back - from the moment the job is in the list its loop may end it */
static void hand_back(struct job *job)
{
    struct loop *l = job->loop;
    int event_fd = l->event_fd;
    const uint64_t one = 1;

    pthread_mutex_lock(&l->done_lock);
    bool first = list_empty(&l->done);
    list_push_back(&l->done, &job->link);
    pthread_mutex_unlock(&l->done_lock);
    if (first) {
        ssize_t n = write(event_fd, &one, sizeof one);

        assert(n == sizeof one);
    }
}

static void *helper_main(void *unused)
{
    struct job *job;

    (void)unused;
    pthread_mutex_lock(&helpers.lock);
    while ((job = next_job())) {
        pthread_mutex_unlock(&helpers.lock);
        job->result = job->fn(job->arg);
        hand_back(job);
        pthread_mutex_lock(&helpers.lock);
    }
    helpers.threads--;
    pthread_mutex_unlock(&helpers.lock);
    return NULL;
}

/* start_helper - one more thread, all signals blocked; false if the system refuses. The lock is
 * held. */
static bool start_helper(void)
{
    pthread_attr_t attr;
    sigset_t all, before;
    pthread_t thread;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, HELPER_STACK);
    bool ok = pthread_create(&thread, &attr, helper_main, NULL) == 0;
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    helpers.threads += ok;
    return ok;
}

/* submit - give the job to the helpers; false if there are none and none can be started */
static bool submit(struct job *job)
{
    pthread_mutex_lock(&helpers.lock);
    if (helpers.idle <= helpers.waiting && helpers.threads < helpers.limit)
        start_helper();
    bool ok = helpers.threads > 0;
    if (ok) {
        list_push_back(&helpers.jobs, &job->link);
        helpers.waiting++;
        pthread_cond_signal(&helpers.more);
    }
    pthread_mutex_unlock(&helpers.lock);
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
    struct job job = {.fn = fn, .arg = arg, .fiber = l->current, .loop = l};

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
    struct list done;

    list_init(&done);
    pthread_mutex_lock(&l->done_lock);
    while (!list_empty(&l->done)) {
        struct list *first = l->done.next;

        list_remove(first);
        list_push_back(&done, first);
    }
    pthread_mutex_unlock(&l->done_lock);
    while (!list_empty(&done)) {
        struct job *job = LIST_ENTRY(done.next, struct job, link);

        list_remove(&job->link);
        fiber_wake(l, job->fiber, 0);
    }
}

void offload_after_fork(void)
{
    pthread_mutex_init(&helpers.lock, NULL);
    pthread_cond_init(&helpers.more, NULL);
    list_init(&helpers.jobs);
    helpers.waiting = helpers.threads = helpers.idle = 0;
}
