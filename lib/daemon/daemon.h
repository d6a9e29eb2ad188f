/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemon.h - the skeleton of every server: a program is one struct
 *
 * Order of events in daemon_main():
 *
 *   1. arguments (-n service, -t type, -o name=value ..., -v), main.cf, parameters
 *   2. logging, descriptors handed over by master (listening sockets, services)
 *   3. start()          still privileged: the last step that may open files
 *   4. user, groups, capabilities, no_new_privs, Landlock, seccomp as `sandbox` says
 *   5. ready()          as the final user, in the loop's first fiber (optional)
 *   6. accept loop: one fiber a connection, session() called in it
 *   7. load reported to master; retired after max_use sessions or max_idle
 *      seconds (unless `resident`, or a table has a broken new version that a successor would
 *      not start with), or when master asks to drain: no more
 *      accepts, idle fibers cancelled, exit when the last fiber has ended (so a
 *      fiber that ready() started marks itself idle while it waits for work)
 *   8. when master stops the suite, or is gone, draining has a deadline: five seconds
 *      later all sessions are cancelled
 *
 * A process that serves one session (DAEMON_PROCESS) does not drain when settings are reloaded, nor when its parent
 * dies; it ends with its session, or with the suite.
 *
 * Errors before 6 are logged as "fatal:" and end the process; master backs off. To check the configuration, master lets each
 * server go as far as 3, with nothing handed to it but the settings, and stop there (daemon_checking()).
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <sys/types.h>

#include "conf/conf.h"
#include "daemon/master_link.h"
#include "io/socket.h"
#include "io/stream.h"
#include "ipc/callers.h"

/* What the skeleton hands a program. One per process. */
struct server {
    const struct daemon *daemon;
    const struct conf *conf;        /* for names outside params.def */
    const struct params *params;
    const char *service;            /* master.cf name: "smtp", "submission", "cleanup" */
    const char *const *args;        /* other arguments of master.cf ("user=vmail"), NULL-terminated */
    bool single_user;               /* not started by root: no change of user, privileges not separated */
    void *state;                    /* the program's own, set by start() */
};

