/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - what operators ask for: try now, delete, hold, release, requeue, expire
 */
#ifndef QMGR_CONTROL_H
#define QMGR_CONTROL_H

#include "qmgr/qmgr.h"

/* Answer a queue_command of this user. 0, -EPROTO or the stream's error. */
MAY_WAIT int control_serve(struct qmgr *q, struct ipc *c, uid_t uid);

/* Try now what waits for a domain; how many messages. */
MAY_WAIT uint32_t control_flush_site(struct qmgr *q, struct span site);

#endif
