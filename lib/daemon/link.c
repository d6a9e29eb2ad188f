/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c - the fiber that listens to master: wakeups, drain, stop; and the process's own idea of retiring
 *
 * In a child of a process-a-session daemon the other end is the parent.
 *
 * Runs in: every daemon.
 */
#include "daemon/internal.h"

#include <errno.h>
#include <sys/epoll.h>

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

static void obey(struct running *rd, const struct master_note *note)
{
    switch (note->kind) {
    case NOTE_WAKEUP:
        wakeup_run(rd);
        break;
    case NOTE_DRAIN:
    case NOTE_STOP:
        serve_drain(rd, note->kind == NOTE_STOP);
        if (!rd->is_child)
            process_tell(rd, note->kind);
        break;
    }
}

/* hear - false: the other end is gone */
static bool hear(struct running *rd)
{
    struct master_note note;
    ssize_t n = recv(rd->master_fd, &note, sizeof note, MSG_DONTWAIT);

    if (n == sizeof note)
        obey(rd, &note);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* look_around - nothing was heard for a while: is there a reason to retire? */
static void look_around(struct running *rd)
{
    const uint64_t idle_ms = (uint64_t)rd->sv.params->max_idle * 1000;

    if (rd->draining || rd->is_child)
        return;
    if (watch_something_changed(rd)) {
        serve_drain(rd, false);
        process_tell(rd, NOTE_DRAIN);
    } else if (!rd->sv.daemon->resident && rd->n_sessions == 0 && !rd->waking &&
               clock_ms() - rd->last_used >= idle_ms) {
        serve_drain(rd, false);
    }
}

/* next_look - soon when there are files to watch, else when the process may have been idle long enough */
static uint64_t next_look(const struct running *rd)
{
    uint64_t ms = (uint64_t)rd->sv.params->max_idle * 1000;

    if (rd->n_watched > 0 && ms > WATCH_MS)
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
    serve_drain(rd, true);
    if (!rd->is_child)
        process_tell(rd, NOTE_STOP);
    while (fiber_sleep_until(CLOCK_NEVER) == 0)
        continue;
}

void link_start(struct running *rd)
{
    fiber_start(run_link, rd);
}
