/* SPDX-License-Identifier: Apache-2.0 */
/*
 * orphans.c - sessions whose parent has died
 *
 * imapd and pop3d fork a process a session. When such a parent is killed, its sessions live on; nobody starts any
 * for it any more, and its successor counts its own. master takes them for its children (PR_SET_CHILD_SUBREAPER), so that
 * they can be waited for, all of one parent together, by the process group that it has led. While one of
 * them is not buried, the number of the group cannot be anybody else's.
 *
 * They end with their sessions. When the suite stops, all servers see the end of a pipe, which only those that have lost
 * their parent look at. It also ends when master is killed.
 *
 * Runs in: master.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/mem.h"
#include "master/master.h"

int orphans_prepare(struct master *m)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 || pipe2(m->stop_pipe, O_CLOEXEC) < 0)
        return -errno;
    return 0;
}

/* True: there are more. */
static bool reap(const struct orphans *o)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-o->group, &status, WNOHANG)) > 0)
        if (WIFSIGNALED(status))
            log_warn("process %s pid %d killed by signal %d", o->path, (int)pid, WTERMSIG(status));
    return pid == 0;
}

void orphans_adopt(struct master *m, pid_t group, const char *path)
{
    struct orphans o = { group, mem_strdup(path) };

    if (!reap(&o)) {
        free(o.path);
        return;
    }
    MEM_GROW(m->orphans, m->n_orphans, m->cap_orphans);
    m->orphans[m->n_orphans++] = o;
}

void orphans_reap(struct master *m)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->n_orphans; i++) {
        if (reap(&m->orphans[i]))
            m->orphans[kept++] = m->orphans[i];
        else
            free(m->orphans[i].path);
    }
    m->n_orphans = kept;
}

void orphans_stop(struct master *m)
{
    if (m->stop_pipe[1] >= 0)
        close(TAKE_FD(m->stop_pipe[1]));
}

void orphans_kill(struct master *m)
{
    for (size_t i = 0; i < m->n_orphans; i++)
        kill(-m->orphans[i].group, SIGKILL);
}
