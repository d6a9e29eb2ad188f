/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.c - a process a session: the started and sandboxed parent forks for each connection, or ahead of it (waiting.c)
 *
 * No exec stands in a client's way, and what the parent has opened is there.
 * Each child has a socket pair to its parent in the place of the one to master,
 * so the same code drains it. The child gives up all that is not its own: the
 * listening sockets, the other children, the parent's loop. Children are counted against the
 * service's process limit.
 *
 * A child with a session does not need its parent, which is only there to start it, to count it and to tell of
 * its end.
 *
 * Runs in: imapd, pop3d.
 */
#include "daemon/internal.h"

#include <errno.h>
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
#include <malloc.h>
#endif
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/loop.h"

/* forget - release what the parent knows of a child */
static void forget(struct child *c)
{
    list_remove(&c->link);
    poll_fd_free(c->notes);
    close(c->fd);
    free(c);
}

/* report - the diagnosis that master gives for its own children */
static void report(const struct running *rd, pid_t pid, int status)
{
    if (WIFSIGNALED(status))
        log_warn("process %s pid %d killed by signal %d", rd->sv.daemon->name, (int)pid,
                 WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        log_warn("process %s pid %d exit status %d", rd->sv.daemon->name, (int)pid,
                 WEXITSTATUS(status));
}

static void bury(struct running *rd, struct child *c, int status)
{
    bool waited = c->waiting && !waiting_heard(rd, c);     /* its last words may have come just now */

    forget(c);
    if (waited)
        waiting_died(rd, status);
    else
        serve_one_ended(rd);
    waitq_wake(&rd->refill, 1);
}

static void reap(struct running *rd)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct child *c;

        report(rd, pid, status);
        LIST_FOREACH(c, &rd->children, struct child, link)
            if (c->pid == pid)
                bury(rd, c, status);
    }
}

static void run_reaper(void *arg)
{
    struct running *rd = arg;
    struct signalfd_siginfo info;
    struct poll_fd *p = poll_fd_new(rd->sigchld_fd);

    while (poll_fd_wait(p, EPOLLIN, CLOCK_NEVER) != -ECANCELED) {
        while (read(rd->sigchld_fd, &info, sizeof info) > 0)
            continue;
        reap(rd);
    }
    poll_fd_free(p);
}

static void block_sigchld(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(how, &set, NULL);
}

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
enum { HOLE_MAX = 64 * 1024, SMALL = 1024, HEAP_STEP = 16 };

/* Take all of one size that is free between pieces in use: until malloc() takes from the untouched end of the heap. */
static void fill_holes(size_t size)
{
    for (;;) {
        const size_t end = mallinfo2().keepcost;
        void *volatile piece = malloc(size);

        if (mallinfo2().keepcost < end || !piece) {
            free(piece);
            return;
        }
    }
}

/*
 * What a child allocates would be scattered over all that the start has left free, and each page that it touches so has to
 * be copied. So the holes are filled here, once, and a child's memory is new and in one piece.
 */
static void tidy_heap(void)
{
    mallopt(M_MXFAST, 0);
    for (size_t size = HOLE_MAX; size >= HEAP_STEP; size = size > SMALL ? size / 2 : size - HEAP_STEP)
        fill_holes(size);
}
#else
static void tidy_heap(void)
{
}
#endif

void process_start(struct running *rd)
{
    sigset_t set;

    tidy_heap();
    block_sigchld(SIG_BLOCK);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    rd->sigchld_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (rd->sigchld_fd < 0)
        log_fatal("cannot watch children: %m");
    fiber_start(run_reaper, rd);
}

void process_tell(struct running *rd, enum master_note_kind kind)
{
    const struct master_note note = { kind, 0, 0 };
    struct child *c;

    LIST_FOREACH(c, &rd->children, struct child, link)
        if (send(c->fd, &note, sizeof note, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            continue;           /* it is ending */
}

void process_disown_listeners(const struct running *rd)
{
    for (size_t i = 0; i < rd->n_listeners; i++)
        close(rd->listeners[i].fd);
}

/* In the child: it is a process of its own, and what the parent had open beside the listening sockets is not its. */
void process_become_child(struct running *rd, int parent_fd)
{
    struct child *c;

    loop_after_fork();
    LIST_FOREACH(c, &rd->children, struct child, link)
        forget(c);
    close(rd->sigchld_fd);
    close(rd->master_fd);
    block_sigchld(SIG_UNBLOCK);
    rd->is_child = true;
    rd->master_fd = parent_fd;
    rd->n_sessions = rd->n_waiting = 0;
    rd->full = false;
    waitq_init(&rd->room);
    waitq_init(&rd->quiet);
    waitq_init(&rd->refill);
    link_start(rd);
}

static _Noreturn void serve_as_child(struct running *rd, int parent_fd, int fd, const struct peer *peer)
{
    process_disown_listeners(rd);
    process_become_child(rd, parent_fd);
    serve_session(rd, fd, peer);
    loop_run();
    log_flush();
    _exit(0);
}

/* In the parent the new child, or NULL after having logged why there is none; in the child NULL and *ret_parent_fd. */
struct child *process_fork(struct running *rd, int *ret_parent_fd)
{
    int pair[2];

    *ret_parent_fd = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        log_warn_errno(-errno, "service %s: cannot start a session", rd->sv.service);
        return NULL;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        *ret_parent_fd = pair[1];
        return NULL;
    }
    int error = -errno;
    close(pair[1]);
    if (pid < 0) {
        log_warn_errno(error, "service %s: cannot start a session", rd->sv.service);
        close(pair[0]);
        return NULL;
    }
    struct child *c = mem_new(struct child);
    c->rd = rd;
    c->pid = pid;
    c->fd = pair[0];
    list_push_back(&rd->children, &c->link);
    return c;
}

void process_session(struct running *rd, int fd, const struct peer *peer)
{
    int parent_fd;
    const struct child *c = process_fork(rd, &parent_fd);

    if (parent_fd >= 0)
        serve_as_child(rd, parent_fd, fd, peer);
    close(fd);
    if (c)
        rd->n_sessions++;
}
