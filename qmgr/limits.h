/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h - what main.cf says of a transport: TRANSPORT_... parameters, else the defaults
 */
#ifndef QMGR_LIMITS_H
#define QMGR_LIMITS_H

#include "qmgr/qmgr.h"

/* For sched_policy; arg: struct server. A bad value is logged, and the default used. */
void limits_of_transport(const char *transport, struct sched_limits *ret, void *arg);

/* Is it one of defer_transports? */
bool limits_deferred(const struct params *p, const char *transport);

#endif
