/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - how a mailbox session begins: take a signed-in client over from the front (msg_session.h)
 *
 *     front -> session_start, descriptor
 *              auth: ticket_redeem -> ticket_user       whose ticket it is, the front does not say
 *              become that user, for good
 *     front <- session_started
 */
#ifndef SASL_SESSION_H
#define SASL_SESSION_H

#include "daemon/daemon.h"
#include "ipc/msg_auth.h"
#include "ipc/msg_session.h"

/* A client and who it is. */
struct session_client {
    struct stream *stream;          /* its connection, or the front's end of it; with what it had pipelined */
    struct ipc *front;              /* as long as it is open the front holds the connection */
    struct session_start start;
    struct ticket_user user;
};
#define SESSION_CLIENT_INIT { .stream = NULL }

/*
 * Called in the child that serves one connection of a front. front is taken and freed. protocol: "imap", "pop3".
 * On success the process is the user, the front has been told, and *ret is the caller's
 * (session_client_done). On failure it has been logged, and the front has been told to answer the
 * client itself; *ret is empty. Negative errno then; -ENODATA: the front went without a word.
 */
MAY_WAIT int session_take(const struct server *sv, struct stream *front, const char *protocol,
                          struct session_client *ret);
void session_client_done(struct session_client *c);

#endif
