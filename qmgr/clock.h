/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - the fiber that does what is due: retries, ends of suspensions, a look into new/ and tmp/
 */
#ifndef QMGR_CLOCK_H
#define QMGR_CLOCK_H

#include "qmgr/qmgr.h"

/* The fiber; arg is the struct qmgr. Ends when the process drains. */
void clock_fiber(void *arg);

/* Something may be due now / at that clock_ms() / at that real time in milliseconds. */
void clock_wake(struct qmgr *q);
void clock_wake_at(struct qmgr *q, uint64_t at_ms);
void clock_wake_at_real(struct qmgr *q, int64_t at_ms);

#endif
