/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle.h - what becomes of recipients and, after the last delivery, of the message
 */
#ifndef QMGR_SETTLE_H
#define QMGR_SETTLE_H

#include "qmgr/qmgr.h"

/* The envelope has been read: who is open, and is there a success to report that a crash or bounce kept back? */
void settle_begin(struct active *a);

/* An agent's outcome; o->number is a recipient that was handed to it. */
void settle_outcome(struct active *a, const struct outcome *o);

/* These recipients could not be tried, by a fault of our own: soon again. Logs a line for each. */
void settle_fault(struct active *a, const uint32_t *rcpts, size_t n, const char *dsn,
                  const char *text);

/* These recipients were not tried since their destination is suspended. Logs a line for each. */
void settle_suspended(struct active *a, const uint32_t *rcpts, size_t n,
                      const struct sched_health *why);

/*
 * A delivery of these recipients has ended: journal their outcomes, unless the file will be unlinked
 * at once since nothing else is left to do.
 */
void settle_journal(struct active *a, const uint32_t *rcpts, size_t n);

/* Will settle_message() wait, or write? If not, the message was delivered and is just unlinked. */
bool settle_waits(const struct active *a);

/*
 * No delivery is in flight or queued: return to the sender what failed, then unlink the file, or put
 * the message to sleep until its next attempt. Frees a, and may drop its message.
 */
MAY_WAIT void settle_message(struct active *a);

#endif
