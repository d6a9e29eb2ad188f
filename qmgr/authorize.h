/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authorize.h - who may look at the queue, and who may ask for deliveries
 */
#ifndef QMGR_AUTHORIZE_H
#define QMGR_AUTHORIZE_H

#include "qmgr/qmgr.h"

/* Open the lists, in start(). 0, or negative after having logged why. */
int authorize_open(struct qmgr *q);

/* May this user? list: q->may_flush or q->may_list. If not, false and *refusal says so. */
MAY_WAIT bool authorize(const struct qmgr *q, struct match_list *list, uid_t uid, struct str *refusal);

#endif
