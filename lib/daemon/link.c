/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c - the fiber that listens to master: wakeups, drain, stop; and the process's own idea of retiring
 *
 * In a child of a process-a-session daemon the other end is the parent. A reload is none of its business once it has a session,
 * and neither is the death of the parent; then it hears of the end of the suite by a pipe that master holds.
 *
 * Runs in: every daemon.
 */
#include "daemon/internal.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"

enum { WATCH_MS = 5000 };   /* how often files are looked at while the process is in use */

static void run_wakeup(void *arg)
{
    struct running *rd = arg;

    do {
        rd->wake_again = false;
        rd->sv.daemon->wakeup(&rd->sv);
    } while (rd->wake_again && !rd->draining);
    rd->waking = false;
    rd->last_used = clock_ms();
}

void wakeup_run(struct running *rd)
{
    if (!rd->sv.daemon->wakeup || rd->draining)
        return;
    rd->wake_again = true;
    if (rd->waking)
        return;
    rd->waking = true;
    fiber_start(run_wakeup, rd);
}

static bool has_session_of_its_own(const struct running *rd)
{
    return rd->is_child && rd->n_sessions > 0;
}

static void obey(struct running *rd, const struct master_note *note, int fd)
{
    switch (note->kind) {
    case NOTE_WAKEUP:
        wakeup_run(rd);
        break;
    case NOTE_FILE:
        reopen_answered(rd, note, fd);
        break;
    case NOTE_DRAIN:
        if (!has_session_of_its_own(rd))
            serve_drain(rd, false);
        break;
    case NOTE_STOP:
        serve_drain(rd, true);
        if (!rd->is_child)
            process_tell(rd, NOTE_STOP);
        break;
    }
}

/* receive - a note, and the descriptor that came with it or -1 */
static ssize_t receive(int from, struct master_note *note, int *ret_fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = { note, sizeof *note };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
                          .msg_controllen = sizeof control };
    ssize_t n = recvmsg(from, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

    *ret_fd = -1;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
    return n;
}

/* hear - false: the other end is gone */
static bool hear(struct running *rd)
{
    struct master_note note;
    int fd;
    ssize_t n = receive(rd->master_fd, &note, &fd);

    if (n == sizeof note)
        obey(rd, &note, fd);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* run_retirement - a fiber of its own, as tables may be read first, with the help of the one that hears master */
static void run_retirement(void *arg)
{
    struct running *rd = arg;

    if (watch_all_current(rd))
        serve_drain(rd, false);
    rd->retiring = false;
}

void link_retire(struct running *rd)
{
    if (rd->retiring || rd->draining)
        return;
    rd->retiring = true;
    fiber_start(run_retirement, rd);
}

/* look_around - nothing was heard for a while: is there a reason to retire? */
static void look_around(struct running *rd)
{
    const uint64_t idle_ms = (uint64_t)rd->sv.params->max_idle * 1000;

    if (rd->draining || rd->is_child)
        return;
    watch_look(rd);
    if (!rd->sv.daemon->resident && rd->keep_waiting == 0 && rd->n_sessions == 0 && !rd->waking &&
        clock_ms() - rd->last_used >= idle_ms)
        link_retire(rd);
}

/* next_look - soon when there are files to watch, else when the process may have been idle long enough */
static uint64_t next_look(const struct running *rd)
{
    uint64_t ms = (uint64_t)rd->sv.params->max_idle * 1000;

    if (rd->rereads && ms > WATCH_MS)
        ms = WATCH_MS;
    return rd->is_child ? CLOCK_NEVER : clock_deadline_ms((int64_t)ms);
}

static void run_link(void *arg)
{
    struct running *rd = arg;

    while (true) {
        int r = fiber_wait_fd(rd->master_fd, EPOLLIN, next_look(rd));

        if (r == -ETIMEDOUT)
            look_around(rd);
        else if (r == -ECANCELED || !hear(rd))
            break;
    }
    rd->linked = false;
    if (has_session_of_its_own(rd) && rd->stop_fd >= 0)
        fiber_wait_fd(rd->stop_fd, EPOLLIN, CLOCK_NEVER);
    serve_drain(rd, true);
    if (!rd->is_child)
        process_tell(rd, NOTE_STOP);
    while (fiber_sleep_until(CLOCK_NEVER) == 0)
        continue;
}

void link_start(struct running *rd)
{
    rd->linked = !rd->is_child;     /* a child's parent opens nothing */
    fiber_start(run_link, rd);
}
