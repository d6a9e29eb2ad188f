/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deliver.h - deliveries in flight: one fiber each, over kept connections to the agents
 */
#ifndef QMGR_DELIVER_H
#define QMGR_DELIVER_H

#include "qmgr/qmgr.h"

/* Start every delivery of this transport that the scheduler allows now. */
void deliver_start(struct qmgr *q, struct sched_transport *t);

#endif
