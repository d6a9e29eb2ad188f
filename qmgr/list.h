/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h - telling postqueue what is in the queue
 */
#ifndef QMGR_LIST_H
#define QMGR_LIST_H

#include "qmgr/qmgr.h"

/* Answer a queue_list: all messages in the order maildrop, active, incoming, deferred, hold.
 * 0, -EPROTO or the stream's error. */
MAY_WAIT int list_serve(struct qmgr *q, struct ipc *c, uid_t uid);

#endif
