/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.h - finding messages in the queue's directories: at start, and where a notice was lost
 */
#ifndef QMGR_SCAN_H
#define QMGR_SCAN_H

#include "qmgr/qmgr.h"

/*
 * Publish complete files of tmp/, accept complete ones of new/, remove incomplete ones older than a day. At start,
 * and from time to time for messages whose cleanup died before its notice.
 */
MAY_WAIT void scan_new(struct qmgr *q);

/* Start reading cur/ into the index, in fibers and on helper threads; q->scanning until that has ended. */
void scan_cur(struct qmgr *q);

/* Wait for the end of it. 0 or -ECANCELED. */
MAY_WAIT int scan_wait(struct qmgr *q);

/* Read one file of cur/ into the index now, if the scan may not have got to it yet. */
void scan_one(struct qmgr *q, const char *id);

#endif
