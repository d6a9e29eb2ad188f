/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waiting.c - children of a process-a-session daemon that wait for a connection themselves
 *
 * The parent forks them ahead of time, so that neither exec nor fork nor the first touch of memory stands in a client's
 * way. They share the listening socket, of whose waiters the kernel wakes one (EPOLLEXCLUSIVE). The one
 * that has taken a connection says FULL to its parent, as the parent would to master, and is replaced.
 *
 * The parent accepts nothing. Where a burst finds none waiting, connections wait in the socket for the next fork,
 * as they would without a pool. Waiting ones that die unasked are replaced after a delay that doubles, so that a fault at
 * their start does not become a storm of forks.
 *
 * Runs in: imapd, pop3d.
 */
#include "daemon/internal.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/loop.h"

enum { REFILL_FIRST_MS = 100, REFILL_MAX_MS = 10000, CANNOT_ACCEPT_PAUSE_MS = 1000, NAME_MAX_LEN = 15 };

/* ---- in the child ---- */

/* For ps(1) and its like: which processes have no client yet */
static void name_process(const struct running *rd, const char *suffix)
{
    char name[NAME_MAX_LEN + 1];

    snprintf(name, sizeof name, "%s%s", rd->sv.daemon->name, suffix);
    prctl(PR_SET_NAME, name);
}

static int wait_for_connection(int fd)
{
    fiber_set_idle(true);
    int r = fiber_wait_fd(fd, EPOLLIN, CLOCK_NEVER);
    fiber_set_idle(false);
    return r;
}

/*
 * One connection, and no more: the session that it starts is the process's. The kernel tells only one process of a connection,
 * so it takes it also when it is told to go in the same moment.
 */
static void run_waiter(void *arg)
{
    struct listener *l = arg;
    struct running *rd = l->rd;
    bool told = false;
    int r = 0;

    while (!rd->full && (told || !rd->draining) && r != -ECANCELED) {
        r = serve_accept_one(l);
        if (r == -EAGAIN) {
            r = wait_for_connection(l->fd);
            told = r > 0;
        } else if (r < 0) {
            log_warn_errno(r, "service %s: cannot accept; waiting", rd->sv.service);
            told = false;
            r = fiber_sleep_until(clock_deadline_ms(CANNOT_ACCEPT_PAUSE_MS));
        }
    }
    close(l->fd);
    name_process(rd, "");
}

static _Noreturn void wait_as_child(struct running *rd, int parent_fd)
{
    process_become_child(rd, parent_fd);
    rd->max_sessions = 1;
    name_process(rd, "-waiting");
    for (size_t i = 0; i < rd->n_listeners; i++)
        fiber_start(run_waiter, &rd->listeners[i]);
    loop_run();
    log_flush();
    _exit(0);
}

/* ---- in the parent ---- */

static size_t missing(const struct running *rd)
{
    size_t room = rd->max_sessions - (rd->n_sessions < rd->max_sessions ? rd->n_sessions : rd->max_sessions);
    size_t want = rd->full ? 0 : rd->keep_waiting < room ? rd->keep_waiting : room;

    return want > rd->n_waiting ? want - rd->n_waiting : 0;
}

bool waiting_heard(struct running *rd, struct child *c)
{
    struct master_note note;
    ssize_t n = recv(c->fd, &note, sizeof note, MSG_DONTWAIT);

    if (n == sizeof note && note.kind == NOTE_FULL) {
        poll_fd_free(TAKE_PTR(c->notes));
        c->waiting = false;
        rd->n_waiting--;
        rd->refill_delay_ms = 0;
        serve_one_began(rd);
        serve_tell_retiring(rd);
    } else if (n == 0) {
        poll_fd_free(TAKE_PTR(c->notes));   /* it is ending; its status is still to come */
    }
    return !c->waiting;
}

static void on_note(void *arg, unsigned events)
{
    struct child *c = arg;

    (void)events;
    if (waiting_heard(c->rd, c))
        waitq_wake(&c->rd->refill, 1);
}

static void hold_off(struct running *rd)
{
    rd->refill_delay_ms = rd->refill_delay_ms == 0 ? REFILL_FIRST_MS : rd->refill_delay_ms * 2;
    if (rd->refill_delay_ms > REFILL_MAX_MS)
        rd->refill_delay_ms = REFILL_MAX_MS;
    rd->refill_at = clock_deadline_ms(rd->refill_delay_ms);
}

void waiting_died(struct running *rd, int status)
{
    rd->n_waiting--;
    serve_tell_retiring(rd);
    if (rd->draining)
        waitq_wake(&rd->quiet, SIZE_MAX);
    else if (status != 0)
        hold_off(rd);
}

static void start_one(struct running *rd)
{
    int parent_fd;
    struct child *c = process_fork(rd, &parent_fd);

    if (parent_fd >= 0)
        wait_as_child(rd, parent_fd);
    if (!c) {
        hold_off(rd);
        return;
    }
    c->waiting = true;
    rd->n_waiting++;
    c->notes = poll_fd_new_callback(c->fd, on_note, c);
    poll_fd_watch(c->notes, EPOLLIN);
}

static void run_refill(void *arg)
{
    struct running *rd = arg;
    int r = 0;

    fiber_set_idle(true);
    while (!rd->draining && r != -ECANCELED) {
        while (missing(rd) > 0 && clock_ms() >= rd->refill_at)
            start_one(rd);
        r = waitq_wait(&rd->refill, missing(rd) > 0 ? rd->refill_at : CLOCK_NEVER);
    }
    process_disown_listeners(rd);
}

void waiting_start(struct running *rd)
{
    fiber_start(run_refill, rd);
}

void waiting_drain(struct running *rd)
{
    const struct master_note note = { NOTE_DRAIN, 0, 0 };
    struct child *c;

    LIST_FOREACH(c, &rd->children, struct child, link)
        if (c->waiting && send(c->fd, &note, sizeof note, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            continue;           /* it is ending */
}
