/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - asking bounce to tell the sender
 */
#ifndef QMGR_REPORT_H
#define QMGR_REPORT_H

#include "qmgr/qmgr.h"

/*
 * Have bounce report what stands in the message's journal. 0: the report was accepted, or refused for good
 * (logged: there is no way to tell this sender). Negative: not now, logged.
 */
MAY_WAIT int report_send(struct active *a, enum report_kind kind);

#endif
