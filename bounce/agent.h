/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.h - a delivery agent that delivers nothing: one answer for all recipients of a request
 */
#ifndef BOUNCE_AGENT_H
#define BOUNCE_AGENT_H

#include "daemon/daemon.h"
#include "ipc/msg_deliver.h"

struct verdict {
    enum outcome_status status;
    char dsn[16];
    struct str text;
};

/*
 * Serve qmgr's deliver requests until the connection ends. judge() fills *ret (empty at first) from the
 * request; each recipient gets that outcome and its log line.
 */
MAY_WAIT
void agent_session(struct server *sv, struct stream *client, const struct peer *peer,
                   void (*judge)(const struct server *sv, const struct deliver *request,
                                 struct verdict *ret));

#endif
