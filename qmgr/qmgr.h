/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qmgr.h - what the files of the queue manager share: the queue in memory
 *
 *            queue_new                      a place in the active set
 *     new/ ------------> [ incoming ] --------------------> [ active ] --- all settled ---> unlinked
 *                          ^   |  parked: too many wait        |
 *                          +---+  for its destination          | some must be tried again
 *                              ^                               |
 *                              +-- due ----- [ deferred ] <----+
 *
 * A message that becomes active at once, and is delivered, never leaves new/, which saves a rename; one that must
 * wait for anything, or gets a journal, is moved to cur/ first (message_keep).
 *
 * An index record (struct message) exists for each file in cur/, and each in new/ that is at its first attempt. With what listings show (digest.h) and its
 * place among the retries it costs some 170 bytes, so that a million deferred messages take 170 MB. Envelope,
 * routes and jobs (struct active) are read when a message becomes active and dropped when it is deferred or
 * parked. Files in hold/ are not in memory at all.
 *
 * One process, one thread: fibers share all this without locks. After a wait (MAY_WAIT) a message may be
 * gone; it is looked up again by id, or kept in memory by active->pending.
 */
#ifndef QMGR_QMGR_H
#define QMGR_QMGR_H

#include "base/heap.h"
#include "base/list.h"
#include "daemon/daemon.h"
#include "io/fiber.h"
#include "ipc/msg_queue.h"
#include "mail/route.h"
#include "qmgr/digest.h"
#include "qmgr/index.h"
#include "qmgr/retry.h"
#include "qmgr/schedule.h"
#include "queue/queue.h"

struct qmgr {
    struct server *sv;
    struct queue_dirs dirs;
    struct router *router;
    struct sched sched;
    struct retry_policy retry;
    struct ipc_pool *bounce;
    struct match_list *may_flush, *may_list; /* NULL: everybody */
    struct index messages;
    struct digests digests;
    struct heap deferred;       /* struct message by next attempt, real milliseconds */
    struct list incoming; /* struct message waiting for a place in the active set, oldest first */
    bool incoming_had_last;     /* incoming and deferred take turns */
    struct list actives;        /* struct active */
    size_t n_active, active_max;
    struct list large;          /* struct message of more recipients than there is room for */
    size_t n_large_rcpts, large_max; /* recipients of large messages in memory */
    size_t n_open, open_max;    /* descriptors of active messages */
    struct list removals;       /* struct active whose files go next; see remove.c */
    bool remover_runs;
    int settled_fd;             /* cur/.settled, or -1 */
    size_t settled_bytes;       /* written to it since it was cut */
    struct walk *scanning;      /* cur/ is still being read after the start; see scan.c */
    struct waitq scanned;       /* for the end of that */
    bool scan_flushes;          /* what they find is due at once: a flush came meanwhile */
    uint32_t n_requeued;        /* pickup is about to be told of them */
    struct waitq clock;         /* the fiber of clock.c waits here */
    uint64_t clock_wakes;       /* until this clock_ms(), unless woken */
    bool stopping;              /* no new deliveries */
};

/* What an operator wants to become of a message that is being delivered, once its deliveries have ended. */
enum message_want { WANT_NOTHING, WANT_DELETE, WANT_HOLD, WANT_REQUEUE };

struct message {
    struct message *next;       /* in the index */
    struct digest *digest;      /* while it waits; NULL: not known, it is in the file */
    union {                     /* by state */
        struct list link;       /* INCOMING: in qmgr->incoming, a destination's parked ones, or alone */
        struct heap_node retry; /* DEFERRED: in qmgr->deferred, or alone */
        struct active *active;  /* ACTIVE; NULL before its file has been read */
    };
    uint8_t state;          /* enum queue_state: INCOMING, ACTIVE, DEFERRED */
    uint8_t want;           /* enum message_want */
    uint8_t faults;         /* attempts in a row that failed by a fault of our own */
    bool inherited : 1;     /* was in cur/ at start: a predecessor may still be delivering it */
    bool fresh : 1;         /* at its first attempt: the file is in new/ */
    bool flushed : 1;       /* an operator wants it tried now, defer_transports or not */
    char id[];
};

static inline struct active *message_active(const struct message *m)
{
    return m->state == QUEUE_STATE_ACTIVE ? m->active : NULL;
}

/* A message in delivery. */
struct active {
    struct qmgr *q;
    struct message *m;
    struct list link;           /* in qmgr->actives */
    int fd;                     /* read-only, given to agents; -1: closed to save descriptors */
    int journal_fd;             /* -1 until something must be written */
    struct queue_envelope env;
    struct list jobs;           /* struct sched_job */
    struct list removal;        /* in qmgr->removals */
    size_t pending;             /* jobs, and one while it is being routed; at 0 it is settled */
    size_t in_flight;           /* tasks */
    size_t n_open;              /* recipients that are neither delivered nor reported as failed */
    int64_t active_us;
    int64_t resume_at; /* seconds: when a suspended destination is tried again; 0: none met */
    bool attempted;             /* an agent has answered */
    bool fault;                 /* some recipient was not tried, by a fault of our own */
    bool recalled; /* some recipient was not tried, since its delivery was called off */
    bool report_success;        /* some recipient wants to be reported as delivered */
    bool no_bounce;             /* bounce could not be reached */
    bool removing;              /* settled; its file is about to go */
    bool is_large;              /* counts in n_large_rcpts */
};

/* Bytes that someone else owns, as a `struct str` for sending. */
static inline struct str str_borrow(const char *text)
{
    return (struct str){ .data = (char *)text, .len = text ? strlen(text) : 0 };
}

#endif
