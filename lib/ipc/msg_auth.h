/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_auth.h - signing in, and redeeming the one-time ticket of a mailbox session
 *
 *     smtpd, imapd-login, pop3d-login              auth
 *     auth_start                                ->
 *              { <- auth_challenge,  auth_answer -> } ...
 *                                               <- auth_result
 *
 *     imapd, pop3d:  ticket_redeem -> ticket_user      by a ticket, or by the pass of a session that was parked
 *
 * One exchange at a time on a connection; kept for the next. What a ticket is made of concerns auth alone
 * (auth/ticket.c); it is valid once, for one service, for 60 seconds.
 */
#ifndef IPC_MSG_AUTH_H
#define IPC_MSG_AUTH_H

#include "ipc/ipc.h"
#include "ipc/msg_submit.h"

#define AUTH_PASS_MAX 1200
#define AUTH_DATA_MAX 12288     /* RFC 4954 section 4: a base64 line of 12288 octets */

struct auth_start {
    char protocol[16];          /* "smtp", "imap", "pop3" */
    char service[64];           /* master.cf name, for the log */
    char mechanism[32];         /* upper case */
    struct str initial;         /* decoded initial response */
    uint32_t has_initial;
    uint32_t tls;
    uint32_t want_ticket;       /* 1 for imap and pop3 */
    char client_addr[64], local_addr[64];
    struct str channel_binding; /* tls-exporter data, empty if none */
};
IPC_SHAPE(auth_start, IPC_STR(auth_start, protocol), IPC_STR(auth_start, service),
    IPC_STR(auth_start, mechanism), IPC_DYN(auth_start, initial, AUTH_DATA_MAX),
    IPC_U32(auth_start, has_initial, 1), IPC_U32(auth_start, tls, 1), IPC_U32(auth_start, want_ticket, 1),
    IPC_STR(auth_start, client_addr), IPC_STR(auth_start, local_addr),
    IPC_DYN(auth_start, channel_binding, 512),);

struct auth_challenge { struct str data; };
IPC_SHAPE(auth_challenge, IPC_DYN(auth_challenge, data, AUTH_DATA_MAX),);

struct auth_answer {
    struct str data;            /* decoded */
    uint32_t cancelled;         /* the client sent "*" */
};
IPC_SHAPE(auth_answer, IPC_DYN(auth_answer, data, AUTH_DATA_MAX), IPC_U32(auth_answer, cancelled, 1),);

enum auth_status {
    AUTH_OK,
    AUTH_REFUSED,               /* wrong credentials: 535, NO [AUTHENTICATIONFAILED], -ERR [AUTH] */
    AUTH_TEMPORARY,             /* 454, NO [UNAVAILABLE], -ERR [SYS/TEMP] */
    AUTH_MALFORMED,             /* 501: undecodable exchange or cancelled */
    AUTH_NO_MECHANISM,          /* 504 */
    AUTH_STATUS_LAST = AUTH_NO_MECHANISM,
};

struct auth_result {
    uint32_t status;            /* enum auth_status */
    struct str user;            /* also on refusal if known, for the log */
    struct str ticket;          /* empty: none */
    char text[256];             /* reason, for the log */
};
IPC_SHAPE(auth_result, IPC_U32(auth_result, status, AUTH_STATUS_LAST), IPC_DYN(auth_result, user, 1024),
    IPC_DYN(auth_result, ticket, AUTH_PASS_MAX), IPC_STR(auth_result, text),);

struct ticket_redeem {
    struct str ticket;          /* of a session that begins */
    struct str pass;            /* of one that was parked; else empty */
    char protocol[16];
};
IPC_SHAPE(ticket_redeem, IPC_DYN(ticket_redeem, ticket, AUTH_PASS_MAX), IPC_DYN(ticket_redeem, pass, AUTH_PASS_MAX),
    IPC_STR(ticket_redeem, protocol),);

struct ticket_user {
    uint32_t status;            /* AUTH_OK, AUTH_REFUSED (unknown, used or of another service), AUTH_TEMPORARY */
    struct str user;
    uint32_t uid, gid;
    struct str home;            /* may be empty for virtual mailboxes */
    struct str maildir;         /* absolute path of the INBOX Maildir */
    struct str pass;            /* lets the session be parked and woken as this user (auth/pass.c) */
    char quota[256];            /* "*:storage=1G", the user's own rule (mailbox/quota.h); empty: none */
};
IPC_SHAPE(ticket_user, IPC_U32(ticket_user, status, AUTH_STATUS_LAST), IPC_DYN(ticket_user, user, 1024),
    IPC_U32(ticket_user, uid, UINT32_MAX), IPC_U32(ticket_user, gid, UINT32_MAX),
    IPC_DYN(ticket_user, home, 4096), IPC_DYN(ticket_user, maildir, 4096), IPC_DYN(ticket_user, pass, AUTH_PASS_MAX),
    IPC_STR(ticket_user, quota),);

#endif