/* Who is on the other side. For Unix sockets: uid. */
struct peer {
    bool is_unix;
    union sockaddr_any remote, local;
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

enum sandbox_flags {
    SANDBOX_INET_CLIENT = 1 << 0,   /* may make outgoing inet connections (smtp; DNS needs it as well) */
    SANDBOX_SETUID      = 1 << 1,   /* keeps CAP_SETUID and CAP_SETGID (local, virtual, imapd, pop3d) */
    SANDBOX_FORK        = 1 << 2,   /* may fork (a process a session) */
    SANDBOX_EXEC        = 1 << 3,   /* may execute programs (pipe, local commands) */
    SANDBOX_ALL_FILES   = 1 << 4,   /* file access is the user's own; no Landlock (local, virtual, imapd, pop3d) */
    SANDBOX_NSS         = 1 << 5,   /* may use NSS: read /etc and the modules, talk to nscd, sssd */
};

struct sandbox {
    enum run_as user;
    unsigned flags;
    /* Directories below which it may read / also write, create, rename and delete; "$name" expands as
     * in main.cf. NULL-terminated. Files of open lookup tables are added by themselves (read-only). */
    const char *read[12];
    const char *write[8];
};

enum daemon_mode {
    DAEMON_FIBERS,                  /* a fiber a connection, many per process */
    DAEMON_PROCESS,                 /* a forked child a connection (imapd, pop3d): it inherits the
                                       started and sandboxed parent, so no exec in a client's way */
};

struct daemon {
    const char *name;
    enum daemon_mode mode;
    enum conf_client client;                              /* whose smtp_ or lmtp_ parameters it goes by */
    struct sandbox sandbox;
    /*
     * Open tables, keys, directories. sv->state = ... Returns 0, or negative after having logged why. What the settings say comes
     * first; behind that, what a running suite must have made before (daemon_checking()). It leaves no trace on disk.
     */
    int (*start)(struct server *sv);
    int (*ready)(struct server *sv);                      /* may be NULL; may wait and start fibers */
    /* Serve one connection. The stream is the session's: it frees it, or the ipc it has made of it
     * (ipc_new takes it). It has logged what mattered. MAY_WAIT. */
    void (*session)(struct server *sv, struct stream *client, const struct peer *peer);
    void (*stop)(struct server *sv);                      /* may be NULL: draining has begun */
    void (*stop_now)(struct server *sv);                  /* may be NULL: with a deadline from now on; after stop() */
    /* Master's wakeup timer of master.cf ("wakeup"), or bytes in a FIFO. May be NULL. A fiber of its own,
     * never two at a time. MAY_WAIT. */
    void (*wakeup)(struct server *sv);
    /* A file named with daemon_watch_file() has changed: read them all again. 0, or negative after having
     * logged why: what was there stays in use. MAY_WAIT. */
    int (*reread)(struct server *sv);
    unsigned session_fds;                                 /* descriptors that a session needs; 0: two */
    bool resident;                                        /* keeps state: not retired by max_use, max_idle */
    bool lingers;                                         /* draining may take days: no successor waits for its end */
};

/* Never returns to a caller's cleanup: exits. */
int daemon_main(const struct daemon *d, int argc, char **argv);

/*
 * The settings are only looked at: there need be no queue yet, no secret is handed over and nothing will run. For start(), which
 * returns then in front of what needs them.
 */
bool daemon_checking(const struct server *sv);

/* Draining has begun (reload, stop, max_use): sessions should end at the next good moment. */
bool daemon_draining(const struct server *sv);
/* It has, and with a deadline: the suite stops. */
bool daemon_stopping(const struct server *sv);

/*
 * A session that waits for long needs no fiber: daemon_keep(), called in its fiber, makes it count as a session
 * after that has ended. daemon_run() gives it a fiber again: fn(arg), until the end or the next daemon_keep().
 */
void daemon_keep(const struct server *sv);
void daemon_run(const struct server *sv, void (*fn)(void *arg), void *arg);

/*
 * Name a file that start() has read with file_open() and that is no table (a certificate, a private key; "" is
 * ignored). When it changes, reread() is called, which opens it in the same way. Files of open
 * tables are read again without being named. In start() only.
 */
void daemon_watch_file(const struct server *sv, const char *path);

/*
 * DAEMON_PROCESS: keep so many children waiting for a connection, beside those that have one, so that no fork stands
 * in a client's way. Together they stay within the service's process limit. Such a process is not
 * retired by max_use or max_idle. 0: a child is forked when a connection comes. In start() only.
 */
void daemon_keep_waiting(const struct server *sv, size_t processes);

/* Random bytes that are as old as master, for programs that program_has_secret(). In start(), once; 0 or -errno. */
int daemon_secret(const struct server *sv, unsigned char ret[static MASTER_SECRET_SIZE]);

/* What the settings make necessary beside the flags of the sandbox. In start() only. */
void daemon_allow(const struct server *sv, unsigned sandbox_flags);

/* Default lookup for "may this uid be a caller": used by the skeleton; programs with public sockets
 * (pickup, qmgr) look at peer->uid themselves. */
bool daemon_is_superuser(const struct server *sv, uid_t uid);  /* root, mail_owner, or single user */

/* Is it the account of the processes that talk to strangers (net_owner)? Never so in single-user mode. A public service
 * that the caller table opens to one of them as well answers it no more than it needs. */
bool daemon_is_front(const struct server *sv, uid_t uid);

/* The name of a user, for lists such as authorized_submit_users; "unknown" if it has none. SANDBOX_NSS. 0, or -errno:
 * it cannot be looked up now. */
MAY_WAIT int daemon_user_name(uid_t uid, struct str *ret);

/*
 * Become a mailbox owner for good (SANDBOX_SETUID; imapd, pop3d, pipe's child): group, supplementary
 * groups, user, and no capability left. In single-user mode it only checks that uid is one's own.
 * groups may be NULL when n is 0. 0 or -errno (-EPERM: uid 0 is never taken).
 */
int daemon_become_user(const struct server *sv, uid_t uid, gid_t gid, const gid_t *groups, size_t n);

#endif
