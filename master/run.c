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

/* Others need these to finish what they have begun, such as a session in DATA: they stop last. */
static const char *const stopped_last[] = { "cleanup", "auth", "proxymap" };

static bool stops_last(const struct service_state *s)
{
    for (size_t i = 0; s->planned && i < ARRAY_LEN(stopped_last); i++)
        if (strcmp(stopped_last[i], s->planned->program) == 0)
            return true;
    return false;
}

/* stop_service - no more connections; sessions end within the grace time, or are ended */
static void stop_service(struct master *m, struct service_state *s)
{
    service_unwatch(m, s);
    s->stopping = true;
    child_retire(s, NOTE_STOP);
    for (size_t i = 0; i < s->n_sockets; i++)
        s->sockets[i]->wanted = false;
    s->n_sockets = 0;
}

static void begin_stop(struct master *m, int signo)
{
    if (m->stopping)
        return;
    log_info("terminating on signal %d", signo);
    m->stopping = true;
    m->kill_at = clock_deadline_ms(KILL_AFTER_MS);
    for (size_t i = 0; i < m->n_dropped; i++)
        child_retire(m->dropped[i], NOTE_STOP);
    for (size_t i = 0; i < m->n_services; i++)
        if (!stops_last(m->services[i]))
            stop_service(m, m->services[i]);
    orphans_stop(m);
    /* From now on a connection is refused rather than left without an answer. */
    sockets_close_unwanted(m);
}

/* stop_rest - when nobody is left who could call them */
static void stop_rest(struct master *m)
{
    size_t n_last = 0;

    for (size_t i = 0; i < m->n_services; i++)
        if (!m->services[i]->stopping)
            n_last += m->services[i]->n_taking + m->services[i]->n_full + m->services[i]->n_retiring +
                      m->services[i]->n_aside;
    if (n_last == 0 || child_count(m) > n_last)
        return;
    for (size_t i = 0; i < m->n_services; i++)
        if (!m->services[i]->stopping)
            stop_service(m, m->services[i]);
    sockets_close_unwanted(m);
}

static void abort_all(struct master *m)
{
    log_info("aborting on signal %d", SIGQUIT);
    for (size_t i = 0; i < m->n_services; i++) {
        service_unwatch(m, m->services[i]);
        m->services[i]->stopping = true;
    }
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
    while (!m->stopping || child_count(m) > 0 || m->n_orphans > 0) {
        uint64_t until = service_timers(m, clock_ms());

        if (m->stopping && clock_ms() >= m->kill_at) {
            log_warn("processes that did not end in time are killed");
            child_kill_all(m);
            m->kill_at = CLOCK_NEVER;
        }
        turn(m, m->stopping ? m->kill_at : until < m->report_by ? until : m->report_by);
        if (m->stopping)
            stop_rest(m);
        if (m->reload_wanted && !m->stopping)
            reload(m);
        reload_report(m);
    }
    log_flush();
}
