/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - a descriptor that tells that an open mailbox may have changed
 *
 * inotify(7), of which the kernel gives a user 128 instances by default
 * (fs.inotify.max_user_instances). Virtual mailboxes of a site have one owner, so IDLE sessions can
 * be more than that: the others use the older F_NOTIFY of fcntl(2), which has no such limit. It
 * sends a signal, which a signalfd(2) turns into a readable descriptor again. Which one it is, is
 * no caller's business.
 *
 * Runs in: imapd, as the mailbox owner: a process a session, so the signal is its own.
 */
#include "mailbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "mailbox/snapshot.h"
#include "mailbox/spool.h"

/*
 * A change that is in the index alone (a keyword for which file names have no letter) is announced by setting the mode of
 * cur/ to what it is. That is a change of attributes to a watch, and no reason to read the directory to anybody.
 */
void folder_announce(const struct folder *f)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    struct stat st;

    maildir_path(&path, f->path.data, "cur", NULL);
    if (stat(path.data, &st) < 0 || chmod(path.data, st.st_mode & 07777) < 0)
        return; /* they hear of it with their next command */
}

static const char *const subs[] = { "new", "cur" };
_Static_assert(sizeof(subs) / sizeof(subs[0]) == WATCH_DIRS, "one descriptor a directory");

static int watch_inotify(const struct mailbox *mb)
{
    _cleanup_(str_free) struct str path = STR_INIT;
    _cleanup_close_ int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd < 0)
        return -errno;
    for (size_t i = 0; i < ARRAY_LEN(subs); i++)
        if (inotify_add_watch(fd, maildir_path(&path, mb->folder.path.data, subs[i], NULL),
                              IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE |
                                  IN_DELETE_SELF | IN_ATTRIB) < 0)
            return -errno;
    return TAKE_FD(fd);
}

static void close_dirs(struct mailbox *mb)
{
    for (size_t i = 0; i < WATCH_DIRS; i++)
        if (mb->watch_dirs[i] >= 0)
            close(TAKE_FD(mb->watch_dirs[i]));
}

/* The directories' descriptors stay open as long as they are watched. */
static int notify_dirs(struct mailbox *mb, int signal_number)
{
    _cleanup_(str_free) struct str path = STR_INIT;

    for (size_t i = 0; i < WATCH_DIRS; i++) {
        int fd = open(maildir_path(&path, mb->folder.path.data, subs[i], NULL),
                      O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
            return -errno;
        mb->watch_dirs[i] = fd;
        if (fcntl(fd, F_SETSIG, signal_number) < 0 ||
            fcntl(fd, F_NOTIFY, DN_CREATE | DN_DELETE | DN_RENAME | DN_ATTRIB | DN_MULTISHOT) < 0)
            return -errno;
    }
    return 0;
}

int mailbox_watch_signal(struct mailbox *mb)
{
    int signal_number = SIGRTMIN + 1;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, signal_number);
    /* For good: one that is pending when the watch ends must find nobody. */
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    _cleanup_close_ int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = notify_dirs(mb, signal_number);
    if (r < 0) {
        close_dirs(mb);
        return r;
    }
    return TAKE_FD(fd);
}

int mailbox_open_directories(const struct mailbox *mb, int ret[static WATCH_DIRS])
{
    _cleanup_(str_free) struct str path = STR_INIT;

    for (size_t i = 0; i < WATCH_DIRS; i++) {
        ret[i] = open(maildir_path(&path, mb->folder.path.data, subs[i], NULL),
                      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (ret[i] < 0) {
            int r = -errno;

            while (i-- > 0)
                close(ret[i]);
            return r;
        }
    }
    return 0;
}

void mailbox_watch_init(struct mailbox *mb)
{
    mb->watch_fd = -1;
    for (size_t i = 0; i < WATCH_DIRS; i++)
        mb->watch_dirs[i] = -1;
}

void mailbox_watch_end(struct mailbox *mb)
{
    close_dirs(mb);
    if (mb->watch_fd >= 0)
        close(TAKE_FD(mb->watch_fd));
}

int mailbox_watch(struct mailbox *mb)
{
    if (mb->watch_fd >= 0)
        return mb->watch_fd;
    int fd = watch_inotify(mb);
    if (fd == -EMFILE || fd == -ENOSPC)
        fd = mailbox_watch_signal(mb);
    if (fd >= 0)
        mb->watch_fd = fd;
    return fd;
}

void mailbox_watch_clear(struct mailbox *mb)
{
    char buf[2048] __attribute__((aligned(__alignof__(struct inotify_event))));

    _Static_assert(sizeof buf >= sizeof(struct signalfd_siginfo),
                   "holds what either descriptor gives");
    while (mb->watch_fd >= 0 && read(mb->watch_fd, buf, sizeof buf) > 0)
        continue;
}
