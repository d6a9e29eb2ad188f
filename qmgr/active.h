/* SPDX-License-Identifier: Apache-2.0 */
/*
 * active.h - a message becomes active: its file is read, its recipients are routed and grouped into jobs
 */
#ifndef QMGR_ACTIVE_H
#define QMGR_ACTIVE_H

#include "qmgr/qmgr.h"

/*
 * Read the message's file and start its deliveries. m is in the index and in no list; it takes a place in the
 * active set. When the call returns m may be gone (delivered, unreadable) or deferred.
 */
MAY_WAIT void active_start(struct qmgr *q, struct message *m);

/* The descriptor for agents, opened again if it had been closed; -errno. It stays a's. */
int active_fd(struct active *a);

/* The descriptor for agents, now the caller's to close; -1 if there is none. */
int active_take_fd(struct active *a);

/* The descriptor for the journal; -errno. It stays a's. */
int active_journal(struct active *a);

/* -9 ... 9: probes, for which somebody waits, come first. */
int active_priority(const struct active *a);

/* A job is done with: free it, and settle the message with its last one (possibly in a new fiber). */
void active_job_done(struct active *a, struct sched_job *j);

/* The job cannot be delivered now, `why` says so: its recipients that no agent has are deferred. */
void active_job_stuck(struct active *a, struct sched_job *j, const struct sched_health *why);

/* Take back all jobs that no agent has, since the operator wants something else to become of the message. */
void active_recall(struct active *a);

/* Drop what is in memory for the delivery of m, and its place; m stays in the index, in no list. */
void active_free(struct active *a);

#endif
