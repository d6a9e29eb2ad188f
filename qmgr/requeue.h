/* SPDX-License-Identifier: Apache-2.0 */
/*
 * requeue.h - messages that are put back into maildrop/, to be submitted again
 */
#ifndef QMGR_REQUEUE_H
#define QMGR_REQUEUE_H

#include "qmgr/qmgr.h"

/* Move the file there and have pickup look: it need not wait for its next wakeup. 0 or -errno. */
int requeue_file(struct qmgr *q, enum queue_place from, const char *id);

#endif
