/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.h - finding messages in the queue's directories: at start, and where a notice was lost
 */
#ifndef QMGR_SCAN_H
#define QMGR_SCAN_H

#include "qmgr/qmgr.h"

/*
 * Publish complete files of tmp/, remove incomplete ones older than a day, accept all of new/. At start,
 * and from time to time for messages whose cleanup died between rename and notice.
 */
MAY_WAIT void scan_new(struct qmgr *q);

/* A fiber that reads cur/ into the index (arg: struct qmgr) and ends. */
void scan_cur_fiber(void *arg);

#endif
