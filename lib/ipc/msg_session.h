/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_session.h - the hand-off of a signed-in connection from a front to a mailbox session
 *
 *     imapd-login / pop3d-login                imapd / pop3d
 *     session_start + descriptor            ->
 *                                           <- session_started
 *
 * The descriptor is the client's connection, or, where the front keeps a TLS
 * layer, one end of a socket pair whose other end the front copies to and from
 * the client. The session process redeems the ticket at auth and only then
 * becomes the user. It answers the client's sign-in command itself (`tag`).
 */
#ifndef IPC_MSG_SESSION_H
#define IPC_MSG_SESSION_H

#include "ipc/ipc.h"

struct session_start {
    char ticket[40];
    char session_id[40];        /* for the log lines of front and session */
    char client_addr[64], local_addr[64];
    uint32_t client_port, local_port;
    uint32_t tls;
    char tag[256];              /* IMAP tag of LOGIN/AUTHENTICATE; empty for POP3 */
    struct str input;           /* bytes the front had read already */
};
IPC_SHAPE(session_start, IPC_STR(session_start, ticket), IPC_STR(session_start, session_id),
    IPC_STR(session_start, client_addr), IPC_STR(session_start, local_addr),
    IPC_U32(session_start, client_port, 65535), IPC_U32(session_start, local_port, 65535),
    IPC_U32(session_start, tls, 1), IPC_STR(session_start, tag), IPC_DYN(session_start, input, 65536),);

struct session_started {
    uint32_t status;            /* 0: the session has the connection; 1: temporary failure, the front answers */
    uint32_t pid;               /* of the session process, for the log */
    char text[256];
};
IPC_SHAPE(session_started, IPC_U32(session_started, status, 1), IPC_U32(session_started, pid, INT32_MAX), IPC_STR(session_started, text),);

#endif
