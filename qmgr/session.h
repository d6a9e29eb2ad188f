/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - serving cleanup, postqueue, postsuper and sendmail -q
 */
#ifndef QMGR_SESSION_H
#define QMGR_SESSION_H

#include "daemon/daemon.h"

MAY_WAIT void qmgr_session(struct server *sv, struct stream *client, const struct peer *peer);

#endif
