/* SPDX-License-Identifier: Apache-2.0 */
/*
 * race.c - connect to the first of several addresses that answers (RFC 8305 section 5)
 *
 * The first address gets a head start; each further one of equal MX preference joins when that is
 * over or the one before has failed. Who connects first wins, the others are closed. A server that
 * answers at once, which is the rule, costs no more than a plain connect.
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
    struct poll_fd *watch;      /* when several run */
    uint64_t deadline;
};

struct race {
    struct delivery *d;
    struct targets *targets;
    size_t next;                /* target to start next */
    uint16_t preference;        /* of all that take part */
    size_t budget;              /* how many more may be started */
    struct waitq arrival;       /* woken by every watch */
    struct runner runners[RUNNERS_MAX];
    size_t n;
    struct failure *why;
};

static void failed(struct race *r, size_t target, int error)
{
    _cleanup_(str_free) struct str name = STR_INIT;

    target_add_name(&r->targets->items[target], &name);
    failure_set(r->why, false, "4.4.1", "connect to %s: %s", str_cstr(&name),
                error == -ETIMEDOUT ? "Connection timed out" : strerror(-error));
    log_info("%s", str_cstr(&r->why->text));
}

/* Start the next target. The descriptor when it is connected already, else -EINPROGRESS or -EAGAIN:
 * try another. */
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
    r->runners[r->n++] = (struct runner){
        .target = target,
        .fd = fd,
        .deadline = clock_deadline_ms(r->d->client->params->smtp_connect_timeout * 1000)};
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

/* Take a runner out; its descriptor is the caller's. */
static int release(struct race *r, size_t i)
{
    int fd = r->runners[i].fd;

    poll_fd_free(r->runners[i].watch);
    r->runners[i] = r->runners[--r->n];
    return fd;
}

static void arrived(void *arg, unsigned events)
{
    struct race *r = arg;

    (void)events;
    waitq_wake(&r->arrival, 1);
}

/* One runner is waited for directly; several are watched, and whichever has news wakes us. */
static int wait_for_one(struct race *r, uint64_t until)
{
    if (r->n == 1 && !r->runners[0].watch)
        return fiber_wait_fd(r->runners[0].fd, EPOLLOUT, until);
    for (size_t i = 0; i < r->n; i++) {
        struct runner *run = &r->runners[i];
        if (!run->watch) {
            run->watch = poll_fd_new_callback(run->fd, arrived, r);
            int e = poll_fd_watch(run->watch, EPOLLOUT);
            if (e < 0)
                return e;
        }
    }
    return waitq_wait(&r->arrival, until);
}

/* Look at every runner: the descriptor of a connected one, or -EAGAIN */
static int look(struct race *r, struct target **ret)
{
    uint64_t now = clock_ms();

    for (size_t i = 0; i < r->n;) {
        struct runner *run = &r->runners[i];
        int error = socket_connect_state(run->fd);
        if (error == 0) {
            *ret = &r->targets->items[run->target];
            return release(r, i);
        }
        if (error == -EINPROGRESS && now < run->deadline) {
            i++;
            continue;
        }
        failed(r, run->target, error == -EINPROGRESS ? -ETIMEDOUT : error);
        close(release(r, i));
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

int race_connect(struct delivery *d, struct targets *targets, size_t first, size_t budget,
                 struct target **ret, struct failure *why)
{
    struct race r = {.d = d,
                     .targets = targets,
                     .next = first,
                     .preference = targets->items[first].preference,
                     .budget = budget,
                     .why = why};
    waitq_init(&r.arrival);
    int fd = run(&r, ret);
    while (r.n > 0) {
        if (fd >= 0)            /* it lost, which says nothing against it */
            r.targets->items[r.runners[0].target].tried = false;
        close(release(&r, 0));
    }
    return fd;
}
