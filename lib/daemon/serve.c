/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.c - take connections, count sessions, retire, drain
 *
 * Several processes may share a listening socket, so "nothing to accept" is normal.
 * A wake-up accepts all that wait. A full process stops accepting and
 * says so to master, who starts another; it says that it takes more only
 * when a tenth is free again, so that the two do not chat at the limit.
 *
 * Draining: no more accepts, fibers that are idle are cancelled, and when all
 * sessions and all fibers of the program have ended the loop stops. With a
 * deadline the sessions that are left are cancelled then.
 *
 * Runs in: every daemon.
 */
#include "daemon/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"

enum {
    FDS_RESERVED = 64,      /* descriptors not meant for sessions */
    FDS_A_SESSION = 2,      /* its client, and a connection it opens */
    OUT_OF_FDS_PAUSE_MS = 1000,
    DRAIN_POLL_MIN_MS = 5,  /* fibers of the program end without telling us */
    DRAIN_POLL_MAX_MS = 1000,
};

struct session {
    struct running *rd;
    struct list link;
    struct fiber *fiber;
    struct stream *client;
    struct peer peer;
    void (*fn)(void *arg);  /* instead of the daemon's session(), for one that was kept */
    void *arg;
};

void note_send(const struct running *rd, enum master_note_kind kind, unsigned number)
{
    const struct master_note note = { kind, 0, (uint16_t)number };

    /* If master is gone, link.c finds out. */
    if (send(rd->master_fd, &note, sizeof note, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return;
}

bool daemon_draining(const struct server *sv)
{
    return CONTAINER_OF(sv, const struct running, sv)->draining;
}

bool daemon_stopping(const struct server *sv)
{
    return CONTAINER_OF(sv, const struct running, sv)->force_at != CLOCK_NEVER;
}

/* ---- sessions ---- */

void serve_one_ended(struct running *rd)
{
    rd->n_sessions--;
    rd->last_used = clock_ms();
    if (rd->is_child)
        serve_drain(rd, false);         /* one session, and then the end */
    if (rd->draining) {
        waitq_wake(&rd->quiet, SIZE_MAX);
        return;
    }
    if (rd->full && rd->n_sessions <= rd->max_sessions - (rd->max_sessions + 9) / 10) {
        rd->full = false;
        note_send(rd, NOTE_AVAILABLE, 0);
        waitq_wake(&rd->room, SIZE_MAX);
    }
}

static void run_session(void *arg)
{
    struct session *s = arg;
    struct running *rd = s->rd;

    if (s->fn)
        s->fn(s->arg);
    else
        rd->sv.daemon->session(&rd->sv, s->client, &s->peer);   /* frees the stream */
    list_remove(&s->link);
    free(s);
    serve_one_ended(rd);
}

void serve_session(struct running *rd, int fd, const struct peer *peer)
{
    struct session *s = mem_new(struct session);

    s->rd = rd;
    s->peer = *peer;
    s->client = stream_new_nonblocking(fd);
    list_push_back(&rd->sessions, &s->link);
    rd->n_sessions++;
    s->fiber = fiber_start(run_session, s);
}

void daemon_keep(const struct server *sv)
{
    RUNNING(sv)->n_sessions++;
}

void daemon_run(const struct server *sv, void (*fn)(void *arg), void *arg)
{
    struct running *rd = RUNNING(sv);
    struct session *s = mem_new(struct session);

    s->rd = rd;
    s->fn = fn;
    s->arg = arg;
    list_push_back(&rd->sessions, &s->link);
    s->fiber = fiber_start(run_session, s);
}

/* ---- connections ---- */

static int find_unix_peer(const struct running *rd, int fd, struct peer *ret)
{
    ret->is_unix = true;
    int r = socket_peer_cred(fd, &ret->pid, &ret->uid, &ret->gid);
    if (r < 0)
        return r;
    if (caller_is_allowed(rd, ret->uid))
        return 0;
    log_warn("refused call of %s by uid %u", rd->sv.service, ret->uid);
    return -EACCES;
}

/* find_inet_peer - ret->remote is known from accept */
static int find_inet_peer(int fd, struct peer *ret)
{
    socklen_t len = sizeof ret->local;

    if (getsockname(fd, &ret->local.sa, &len) < 0)
        return -errno;
    socket_addr_unmap(&ret->remote);
    socket_addr_unmap(&ret->local);
    return 0;
}

/* begin - serve the connection, in a fiber or a process of its own; counts it */
static void begin(struct running *rd, int fd, const struct peer *peer)
{
    rd->served++;
    if (rd->sv.daemon->mode == DAEMON_PROCESS && !rd->is_child)
        process_session(rd, fd, peer);
    else
        serve_session(rd, fd, peer);
}

static void begin_passed(struct running *rd, int fd)
{
    struct peer peer = { 0 };
    socklen_t len = sizeof peer.remote;

    /* The flag is the connection's, and whoever accepted it may not have set it. */
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (getpeername(fd, &peer.remote.sa, &len) == 0 && peer.remote.sa.sa_family != AF_UNIX &&
        find_inet_peer(fd, &peer) == 0)
        begin(rd, fd, &peer);
    else
        close(fd);
}

/* receive_passed - connections that another process accepted come as descriptors; a byte each */
static void receive_passed(struct running *rd, struct stream *from)
{
    struct span bytes;

    while (stream_peek(from, &bytes) == 0) {
        int fd;

        stream_consume(from, bytes.len);
        while ((fd = stream_take_fd(from)) >= 0)
            begin_passed(rd, fd);
    }
}

struct passer {
    struct running *rd;
    struct stream *from;
};

static void run_passer(void *arg)
{
    struct passer *p = arg;

    fiber_set_idle(true);
    receive_passed(p->rd, p->from);
    stream_free(p->from);
    free(p);
}

static void take_connection(struct running *rd, int fd, struct peer *peer)
{
    int r = rd->kind == LISTEN_INET ? find_inet_peer(fd, peer) : find_unix_peer(rd, fd, peer);

    if (r < 0) {
        close(fd);
    } else if (rd->kind == LISTEN_PASS) {
        struct passer *p = mem_new(struct passer);

        *p = (struct passer){ rd, stream_new(fd) };
        fiber_start(run_passer, p);
    } else {
        begin(rd, fd, peer);
    }
}

static void check_limits(struct running *rd)
{
    if (rd->n_sessions >= rd->max_sessions && !rd->full) {
        rd->full = true;
        note_send(rd, NOTE_FULL, 0);
    }
    if (!rd->sv.daemon->resident && !rd->is_child && rd->keep_waiting == 0 &&
        rd->served >= rd->sv.params->max_use)
        link_retire(rd);
}

void serve_one_began(struct running *rd)
{
    rd->served++;
    rd->n_sessions++;
    check_limits(rd);
}

int serve_accept_one(struct listener *l)
{
    struct peer peer = { 0 };
    socklen_t len = sizeof peer.remote;
    int fd = accept4(l->fd, &peer.remote.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return errno == EINTR || errno == ECONNABORTED ? 0 : -errno;
    take_connection(l->rd, fd, &peer);
    check_limits(l->rd);
    return 0;
}

/* accept_all - that wait, as far as there is room */
static int accept_all(struct listener *l)
{
    int r = 0;

    while (r == 0 && !l->rd->full && !l->rd->draining)
        r = serve_accept_one(l);
    return r;
}

/* read_wakeups - the bytes that came by a FIFO mean nothing but "look" */
static int read_wakeups(struct listener *l)
{
    char buf[512];
    bool any = false;
    ssize_t n;

    while ((n = read(l->fd, buf, sizeof buf)) > 0)
        any = true;
    if (any)
        wakeup_run(l->rd);
    return n < 0 ? -errno : -EAGAIN;
}

static int wait_idle(struct poll_fd *p)
{
    fiber_set_idle(true);
    int r = poll_fd_wait(p, EPOLLIN, CLOCK_NEVER);
    fiber_set_idle(false);
    return r;
}

static void run_acceptor(void *arg)
{
    struct listener *l = arg;
    struct running *rd = l->rd;
    struct poll_fd *p = poll_fd_new(l->fd);
    int r = 0;

    while (!rd->draining && r != -ECANCELED) {
        r = rd->kind == LISTEN_FIFO ? read_wakeups(l) : accept_all(l);
        if (r == 0 && rd->full && !rd->draining) {
            waitq_wait(&rd->room, CLOCK_NEVER);
        } else if (r == -EAGAIN) {
            r = wait_idle(p);
        } else if (r < 0) {
            log_warn_errno(r, "service %s: cannot accept; waiting", rd->sv.service);
            r = fiber_sleep_until(clock_deadline_ms(OUT_OF_FDS_PAUSE_MS));
        }
    }
    poll_fd_free(p);
    close(l->fd);
}

/* ---- the end ---- */

static void cancel_sessions(struct running *rd)
{
    struct session *s;

    rd->forced = true;
    LIST_FOREACH(s, &rd->sessions, struct session, link)
        fiber_cancel(s->fiber);
}

/* next_poll - the last session tells of its end, and sessions may last for days; other fibers do not */
static uint64_t next_poll(const struct running *rd, int64_t *poll_ms)
{
    if (rd->n_sessions > 0 || rd->n_waiting > 0)
        return rd->forced ? CLOCK_NEVER : rd->force_at;
    uint64_t at = clock_deadline_ms(*poll_ms);
    if (*poll_ms < DRAIN_POLL_MAX_MS)
        *poll_ms *= 2;
    return at;
}

/* run_drainer - stop the loop when nobody is left but the skeleton's own fibers */
static void run_drainer(void *arg)
{
    struct running *rd = arg;
    const size_t own = rd->sv.daemon->mode == DAEMON_PROCESS && !rd->is_child ? 3 : 2;
    int64_t poll_ms = DRAIN_POLL_MIN_MS;

    fiber_cancel_idle();
    while (rd->n_sessions > 0 || rd->n_waiting > 0 || fiber_count() > own) {
        if (clock_ms() >= rd->force_at && !rd->forced)
            cancel_sessions(rd);
        waitq_wait(&rd->quiet, next_poll(rd, &poll_ms));
    }
    loop_stop();
}

static bool lingers(const struct daemon *d)
{
    return d->lingers || d->mode == DAEMON_PROCESS;
}

void serve_tell_retiring(struct running *rd)
{
    if (rd->draining && rd->n_waiting == 0 && !rd->is_child)
        note_send(rd, NOTE_RETIRING, lingers(rd->sv.daemon));
}

static void drain(struct running *rd)
{
    rd->draining = true;
    waiting_drain(rd);
    serve_tell_retiring(rd);
    if (rd->sv.daemon->stop)
        rd->sv.daemon->stop(&rd->sv);
    waitq_wake(&rd->room, SIZE_MAX);
    fiber_start(run_drainer, rd);
}

void serve_drain(struct running *rd, bool with_deadline)
{
    const bool hurry = with_deadline && rd->force_at == CLOCK_NEVER;

    if (hurry)
        rd->force_at = clock_deadline_ms(STOP_GRACE_MS);
    if (!rd->draining)
        drain(rd);
    if (hurry && rd->sv.daemon->stop_now)
        rd->sv.daemon->stop_now(&rd->sv);
    if (hurry)
        waitq_wake(&rd->quiet, SIZE_MAX);       /* the drainer learns of the deadline */
}

/* ---- the beginning ---- */

/* session_limit - what the parameter says, or what descriptors allow */
static size_t session_limit(const struct running *rd)
{
    struct rlimit fds = { 0 };
    size_t limit = (size_t)rd->sv.params->process_sessions;

    if (rd->sv.daemon->mode == DAEMON_PROCESS)
        limit = rd->process_limit > 0 ? (size_t)rd->process_limit : SIZE_MAX;
    getrlimit(RLIMIT_NOFILE, &fds);
    size_t each = rd->sv.daemon->session_fds > 0 ? rd->sv.daemon->session_fds : FDS_A_SESSION;
    size_t room = fds.rlim_cur > FDS_RESERVED + each ? (size_t)(fds.rlim_cur - FDS_RESERVED) / each : 1;
    return limit < room ? limit : room;
}

static void run_first(void *arg)
{
    struct running *rd = arg;

    if (rd->sv.daemon->ready && rd->sv.daemon->ready(&rd->sv) < 0)
        log_fatal("service %s: cannot start", rd->sv.service);
    link_start(rd);
    if (rd->sv.daemon->mode == DAEMON_PROCESS)
        process_start(rd);
    if (rd->keep_waiting > 0)
        waiting_start(rd);
    for (size_t i = 0; i < rd->n_listeners && rd->keep_waiting == 0; i++)
        fiber_start(run_acceptor, &rd->listeners[i]);
    if (rd->sv.daemon->mode == DAEMON_PROCESS)
        note_send(rd, NOTE_FOR_ALL, 0);
    note_send(rd, NOTE_READY, 0);
}

void serve_run(struct running *rd)
{
    list_init(&rd->sessions);
    list_init(&rd->children);
    waitq_init(&rd->room);
    waitq_init(&rd->quiet);
    waitq_init(&rd->refill);
    rd->max_sessions = session_limit(rd);
    rd->force_at = CLOCK_NEVER;
    rd->last_used = clock_ms();
    loop_before_sleep(log_flush);
    fiber_start(run_first, rd);
    int r = loop_run();
    if (r < 0)
        log_fatal("event loop: %s", strerror(-r));
}
