/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master.h - the running suite: services, their sockets and their processes
 *
 *     plan (master.cf)  --->  services  <---  sockets (bound once, kept over reloads)
 *                                |
 *                             children  --- notes (daemon/master_link.h)
 *
 * A service's listening sockets are watched only while none of its processes takes
 * connections; then readable means "start one". A child is
 *
 *     starting -> available <-> full -> retiring -> gone
 *
 * and counts as one that takes connections while starting or available.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <sys/types.h>

#include "base/list.h"
#include "conf/conf.h"
#include "master/backoff.h"
#include "master/plan.h"

/* What an epoll event is about. */
enum source_kind { SOURCE_SIGNALS, SOURCE_LISTEN, SOURCE_CHILD };
struct source {
    enum source_kind kind;
    void *object;               /* struct service_state or struct child */
};

/* A bound socket or FIFO. */
struct bound {
    char *key;                  /* of its endpoint */
    int fd;
    int path_fd;                /* O_PATH, for those who may call it; -1 for inet and FIFOs */
    bool wanted;                /* by the plan being applied */
};

enum child_state { CHILD_STARTING, CHILD_AVAILABLE, CHILD_FULL, CHILD_RETIRING };

struct child {
    struct list link;           /* in service_state.children */
    struct service_state *service;
    pid_t pid;
    int fd;                     /* our end of the pair; -1 when it has closed its end */
    enum child_state state;
    bool was_ready;
    bool retires;               /* it has said itself that it takes no more connections */
    bool aside;                 /* retiring, and no successor waits for its end */
    uint64_t started;           /* clock_ms() */
    char *path;                 /* of its program, for the log */
    bool files_known;
    struct str files;           /* names of what it has read at its start, each with a NUL */
    struct source source;
};

struct service_state {
    const struct planned *planned;      /* NULL: dropped by a reload, its last children retire */
    struct bound **sockets;             /* one an endpoint; NULL where an optional one is missing */
    size_t n_sockets;
    struct list children;
    size_t n_taking, n_full, n_retiring, n_aside;
    bool for_all;               /* a process forks for the whole service */
    bool watched;               /* its sockets are in the epoll set */
    bool used;                  /* a connection came since the start */
    bool wake_due;
    bool stopping;              /* starts no more processes */
    uint64_t next_wakeup;       /* CLOCK_NEVER: none */
    struct backoff backoff;
    uint64_t warned_at;         /* of the process limit */
    struct source source;
};

/* The process group of a dead process whose children have sessions yet. They are master's own children now. */
struct orphans {
    pid_t group;
    char *path;                 /* of their program, for the log */
};

struct master {
    char *config_directory;
    struct conf *conf;
    struct params *params;
    struct plan plan;
    struct service_state **services;    /* those of the plan, in its order */
    size_t n_services;
    struct service_state **dropped;     /* of earlier plans */
    size_t n_dropped, cap_dropped;
    struct bound **bound;
    size_t n_bound, cap_bound;
    struct orphans *orphans;
    size_t n_orphans, cap_orphans;
    int stop_pipe[2];           /* every server has the end to read from; it ends when the suite stops */
    int secret_fd;              /* what auth makes keys from that outlive it; sealed */
    int epoll_fd, signal_fd, log_fd, lock_fd, singles_fd;
    unsigned n_reloads;
    uint64_t report_by;         /* of a reload whose outcome postern(1) waits for; CLOCK_NEVER: none */
    int verbose;
    bool single_user;
    bool detached;          /* in the background: nobody reads stderr */
    bool reload_wanted, stopping, stopped;
    uint64_t kill_at;           /* while stopping */
    struct source signals;
};

/* ---- main.c, settings.c ---- */

/* Read main.cf and master.cf into a settings record. 0, or negative with *err; notes as plan_make. */
struct settings {
    struct conf *conf;
    struct params *params;
    struct plan plan;
};
int settings_load(const char *config_directory, struct settings *ret, struct str *notes, struct str *err);
void settings_done(struct settings *s);

/* Are the programs of the plan there, and the accounts of the parameters? */
int settings_check(const struct settings *s, bool single_user, struct str *err);

