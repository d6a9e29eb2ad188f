/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - qmgr's requests for reports
 */
#ifndef BOUNCE_SESSION_H
#define BOUNCE_SESSION_H

#include "daemon/daemon.h"

struct bounce {
    struct ipc_pool *cleanup;
};

MAY_WAIT void bounce_session(struct server *sv, struct stream *client, const struct peer *peer);

#endif
