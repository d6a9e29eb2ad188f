/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - the loop of master: signals, sockets that want a process, notes of children, timers
 *
 * Runs in: master.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/master_link.h"
#include "master/master.h"

enum {
    EVENTS_BATCH = 64,
    KILL_AFTER_MS = STOP_GRACE_MS + 3000,
};

static const int signals[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGQUIT };

int run_prepare(struct master *m)
{
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        sigaddset(&set, signals[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    m->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (m->signal_fd < 0 || m->epoll_fd < 0)
        return -errno;
    m->signals = (struct source){ SOURCE_SIGNALS, NULL };
    run_watch(m, m->signal_fd, &m->signals);
    return 0;
}

void run_watch(struct master *m, int fd, struct source *source)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = source };

    if (epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        log_fatal("cannot watch a descriptor: %m");
}

/* begin_stop - no more connections; sessions end within the grace time, or are ended */
static void begin_stop(struct master *m, int signo)
{
    if (m->stopping)
        return;
    log_info("terminating on signal %d", signo);
    for (size_t i = 0; i < m->n_services; i++)
        service_unwatch(m, m->services[i]);
    m->stopping = true;
    m->kill_at = clock_deadline_ms(KILL_AFTER_MS);
    child_tell_all(m, NOTE_STOP);
    /* From now on a connection is refused rather than left without an answer. */
    for (size_t i = 0; i < m->n_bound; i++)
        m->bound[i]->wanted = false;
    sockets_close_unwanted(m);
}

static void abort_all(struct master *m)
{
    log_info("aborting on signal %d", SIGQUIT);
    m->stopping = true;
    m->kill_at = CLOCK_NEVER;
    child_kill_all(m);
}

static void take_signal(struct master *m, int signo)
{
    switch (signo) {
    case SIGCHLD:
        child_reap(m);
        break;
    case SIGHUP:
        m->reload_wanted = true;
        break;
    case SIGTERM:
    case SIGINT:
        begin_stop(m, signo);
        break;
    case SIGQUIT:
        abort_all(m);
        break;
    }
}

static void take_signals(struct master *m)
{
    struct signalfd_siginfo info;

    while (read(m->signal_fd, &info, sizeof info) == sizeof info)
        take_signal(m, (int)info.ssi_signo);
}

/*
 * handle - one event. One that frees what another event of the same batch points to (the end of a child) comes by
 * signal; so signals are taken after the batch.
 */
static void handle(struct master *m, const struct source *source, bool *ret_signals)
{
    switch (source->kind) {
    case SOURCE_SIGNALS:
        *ret_signals = true;
        break;
    case SOURCE_LISTEN:
        if (!m->stopping)
            service_wanted(m, source->object);
        break;
    case SOURCE_CHILD:
        child_heard(m, source->object);
        break;
    }
}

static int sleep_ms(uint64_t until)
{
    const uint64_t now = clock_ms();

    if (until == CLOCK_NEVER)
        return -1;
    return until <= now ? 0 : until - now > INT_MAX ? INT_MAX : (int)(until - now);
}

static void turn(struct master *m, uint64_t until)
{
    struct epoll_event events[EVENTS_BATCH];
    bool signalled = false;

    log_flush();
    int n = epoll_wait(m->epoll_fd, events, EVENTS_BATCH, sleep_ms(until));
    for (int i = 0; i < n; i++)
        handle(m, events[i].data.ptr, &signalled);
    if (signalled)
        take_signals(m);
}

void run(struct master *m)
{
    service_update_all(m);
    while (!m->stopping || child_count(m) > 0) {
        uint64_t until = service_timers(m, clock_ms());

        if (m->stopping && clock_ms() >= m->kill_at) {
            log_warn("processes that did not end in time are killed");
            child_kill_all(m);
            m->kill_at = CLOCK_NEVER;
        }
        turn(m, m->stopping ? m->kill_at : until);
        if (m->reload_wanted && !m->stopping)
            reload(m);
    }
    log_flush();
}