/* Log to maillog_file (opened anew) or syslog, as the settings say. 0, or negative with *err. */
int log_open(struct master *m, const struct params *params, struct str *err);

/* ---- judge.c ---- */

/*
 * Let each server of the plan look at its settings, up to what it would open at its start. 0, or -EINVAL: *err has a line for each
 * thing that is wrong. *warnings gets a line for each that is odd.
 */
int judge(const struct settings *s, struct str *warnings, struct str *err);

/* ---- dirs.c ---- */

/* Make queue_directory with its subdirectories, and data_directory, with their owners and modes; go there. */
int dirs_make(const struct params *params, bool single_user, struct str *err);
/* The instance lock, held as long as the process lives. -EWOULDBLOCK: another master runs here. */
int lock_instance(int *ret_fd, struct str *err);
/* The lock that services with one process inherit; waits for servers of a master that was killed. */
int lock_singles(int *ret_fd, struct str *err);
/* Write the process id, and below it what became of the last reload (may be ""), for postern(1). */
void lock_write(int fd, const char *outcome);

/* ---- sockets.c ---- */

/* Bind what the plan wants and is not bound yet; on failure everything is as before. */
int sockets_bind(struct master *m, const struct plan *plan, struct str *err);
/* Close what the plan applied last does not want. */
void sockets_close_unwanted(struct master *m);
struct bound *sockets_find(const struct master *m, const char *key);

/* ---- service.c ---- */

struct service_state *service_new(struct master *m, const struct planned *planned);
void service_free(struct service_state *s);
/* Look at the service after any change: watch or unwatch its sockets, wake what is due. */
void service_update(struct master *m, struct service_state *s);
void service_update_all(struct master *m);
void service_unwatch(struct master *m, struct service_state *s);
void service_wanted(struct master *m, struct service_state *s);  /* its socket has become readable */
/* Fire the timers that are due; returns when to come again. */
uint64_t service_timers(struct master *m, uint64_t now);

/* ---- child.c ---- */

/* In the process that becomes the server: nothing of the shell that started us reaches it; what it is given, by number. */
void child_clean_environment(void);
void child_keep_open(int fd);
void child_set_number(const char *name, int64_t n);
char **child_argv(const struct planned *p, bool verbose);

void child_start(struct master *m, struct service_state *s);
void child_heard(struct master *m, struct child *c);        /* a note, or the end of its link */
void child_reap(struct master *m);
void child_tell(struct child *c, unsigned note_kind);
void child_retire(struct service_state *s, unsigned note_kind);
void child_retire_all(struct master *m, unsigned note_kind);
/* Is there one that was told to retire and may not have heard it yet? It may take another connection. */
bool child_any_to_retire(const struct master *m);
void child_kill_all(struct master *m);
size_t child_count(const struct master *m);

/* ---- orphans.c ---- */

/* To be called once, before there are children. 0 or -errno. */
int orphans_prepare(struct master *m);
/* A child has died that forked a process a session: are there any left? */
void orphans_adopt(struct master *m, pid_t group, const char *path);
/* Bury those that have ended. */
void orphans_reap(struct master *m);
void orphans_stop(struct master *m);
void orphans_kill(struct master *m);

/* ---- files.c ---- */

/* Take the names of a FILES packet. 0, or -EINVAL: it has sent one before, or it is malformed. */
int files_register(struct child *c, struct span names);
/* Answer an OPEN. 0, or -EINVAL: there is no such file. */
int files_hand_over(const struct child *c, unsigned number);

/* ---- reload.c ---- */

/* Take settings over: children of the old ones drain. The settings' members are moved. 0 or negative with *err. */
int apply_settings(struct master *m, struct settings *s, struct str *err);
void reload(struct master *m);
/* Tell postern(1) of a reload once no process with the old settings takes connections, or when it has waited long. */
void reload_report(struct master *m);

/* ---- run.c ---- */

int run_prepare(struct master *m);      /* epoll and signals; 0 or -errno */
void run(struct master *m);             /* until stopped */
void run_watch(struct master *m, int fd, struct source *source);

/* ---- privilege.c ---- */

void master_limit_capabilities(void);

#endif
