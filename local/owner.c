/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owner.c - a helper thread acts as the mailbox owner
 *
 * Linux keeps the identity for file access per thread. A helper thread takes the owner's with
 * setfsuid(2) and setfsgid(2), so that one process delivers for many users at once, and every file is
 * made and charged as the owner's own. Supplementary groups were dropped with the
 * privileges of the process. The thread stays who it was last until the next delivery: it does
 * nothing in between, and for virtual mailboxes the next owner is mostly the same.
 *
 * Runs in: local, virtual, on helper threads.
 */
#include <errno.h>
#include <sys/fsuid.h>

#include "base/own.h"
#include "local/agent.h"
#include "mailbox/quota.h"

/* Whose files this thread's are. (gid_t)-1: not changed yet */
static __thread uid_t thread_uid = (uid_t)-1;
static __thread gid_t thread_gid = (gid_t)-1;

struct job {
    const struct location *where;
    const struct maildir_save *save;
    const struct quota_limits *limits;
    bool single_user;
};

/* These calls report no failure; a second one tells what the first has done. */
static int become(uid_t uid, gid_t gid)
{
    if (uid == 0 || gid == 0)
        return -EPERM;
    if (thread_uid == uid && thread_gid == gid)
        return 0;
    thread_uid = (uid_t)-1;
    setfsgid(gid);
    setfsuid(uid);
    if ((gid_t)setfsgid(gid) != gid || (uid_t)setfsuid(uid) != uid)
        return -EPERM;
    thread_uid = uid;
    thread_gid = gid;
    return 0;
}

static int run(void *arg)
{
    const struct job *job = arg;
    _cleanup_(str_free) struct str name = STR_INIT;
    int r = job->single_user ? 0 : become(job->where->uid, job->where->gid);

    if (r < 0)
        return r;

    if (job->limits)
        r = quota_set(job->where->maildir, job->limits);
    if (r == -ENOENT && (r = maildir_create(job->where->maildir)) == 0)
        r = quota_set(job->where->maildir, job->limits);
    if (r < 0)
        return r;

    int room = quota_check(job->where->maildir, job->save->size, 1);

    if (room < 0)
        return room;
    r = maildir_deliver(job->where->maildir, job->save, &name);
    if (r == 0 && room == 0) {
        struct maildir_name parts;

        maildir_name_parse(str_span(&name), &parts);
        quota_add(job->where->maildir, (int64_t)parts.size, 1);
    }
    return r;
}

int owner_deliver(const struct agent *a, const struct location *where, const struct maildir_save *save,
                  const struct quota_limits *limits)
{
    struct job job = { where, save, limits, a->sv->single_user };

    return offload(run, &job);
}
