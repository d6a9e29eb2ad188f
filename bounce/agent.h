/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.h - a delivery agent that delivers nothing: one answer for all recipients of a request
 */
#ifndef BOUNCE_AGENT_H
#define BOUNCE_AGENT_H

#include "daemon/daemon.h"
#include "ipc/msg_deliver.h"

/* Set status, dsn and text of *ret, which all recipients of the request get. */
typedef void agent_judge(const struct server *sv, const struct deliver *request, struct outcome *ret);

struct agent_program {
    struct daemon daemon;       /* AGENT_DAEMON(name) */
    agent_judge *judge;
};

/* Runs as mail_owner, may touch nothing: it needs no sandbox of its own. */
#define AGENT_DAEMON(program)                                                                      \
    { .name = program, .mode = DAEMON_FIBERS, .sandbox = { .user = RUN_AS_QUEUE },                 \
      .start = agent_start, .session = agent_session }

int agent_start(struct server *sv);
/* Serve qmgr's deliver requests until the connection ends; each recipient gets its log line. */
MAY_WAIT void agent_session(struct server *sv, struct stream *client, const struct peer *peer);

/*
 * Give *ret that status, and dsn and text from the nexthop, "5.1.1 no such user". The first digit of the dsn follows
 * the status; text: if the nexthop has none.
 */
void agent_answer(struct outcome *ret, enum outcome_status status, const struct deliver *request, const char *text);

#endif
