/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - what the files of the skeleton share
 */
#ifndef DAEMON_INTERNAL_H
#define DAEMON_INTERNAL_H

#include "base/list.h"
#include "base/own.h"
#include "daemon/args.h"
#include "daemon/daemon.h"
#include "daemon/master_link.h"

enum { LISTEN_MAX = 32 };

enum listen_kind { LISTEN_INET, LISTEN_UNIX, LISTEN_FIFO, LISTEN_PASS };

struct account {
    uid_t uid;
    gid_t gid;
};

/* The users of the suite, looked up once. */
struct accounts {
    struct account queue, net, auth;
};

struct listener {
    struct running *rd;
    int fd;
};

struct watched_file {
    char *path;
    uint64_t stamp;         /* of its identity, size and time */
    bool is_table;          /* lib/table looks after it */
};

/* A process that serves a session, or waits for one. */
struct child {
    struct list link;
    struct running *rd;
    pid_t pid;
    int fd;                         /* our end of its pair */
    bool waiting;
    struct poll_fd *notes;          /* of one that waits */
};

/* One per process. */
struct running {
    struct server sv;       /* first: daemon functions are given this */
    struct daemon_args args;
    struct accounts accounts;
    unsigned sandbox_flags;         /* of the program, and what its settings add */
    enum listen_kind kind;
    struct listener listeners[LISTEN_MAX];
    size_t n_listeners;
    bool is_public;
    bool checking;
    int master_fd;
    int stop_fd;                    /* reads as ended when the suite stops; for children that have lost their parent */
    int64_t process_limit;          /* of the service, 0: none; for a process a session */

    struct watched_file *watched;
    size_t n_watched, cap_watched;
    size_t n_registered;            /* how many of them master knows, by their index */
    bool linked;                    /* link.c hears master's answers */
    struct list requests;           /* for files that master is to open */
    bool rereads;                   /* some are no tables */
    bool rereading, behind;         /* the program is reading them; could not */

    /* serving */
    struct list sessions;           /* fibers that serve */
    size_t n_sessions, max_sessions;
    int64_t served;
    uint64_t last_used;             /* clock_ms() at the end of the last session */
    bool full, retiring, draining, forced;
    uint64_t force_at;              /* sessions are cancelled then; CLOCK_NEVER: not */
    struct waitq room;              /* acceptors wait here while full */
    struct waitq quiet;             /* the drainer waits here for the last session's end */
    bool waking, wake_again;

    /* a process a session */
    struct list children;
    int sigchld_fd;
    bool is_child;                  /* this process serves one session */
    size_t keep_waiting, n_waiting; /* children that wait for a connection: wanted, and there */
    struct waitq refill;            /* who starts them waits here */
    uint64_t refill_at;             /* not before: the last ones died */
    int64_t refill_delay_ms;
};

#define RUNNING(sv) CONTAINER_OF((sv), struct running, sv)

/* privilege.c */
void accounts_find(struct running *rd);         /* fatal when one does not exist */
void privilege_drop(struct running *rd);        /* to the user of sandbox.user; fatal when it cannot */
bool caller_is_allowed(const struct running *rd, uid_t uid);

/*
 * landlock.c: prepare opens what may be reached, while it still can; apply confines the process. ret -1:
 * the kernel has no Landlock, or the sandbox asks for none.
 */
int landlock_prepare(struct running *rd);
void landlock_apply(int ruleset_fd);

/* seccomp.c: from here on only the system calls that the sandbox's flags imply */
void seccomp_apply(struct running *rd);

/* watch.c: files that are read again when they change */
void watch_start(struct running *rd);
void watch_look(struct running *rd);
MAY_WAIT bool watch_all_current(const struct running *rd);  /* a successor would read what this process has */

/* reopen.c: through master, where the sandbox forbids it */
void reopen_register(struct running *rd);       /* the last act before the sandbox */
void reopen_start(struct running *rd);
void reopen_answered(struct running *rd, const struct master_note *note, int fd);

/* serve.c */
void serve_run(struct running *rd);             /* returns when the process has retired */
void serve_drain(struct running *rd, bool with_deadline);
/* To master, when draining: from now on neither this process nor a child of it that waits takes a connection. */
void serve_tell_retiring(struct running *rd);
void serve_session(struct running *rd, int fd, const struct peer *peer);
int serve_accept_one(struct listener *l);       /* 0, there may be more; -EAGAIN; or -errno */
void serve_one_began(struct running *rd);       /* in a process of its own */
void serve_one_ended(struct running *rd);
void note_send(const struct running *rd, enum master_note_kind kind, unsigned number);

/* process.c: a process a session */
void process_start(struct running *rd);
void process_session(struct running *rd, int fd, const struct peer *peer);
void process_tell(struct running *rd, enum master_note_kind kind);
struct child *process_fork(struct running *rd, int *ret_parent_fd);
void process_become_child(struct running *rd, int parent_fd);
void process_disown_listeners(const struct running *rd);

/* waiting.c: children that wait for a connection themselves */
void waiting_start(struct running *rd);
void waiting_drain(struct running *rd);
bool waiting_heard(struct running *rd, struct child *c);    /* true: it has a connection now */
void waiting_died(struct running *rd, int status);

/* link.c: the fiber that listens to master */
void link_start(struct running *rd);
void link_retire(struct running *rd);           /* if a successor could take over */
void wakeup_run(struct running *rd);

#endif
