/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privilege.c - whose uid a process has, what capabilities it keeps, and whose calls it takes
 *
 * A program starts as root, opens what it needs, and becomes the user of its
 * row for good: group, groups, user, bounding set, no_new_privs. Those that act as
 * mailbox owners keep CAP_SETUID and CAP_SETGID and nothing else.
 *
 * In single-user mode (not started by root) nobody changes.
 *
 * Runs in: every daemon, once; daemon_become_user() once more in imapd and pop3d.
 */
#include "daemon/internal.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "base/mem.h"

static const int kept_caps[] = { CAP_SETUID, CAP_SETGID };

static struct account find_account(const char *parameter, const char *name)
{
    errno = 0;
    const struct passwd *pw = getpwnam(name);

    if (!pw)
        log_fatal("parameter %s: unknown account \"%s\"%s%s", parameter, name, errno ? ": " : "",
                  errno ? strerror(errno) : "");
    if (pw->pw_uid == 0)
        log_fatal("parameter %s: account \"%s\" is root", parameter, name);
    return (struct account){ pw->pw_uid, pw->pw_gid };
}

void accounts_find(struct running *rd)
{
    const struct params *p = rd->sv.params;

    if (rd->sv.single_user) {
        const struct account me = { geteuid(), getegid() };

        rd->accounts = (struct accounts){ me, me, me };
        return;
    }
    rd->accounts.queue = find_account("mail_owner", p->mail_owner);
    rd->accounts.net = find_account("net_owner", p->net_owner);
    rd->accounts.auth = find_account("auth_owner", p->auth_owner);
}

/* account_of - NULL: no account of its own */
static const struct account *account_of(const struct accounts *a, enum run_as who)
{
    switch (who) {
    case RUN_AS_QUEUE:
    case RUN_AS_USER:
        return &a->queue;
    case RUN_AS_NET:
        return &a->net;
    case RUN_AS_AUTH:
        return &a->auth;
    case RUN_AS_ROOT:
    case RUN_AS_ANYONE:
        break;
    }
    return NULL;
}

static bool keeps(unsigned flags, int cap)
{
    if (!(flags & SANDBOX_SETUID))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(kept_caps); i++)
        if (kept_caps[i] == cap)
            return true;
    return false;
}

/* drop_bounding_set - so that not even a program with file capabilities gets them back */
static void drop_bounding_set(unsigned flags)
{
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (!keeps(flags, cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            log_fatal("cannot drop capability %d: %m", cap);
}

/* set_caps - exactly the kept ones, or none; capset(2) itself, as every session process would have to map libcap for it */
static int set_caps(unsigned flags)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

    for (size_t i = 0; flags & SANDBOX_SETUID && i < ARRAY_LEN(kept_caps); i++) {
        struct __user_cap_data_struct *word = &caps[CAP_TO_INDEX(kept_caps[i])];

        word->permitted |= CAP_TO_MASK(kept_caps[i]);
        word->effective |= CAP_TO_MASK(kept_caps[i]);
    }
    return syscall(SYS_capset, &header, caps) < 0 ? -errno : 0;
}

/* change_user - for good: nothing may be left that leads back */
static int change_user(uid_t uid, gid_t gid, const gid_t *groups, size_t n)
{
    uid_t r, e, s;

    if (setgroups(n, groups) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return -errno;
    if (getresuid(&r, &e, &s) < 0 || r != uid || e != uid || s != uid)
        return -EPERM;
    return 0;
}

/* hide_memory - no core dump and no debugger of the same user; a sanitizer wants to look at itself */
static void hide_memory(void)
{
#ifndef __SANITIZE_ADDRESS__
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

void privilege_drop(struct running *rd)
{
    const struct sandbox *box = &rd->sv.daemon->sandbox;
    const struct account *to = account_of(&rd->accounts, box->user);

    if (!rd->sv.single_user) {
        if (!to)
            log_fatal("%s has no user to run as", rd->sv.daemon->name);
        drop_bounding_set(rd->sandbox_flags);
        if (rd->sandbox_flags & SANDBOX_SETUID)
            prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
        int r = change_user(to->uid, to->gid, NULL, 0);
        if (r < 0)
            log_fatal("cannot become uid %u: %s", to->uid, strerror(-r));
        prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
        r = set_caps(rd->sandbox_flags);
        if (r < 0)
            log_fatal("cannot set capabilities: %s", strerror(-r));
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        log_fatal("cannot set no_new_privs: %m");
    hide_memory();
}

int daemon_become_user(const struct server *sv, uid_t uid, gid_t gid, const gid_t *groups, size_t n)
{
    if (uid == 0 || gid == 0)
        return -EPERM;
    if (sv->single_user)
        return uid == geteuid() ? 0 : -EPERM;
    int r = change_user(uid, gid, groups, n);
    if (r < 0)
        return r;
    /* From one uid that is not root to another, the kernel leaves the capabilities on. */
    r = set_caps(0);
    hide_memory();
    return r;
}

/* called_by - may programs that run as uid call this program? */
static bool called_by(const struct running *rd, const struct caller_row *row, uid_t uid)
{
    for (const char *const *c = row->callers; *c; c++)
        for (size_t i = 0; i < program_table_len; i++) {
            const struct account *a = account_of(&rd->accounts, program_table[i].run_as);

            if (a && a->uid == uid && strcmp(program_table[i].program, *c) == 0)
                return true;
        }
    return false;
}

static const struct caller_row *find_row(const char *program)
{
    for (size_t i = 0; i < caller_table_len; i++)
        if (strcmp(caller_table[i].callee, program) == 0)
            return &caller_table[i];
    return NULL;
}

/*
 * caller_is_allowed - by the caller table; a program that is not in it is called by nobody, or by anyone where
 * master.cf makes its service public. A public service is for people, not for a process that was taken
 * over: the accounts of processes that talk to strangers are refused there unless the table has them.
 */
bool caller_is_allowed(const struct running *rd, uid_t uid)
{
    const struct caller_row *row = find_row(rd->sv.daemon->name);

    if (uid == 0 || (rd->sv.single_user && uid == geteuid()))
        return true;
    if (row && called_by(rd, row, uid))
        return true;
    if (row ? !row->is_public : !rd->is_public)
        return false;
    return rd->sv.single_user || (uid != rd->accounts.net.uid && uid != rd->accounts.auth.uid);
}

bool daemon_is_front(const struct server *sv, uid_t uid)
{
    return !sv->single_user && uid == RUNNING(sv)->accounts.net.uid;
}

bool daemon_is_superuser(const struct server *sv, uid_t uid)
{
    const struct running *rd = RUNNING(sv);

    return uid == 0 || uid == rd->accounts.queue.uid || (sv->single_user && uid == geteuid());
}
