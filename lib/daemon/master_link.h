/* SPDX-License-Identifier: Apache-2.0 */
/*
 * master_link.h - what master and a server process tell each other
 *
 * POSTERN_MASTER is one end of a SOCK_SEQPACKET pair; each packet is one
 * struct master_note. The end of the connection says that the other one is gone.
 * Notes are few: a process speaks when what it can take changes, not at each session.
 *
 *     server:  FILES -> READY -> (FULL -> AVAILABLE)* -> RETIRING -> end;  OPEN at any time after FILES
 *     master:  WAKEUP*, DRAIN, STOP;  a FILE for each OPEN
 *
 * FILES comes once, before the process gives up its privileges: after the note the names of the files that it
 * has read and may want to read again, each with a NUL, numbered from 0. Later it names them by number
 * only, so that one that was taken over can reach nothing new. FILE brings a read-only descriptor of the
 * file as it is now (SCM_RIGHTS), or none and an errno value.
 */
#ifndef DAEMON_MASTER_LINK_H
#define DAEMON_MASTER_LINK_H

#include <stdint.h>

/* Names in the environment of a server process. */
#define ENV_LISTEN   "POSTERN_LISTEN"       /* "3 4": listening sockets (or a FIFO) */
#define ENV_MASTER   "POSTERN_MASTER"       /* "5" */
#define ENV_SERVICES "POSTERN_SERVICES"     /* "cleanup=6 auth=7": O_PATH descriptors of sockets */
#define ENV_LOG      "POSTERN_LOG"          /* "8": maillog_file */
#define ENV_MAIN_CF  "POSTERN_MAIN_CF"      /* "9": main.cf as it was when it was checked */
#define ENV_LIMIT    "POSTERN_LIMIT"        /* maxproc of the service, 0: none */
#define ENV_STOP     "POSTERN_STOP"         /* "10": a pipe whose other end master closes when the suite stops */
#define ENV_SECRET   "POSTERN_SECRET"       /* "11": sealed random bytes, as old as master; for auth only */
#define ENV_PUBLIC   "POSTERN_PUBLIC"       /* "1": the socket is not private */
#define ENV_CHECK    "POSTERN_CHECK"        /* "1": only look whether the settings can be used, and say on stderr what is wrong */

/* Bytes of what ENV_SECRET is. */
enum { MASTER_SECRET_SIZE = 32 };

/* Bytes of a FILES packet. */
enum { MASTER_FILES_MAX = 64 << 10 };

/* After STOP, or when master is gone, sessions get so long before they are cancelled. */
enum { STOP_GRACE_MS = 5000 };

enum master_note_kind {
    /* server to master */
    NOTE_READY = 'r',       /* started; takes connections from now on */
    NOTE_FOR_ALL = 'p',     /* forks a process a session: the only one for its service */
    NOTE_FULL = 'f',        /* takes no more; start another */
    NOTE_AVAILABLE = 'a',   /* takes connections again */
    NOTE_RETIRING = 'x',    /* takes none any more; ends when its sessions have. number 1: no successor waits for that */
    NOTE_FILES = 'l',       /* see above */
    NOTE_OPEN = 'o',        /* open file `number` again */
    NOTE_REFUSED = 's',     /* dies now: the sandbox refused system call `number` */
    /* master to server */
    NOTE_WAKEUP = 'w',
    NOTE_DRAIN = 'd',       /* reload: end when the sessions have ended */
    NOTE_STOP = 't',        /* the same within STOP_GRACE_MS */
    NOTE_FILE = 'i',        /* file `number`, or `error` */
};

struct master_note {
    uint8_t kind;           /* enum master_note_kind */
    uint8_t error;          /* errno value, NOTE_FILE only */
    uint16_t number;
};

#endif
