/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.c - the turns of the loop: run who is ready, then see what the kernel has
 *
 * A turn runs each ready fiber once. Events are fetched when nobody is ready,
 * and every few turns otherwise: one epoll_wait serves a whole burst. Deadlines
 * are looked at after events, so that data that came in time wins.
 *
 * Runs in: every process with sessions.
 */
#include "io/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/internal.h"

enum {
    EVENTS_BATCH = 64,
    BUSY_TURNS = 8,       /* without asking the kernel */
    TRIM_AFTER_MS = 5000, /* a fiber that waits longer gives stack pages back */
    TRIM_EVERY_MS = 1000,
};

struct loop *loop_self(void)
{
    static _Thread_local struct loop loop;

    if (!loop.ready.next) {
        loop.epoll_fd = loop.event_fd = -1;
        list_init(&loop.ready);
        list_init(&loop.fibers);
        loop.now = clock_ms();
    }
    return &loop;
}

int loop_epoll(struct loop *l)
{
    if (l->epoll_fd < 0)
        l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return l->epoll_fd < 0 ? -errno : 0;
}

/* run_turn - each fiber that is ready now; those they wake come in the next turn */
static void run_turn(struct loop *l)
{
    struct list turn;

    list_init(&turn);
    while (!list_empty(&l->ready)) {
        struct list *first = l->ready.next;

        list_remove(first);
        list_push_back(&turn, first);
    }
    while (!list_empty(&turn)) {
        struct fiber *f = LIST_ENTRY(shuffle_first(&turn), struct fiber, link);

        list_remove(&f->link);
        if (shuffle_chance(8))
            list_push_back(&l->ready, &f->link);
        else
            fiber_resume(l, f);
    }
}

/* trim_waiting - stacks of those that wait for long; returns when to look again */
static uint64_t trim_waiting(struct loop *l)
{
    struct fiber *f;

    LIST_FOREACH (f, &l->fibers, struct fiber, all) {
        if (f->state != FIBER_WAITING || f->trimmed)
            continue;
        if (f->ran_at + TRIM_AFTER_MS > l->now)
            return l->now + TRIM_EVERY_MS;
        fiber_trim(f);
    }
    return CLOCK_NEVER;
}

/* sleep_ms - how long epoll may wait: 0 when someone is ready, -1 for ever */
static int sleep_ms(struct loop *l, uint64_t trim_at)
{
    struct heap_node *first = heap_min(&l->timers);
    uint64_t until = trim_at, now = clock_ms();

    if (!list_empty(&l->ready))
        return 0;
    if (first && first->key < until)
        until = first->key;
    if (until == CLOCK_NEVER)
        return -1;
    if (until <= now)
        return 0;
    return until - now > INT_MAX ? INT_MAX : (int)(until - now);
}

/* expire - wake those whose deadline has passed */
static void expire(struct loop *l)
{
    struct heap_node *n;

    while ((n = heap_min(&l->timers)) && n->key <= l->now && !shuffle_chance(8))
        fiber_wake(l, CONTAINER_OF(n, struct fiber, timer), -ETIMEDOUT);
}

/* fetch - sleep until something happens, and wake whom it concerns; 0 or -errno */
static int fetch(struct loop *l, uint64_t *trim_at)
{
    struct epoll_event events[EVENTS_BATCH];
    int timeout = sleep_ms(l, *trim_at);

    if (timeout != 0) {
        if (l->before_sleep)
            l->before_sleep();
        atomic_store(&l->asleep, true);
        if (atomic_load(&l->done)) /* its helper saw us awake, and wrote no event */
            timeout = 0;
    }
    int n = epoll_wait(l->epoll_fd, events, (int)shuffle_part(EVENTS_BATCH), timeout);
    int error = errno;
    atomic_store(&l->asleep, false);
    if (n < 0 && error != EINTR)
        return -error;
    l->now = clock_ms();
    l->batch = events;
    l->batch_len = n;
    for (int i = 0; i < n; i++)
        if (events[i].data.ptr && events[i].data.ptr != l)
            poll_fd_note(l, events[i].data.ptr, events[i].events);
    l->batch_len = 0;
    if (!shuffle_chance(4))
        offload_collect(l);
    expire(l);
    if (*trim_at <= l->now)
        *trim_at = trim_waiting(l);
    else if (*trim_at == CLOCK_NEVER)
        *trim_at = l->now + TRIM_AFTER_MS;
    return 0;
}

int loop_run(void)
{
    struct loop *l = loop_self();
    uint64_t trim_at = CLOCK_NEVER;
    int r = loop_epoll(l);

    assert(!l->current && !l->running);
    l->running = true;
    while (r == 0 && l->n_fibers > 0 && !l->stop) {
        for (size_t i = 0; i < shuffle_part(BUSY_TURNS) && !list_empty(&l->ready) && !l->stop; i++)
            run_turn(l);
        if (l->n_fibers > 0 && !l->stop)
            r = fetch(l, &trim_at);
    }
    l->running = l->stop = false;
    return r;
}

void loop_stop(void)
{
    loop_self()->stop = true;
}

void loop_before_sleep(void (*fn)(void))
{
    loop_self()->before_sleep = fn;
}

/* The caller's stack stays in use; the others serve again, which spares a child new mappings. */
static void reuse_stacks(struct loop *l)
{
    struct list *at = l->fibers.next;

    while (at != &l->fibers) {
        struct fiber *f = LIST_ENTRY(at, struct fiber, all);

        at = at->next;
        if (f != l->current)
            fiber_forget(f);
    }
}

void loop_after_fork(void)
{
    struct loop *l = loop_self();
    void (*before_sleep)(void) = l->before_sleep;

    reuse_stacks(l);

    /* Only this process's copies: the parent's epoll keeps its registrations. */
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    if (l->event_fd >= 0)
        close(l->event_fd);
    for (size_t i = 0; i < l->by_fd_len; i++)
        if (l->by_fd[i])
            l->by_fd[i]->registered = 0;
    free(l->by_fd);
    heap_done(&l->timers);
    *l = (struct loop){.before_sleep = before_sleep};
    loop_self();
    offload_after_fork();
}
