/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - serving one caller of tlsmgr
 */
#ifndef TLSMGR_SESSION_H
#define TLSMGR_SESSION_H

#include "daemon/daemon.h"

/* struct daemon's session; sv->state is the struct ring. */
MAY_WAIT void tlsmgr_session(struct server *sv, struct stream *client, const struct peer *peer);

#endif
