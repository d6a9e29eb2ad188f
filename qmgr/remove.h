/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remove.h - the end of a message: its file goes
 */
#ifndef QMGR_REMOVE_H
#define QMGR_REMOVE_H

#include "qmgr/qmgr.h"

/* At start, before cur/ is read: unlink what an interrupted qmgr knew to be settled. */
void remove_settled(struct qmgr *q);

/* Unlink the file of a message that is settled, log that, free a and drop its message: soon, on a
 * helper thread. Until then the message is in the index and keeps its place in the active set. */
void remove_message(struct active *a);

/* Unlink now what is still waiting for it, lest a successor takes it for undelivered. The rest follows
 * as always. */
void remove_all_now(struct qmgr *q);

#endif
