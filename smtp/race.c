/* SPDX-License-Identifier: Apache-2.0 */
/*
 * race.c - connect to the first of several addresses that answers (RFC 8305 section 5)
 *
 * The first address gets a head start; each further one of equal MX preference joins when that is over
 * or the one before has failed. Who connects first wins, the others are closed. A server that answers at
 * once, which is the rule, costs no more than a plain connect.
 *
 * Runs in: smtp.
 */
#include <errno.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "smtp/smtp.h"

enum { HEAD_START_MS = 250, RUNNERS_MAX = 8 }; /* "Connection Attempt Delay", RFC 8305 section 8 */

struct runner {
    size_t target;
    int fd;
    uint64_t deadline;
};

struct race {
    struct delivery *d;
    struct targets *targets;
    size_t next;                /* target to start next */
    uint16_t preference;        /* of all that take part */
    size_t budget;              /* how many more may be started */
    int epoll;                  /* of the runners, from the second on; else -1 */
    struct runner runners[RUNNERS_MAX];
    size_t n;
    struct failure *why;
};

static void failed(struct race *r, size_t target, int error)
{
    const struct target *t = &r->targets->items[target];
    char addr[INET6_ADDRSTRLEN];
    _cleanup_(str_free) struct str host = STR_INIT;

    str_add_escaped(&host, span_of(t->host), 255, STR_ASCII);
    failure_set(r->why, false, "4.4.1", "connect to %s[%s]:%u: %s", str_cstr(&host),
                socket_addr_print(&t->addr, addr), socket_addr_port(&t->addr),
                error == -ETIMEDOUT ? "Connection timed out" : strerror(-error));
    log_info("%s", str_cstr(&r->why->text));
}

/* Start the next target. The descriptor when it is connected already, else -EINPROGRESS or -EAGAIN: try another. */
static int start_next(struct race *r)
{
    size_t target = r->next++;
    struct target *t = &r->targets->items[target];
    bool connected = false;

    t->tried = true;
    r->budget--;
    int fd = connection_begin(r->d, t, &connected);
    if (fd < 0) {
        failed(r, target, fd);
        return -EAGAIN;
    }
    if (connected)
        return fd;
    r->runners[r->n++] = (struct runner){ target, fd,
                                          clock_deadline_ms(r->d->client->params->smtp_connect_timeout * 1000) };
    return -EINPROGRESS;
}

static bool may_start(struct race *r)
{
    const struct targets *t = r->targets;

    while (r->next < t->len && t->items[r->next].tried)
        r->next++;
    return r->n < RUNNERS_MAX && r->budget > 0 && r->next < t->len &&
           t->items[r->next].preference == r->preference;
}

static void drop(struct race *r, size_t i)
{
    close(r->runners[i].fd);
    r->runners[i] = r->runners[--r->n];
}

/* One runner waits by itself; for more an epoll descriptor is waited for, in which all of them are. */
static int wait_for_one(struct race *r, uint64_t until)
{
    if (r->n == 1 && r->epoll < 0)
        return fiber_wait_fd(r->runners[0].fd, EPOLLOUT, until);
    if (r->epoll < 0)
        r->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; r->epoll >= 0 && i < r->n; i++) {
        struct epoll_event e = { .events = EPOLLOUT };
        epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->runners[i].fd, &e); /* EEXIST: from the turn before */
    }
    return r->epoll < 0 ? -errno : fiber_wait_fd(r->epoll, EPOLLIN, until);
}

/* Look at every runner: the descriptor of a connected one, or -EAGAIN */
static int look(struct race *r, struct target **ret)
{
    uint64_t now = clock_ms();

    for (size_t i = 0; i < r->n;) {
        struct runner *run = &r->runners[i];
        int error = socket_connect_state(run->fd);
        if (error == 0) {
            int fd = run->fd;
            *ret = &r->targets->items[run->target];
            r->runners[i] = r->runners[--r->n];
            return fd;
        }
        if (error == -EINPROGRESS && now < run->deadline) {
            i++;
            continue;
        }
        failed(r, run->target, error == -EINPROGRESS ? -ETIMEDOUT : error);
        drop(r, i);
    }
    return -EAGAIN;
}

static uint64_t next_deadline(struct race *r)
{
    uint64_t until = may_start(r) ? clock_deadline_ms(HEAD_START_MS) : CLOCK_NEVER;

    for (size_t i = 0; i < r->n; i++)
        if (r->runners[i].deadline < until)
            until = r->runners[i].deadline;
    return until;
}

static int run(struct race *r, struct target **ret)
{
    bool behind = true;         /* the one before has failed, or had its head start */

    for (;;) {
        size_t before = r->n;
        if (behind && may_start(r)) {
            *ret = &r->targets->items[r->next];
            int fd = start_next(r);
            if (fd >= 0)
                return fd;
            if (fd == -EAGAIN)
                continue;
            before = r->n;
        }
        if (r->n == 0)
            return -EHOSTUNREACH;
        int e = wait_for_one(r, next_deadline(r));
        if (e < 0 && e != -ETIMEDOUT) {
            failure_set(r->why, false, "4.3.0", "cannot wait for connections: %s", strerror(-e));
            return e;
        }
        int fd = look(r, ret);
        if (fd >= 0)
            return fd;
        behind = e == -ETIMEDOUT || r->n < before;
    }
}

int race_connect(struct delivery *d, struct targets *targets, size_t first, size_t budget, struct target **ret,
                 struct failure *why)
{
    struct race r = { .d = d, .targets = targets, .next = first, .preference = targets->items[first].preference,
                      .budget = budget, .epoll = -1, .why = why };
    int fd = run(&r, ret);
    while (r.n > 0) {
        r.targets->items[r.runners[0].target].tried = false; /* it lost, which says nothing against it */
        drop(&r, 0);
    }
    if (r.epoll >= 0)
        close(r.epoll);
    return fd;
}
