/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll_fd.c - waiting for descriptors
 *
 * A poll_fd is registered with epoll once, edge-triggered, at its first wait;
 * for writing only while somebody waits to write, since a Unix socket reports
 * "writable" each time its peer reads, which would wake us twice a request.
 *
 * fiber_wait_fd() registers for the one wait, EPOLLEXCLUSIVE, so that of several
 * processes that wait for one listening socket the kernel wakes only one.
 *
 * A registration is always removed by hand: closing the descriptor does not do
 * it while another process holds a copy, and an event for a dead poll_fd would
 * follow.
 *
 * Runs in: every process with sessions.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/internal.h"

/* slot - where the poll_fd of fd is noted */
static struct poll_fd **slot(struct loop *l, int fd)
{
    size_t i = (size_t)fd;

    if (i >= l->by_fd_len) {
        size_t len = i < 32 ? 64 : i * 2;

        l->by_fd = mem_realloc(l->by_fd, len, sizeof *l->by_fd);
        for (size_t k = l->by_fd_len; k < len; k++)
            l->by_fd[k] = NULL;
        l->by_fd_len = len;
    }
    return &l->by_fd[i];
}

static int add(struct loop *l, struct poll_fd *p, unsigned events)
{
    struct epoll_event ev = {.events = events, .data.ptr = p};
    int r = loop_epoll(l);

    if (r < 0)
        return r;
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, p->fd, &ev) < 0)
        return -errno;
    p->registered = events;
    *slot(l, p->fd) = p;
    return 0;
}

static void del(struct loop *l, struct poll_fd *p)
{
    if (!p->registered)
        return;
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, p->fd, NULL); /* fails only if fd was closed before us */
    p->registered = 0;
    *slot(l, p->fd) = NULL;
    for (int i = 0; i < l->batch_len; i++)
        if (l->batch[i].data.ptr == p)
            l->batch[i].data.ptr = NULL;
}

struct poll_fd *poll_fd_new(int fd)
{
    struct poll_fd *p = mem_new(struct poll_fd);

    p->fd = fd;
    return p;
}

void poll_fd_free(struct poll_fd *p)
{
    if (!p)
        return;
    assert(!p->reader && !p->writer);
    del(loop_self(), p);
    free(p);
}

struct poll_fd *poll_fd_new_callback(int fd, void (*fn)(void *arg, unsigned events), void *arg)
{
    struct poll_fd *p = poll_fd_new(fd);

    p->fn = fn;
    p->arg = arg;
    return p;
}

int poll_fd_watch(struct poll_fd *p, unsigned events)
{
    struct loop *l = loop_self();
    struct epoll_event ev = {.events = events, .data.ptr = p};

    if (p->registered == events)
        return 0;
    if (p->registered && events) {
        p->registered = events;
        return epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, p->fd, &ev) < 0 ? -errno : 0;
    }
    del(l, p);
    return events ? add(l, p, events) : 0;
}

void poll_fd_clear(struct poll_fd *p, unsigned events)
{
    p->seen = (p->seen & ~events) | p->sticky;
}

void poll_fd_note(struct loop *l, struct poll_fd *p, unsigned events)
{
    if (p->fn) {
        p->fn(p->arg, events);
        return;
    }
    if (events & EPOLLRDHUP)
        p->sticky |= EPOLLIN;
    if (events & EPOLLHUP)
        p->sticky |= EPOLLIN | EPOLLOUT;
    if (events & EPOLLERR)
        events |= EPOLLIN | EPOLLOUT;
    p->seen |= (events & (EPOLLIN | EPOLLOUT)) | p->sticky;
    if (p->reader && (p->seen & EPOLLIN))
        fiber_wake(l, p->reader, 0);
    if (p->writer && (p->seen & EPOLLOUT))
        fiber_wake(l, p->writer, 0);
}

/* wait_note - the running fiber waits until p has seen one of events */
static int wait_note(struct loop *l, struct poll_fd *p, unsigned events, uint64_t deadline)
{
    struct fiber *f = l->current;

    assert(!(events & EPOLLIN) || !p->reader);
    assert(!(events & EPOLLOUT) || !p->writer);
    if (events & EPOLLIN)
        p->reader = f;
    if (events & EPOLLOUT)
        p->writer = f;
    int r = fiber_suspend(l, deadline);
    if (events & EPOLLIN)
        p->reader = NULL;
    if (events & EPOLLOUT)
        p->writer = NULL;
    if (r < 0)
        return r;
    unsigned got = p->seen & events;
    poll_fd_clear(p, events);
    return (int)got;
}

/* ask - register p for events (EPOLLIN always); what is the case now is reported again */
static int ask(struct loop *l, struct poll_fd *p, unsigned events)
{
    struct epoll_event ev = {.events = events | EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = p};

    if (!p->registered)
        return add(l, p, ev.events);
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, p->fd, &ev) < 0)
        return -errno;
    p->registered = ev.events;
    return 0;
}

int poll_fd_wait(struct poll_fd *p, unsigned events, uint64_t deadline)
{
    struct loop *l = loop_self();
    unsigned got = p->seen & events;

    if (!l->current)
        return poll_wait_blocking(p->fd, events, deadline);
    if (got) {
        shuffle_yield();
        got = p->seen & events;
        poll_fd_clear(p, events);
        return (int)got;
    }
    unsigned out = p->writer ? EPOLLOUT : events & EPOLLOUT;
    if (!p->registered || (p->registered & EPOLLOUT) != out) {
        int r = ask(l, p, out);

        if (r < 0)
            return r;
    }
    return wait_note(l, p, events, deadline);
}

/* rearm - register p (again) for events, so that what is the case now is reported */
static int rearm(struct loop *l, struct poll_fd *p, unsigned events)
{
    p->seen = 0;
    if (p->users == 0) /* a stream's, or the like */
        return ask(l, p, (events | p->registered) & EPOLLOUT);
    events |= p->registered;
    del(l, p); /* an exclusive registration cannot be modified */
    return add(l, p, events | EPOLLET | EPOLLEXCLUSIVE);
}

int fiber_wait_fd(int fd, unsigned events, uint64_t deadline)
{
    struct loop *l = loop_self();

    events &= EPOLLIN | EPOLLOUT;
    if (!l->current)
        return poll_wait_blocking(fd, events, deadline);
    assert(fd >= 0);
    struct poll_fd *p = *slot(l, fd);
    bool temporary = !p || p->users > 0;
    if (!p)
        p = poll_fd_new(fd);
    if (temporary)
        p->users++;
    int r = rearm(l, p, events);
    if (r == 0)
        r = wait_note(l, p, events, deadline);
    if (temporary && --p->users == 0)
        poll_fd_free(p);
    return r;
}

/* remaining_ms - for poll(2) */
static int remaining_ms(uint64_t deadline)
{
    uint64_t now = clock_ms();

    if (deadline == CLOCK_NEVER)
        return -1;
    if (deadline <= now)
        return 0;
    return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}

int poll_wait_blocking(int fd, unsigned events, uint64_t deadline)
{
    struct pollfd pfd = {.fd = fd, .events = (short)events};

    for (;;) {
        int n = poll(&pfd, 1, remaining_ms(deadline));

        if (n > 0) {
            unsigned got = (unsigned short)pfd.revents;

            return (int)(got & events ? got & events
                                      : events); /* error, hang-up: the next call tells */
        }
        if (n < 0 && errno != EINTR)
            return -errno;
        if (deadline != CLOCK_NEVER && clock_ms() >= deadline)
            return -ETIMEDOUT;
    }
}
