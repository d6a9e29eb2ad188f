/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - telling verify what became of an address probe
 */
#ifndef QMGR_PROBE_H
#define QMGR_PROBE_H

#include "qmgr/qmgr.h"

/* Tell the outcome of every recipient of a message with SUBMIT_PROBE. What cannot be told is logged and lost:
 * verify asks again when somebody wants to know. */
MAY_WAIT void probe_report(const struct active *a);

#endif
