/* SPDX-License-Identifier: Apache-2.0 */
/*
 * summary.h - what waits for each destination, and how that does
 */
#ifndef QMGR_SUMMARY_H
#define QMGR_SUMMARY_H

#include "qmgr/qmgr.h"

/* Send a queue_destination for each destination that mail waits for or that is suspended, those with most
 * recipients first. How many. */
MAY_WAIT uint32_t summary_send(struct qmgr *q, struct ipc *c);

#endif
