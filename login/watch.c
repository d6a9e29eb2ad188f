/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - directories of mailboxes, watched by a process that can reach no mailbox
 *
 * A session leaves open directories with its front. What can be done with an open directory whose files one may not
 * open is to be told of changes: F_NOTIFY of fcntl(2). It needs no path and, other than inotify(7), the kernel has no
 * small limit for it, so ten thousand are possible. The change comes as a signal with the descriptor's
 * number, read through a signalfd(2). It is asked for once: the first change wakes the session, which looks
 * itself.
 *
 * Signals that do not fit into their queue come as one SIGIO without a number: all are then woken.
 *
 * Runs in: imapd-login.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "base/mem.h"
#include "login/held.h"

static struct {
    int signal_fd;
    struct poll_fd *poll;
    struct held **by_fd;        /* whose directory a descriptor is */
    size_t len;
} watch = { .signal_fd = -1 };

static int change_signal(void)
{
    return SIGRTMIN + 1;
}

static void note(struct held *h)
{
    if (!h)
        return;
    h->changed = true;
    lot_changed(h);
}

static void note_all(void)
{
    for (size_t i = 0; i < watch.len; i++)
        note(watch.by_fd[i]);
}

/* A descriptor that has a new owner since wakes that one for nothing, which does no harm. */
static void on_signal(void *arg, unsigned events)
{
    struct signalfd_siginfo info[16];
    ssize_t n;

    (void)arg;
    (void)events;
    while ((n = read(watch.signal_fd, info, sizeof info)) > 0)
        for (size_t i = 0; i < (size_t)n / sizeof info[0]; i++) {
            if (info[i].ssi_signo == SIGIO)
                note_all();
            else if (info[i].ssi_fd >= 0 && (size_t)info[i].ssi_fd < watch.len)
                note(watch.by_fd[info[i].ssi_fd]);
        }
}

int watch_open(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, change_signal());
    sigaddset(&set, SIGIO);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    watch.signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return watch.signal_fd < 0 ? -errno : 0;
}

static void grow(int fd)
{
    size_t len = watch.len ? watch.len : 64;

    while (len <= (size_t)fd)
        len *= 2;
    if (len == watch.len)
        return;
    watch.by_fd = mem_realloc(watch.by_fd, len, sizeof *watch.by_fd);
    for (size_t i = watch.len; i < len; i++)
        watch.by_fd[i] = NULL;
    watch.len = len;
}

bool watch_begin(struct held *h)
{
    if (watch.signal_fd < 0)
        return false;
    if (!watch.poll) {
        watch.poll = poll_fd_new_callback(watch.signal_fd, on_signal, NULL);
        poll_fd_watch(watch.poll, EPOLLIN);
    }
    h->changed = false;
    for (size_t i = 0; i < SESSION_WATCHED; i++) {
        int fd = h->dirs[i];

        if (fd < 0 || fcntl(fd, F_SETSIG, change_signal()) < 0 ||
            fcntl(fd, F_NOTIFY, DN_CREATE | DN_DELETE | DN_RENAME | DN_ATTRIB) < 0)
            return false;
        grow(fd);
        watch.by_fd[fd] = h;
    }
    return true;
}

void watch_end(struct held *h)
{
    for (size_t i = 0; i < SESSION_WATCHED; i++) {
        if (h->dirs[i] < 0)
            continue;
        if ((size_t)h->dirs[i] < watch.len)
            watch.by_fd[h->dirs[i]] = NULL;
        close(TAKE_FD(h->dirs[i]));
    }
}
