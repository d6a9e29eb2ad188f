/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - qmgr's requests
 */
#ifndef SMTP_SESSION_H
#define SMTP_SESSION_H

#include "daemon/daemon.h"

/* Serve deliver requests (ipc/msg_deliver.h) on a kept connection until qmgr closes it. */
MAY_WAIT void smtp_session(struct server *sv, struct stream *client, const struct peer *peer);

#endif
