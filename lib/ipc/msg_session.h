/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg_session.h - a signed-in connection between its front and its mailbox session
 *
 *     imapd-login / pop3d-login                imapd / pop3d
 *     session_start + descriptor            ->
 *                                           <- session_started
 *     ... the session serves; this connection stays open until it ends, and is nearly always silent ...
 *
 * The descriptor is the client's connection, or, where the front keeps a layer (TLS,
 * compression), one end of a socket pair whose other end the front copies to and from
 * the client. The session process redeems the ticket at auth and only then
 * becomes the user. It answers the client's sign-in command itself (`tag`).
 *
 * Parking, begun by a session that has nothing to do:
 *
 *                                           <- session_hold, with 2 descriptors if `watch`
 *     session_held                          ->    from now on the front passes on no input
 *     then one of
 *                                           <- session_stay        all as before
 *                                           <- session_park        and the process ends
 *                                           <- session_compress, after its last plain byte
 *     session_compressed + descriptor       ->    RFC 4978: from now on the front has this layer as well
 *
 * `silent_ms` is how long the client has said nothing; imap_timeout counts across parkings. `linger_ms`: how long the woken
 * session waits for the client before it parks again; 0 if others wait to be woken.
 *
 * At any time, to a session that may be idle, to make room for another one of its user:
 *
 *     session_yield                         ->    if it waits for its client it says goodbye and ends; there is no answer
 *
 * When the connection ends, so does a session that waits for its client: its front is gone.
 *
 * The descriptors are the directories new/ and cur/ of the mailbox in which the client waits for news
 * (IDLE): what the front may watch it is handed, and it can do nothing else with them. To wake the session
 * it sends a session_start with `state` and `pass` to a new process; `pass` takes the ticket's place.
 */
#ifndef IPC_MSG_SESSION_H
#define IPC_MSG_SESSION_H

#include "ipc/ipc.h"
#include "ipc/msg_auth.h"

#define SESSION_STATE_MAX 65536
#define SESSION_CLIENT_NAME_MAX 104
enum { SESSION_WATCHED = 2 };   /* directories */
enum { SESSION_LINGER_MAX_MS = 24 * 60 * 60 * 1000 };

struct session_start {
    struct str ticket;
    struct str pass;            /* of a parked session; else empty */
    struct str state;           /* what it has left */
    char session_id[40];        /* for the log lines of front and session */
    char client_addr[64], local_addr[64];
    uint32_t client_port, local_port;
    uint32_t tls, compressed;
    uint64_t silent_ms;         /* of a parked session, and this: */
    uint32_t linger_ms;
    char client_name[SESSION_CLIENT_NAME_MAX];      /* what ID has said before sign-in; "" for parked ones */
    char tag[256];              /* IMAP tag of LOGIN/AUTHENTICATE; empty for POP3 */
    struct str input;           /* bytes the front had read already */
};
IPC_SHAPE(session_start, IPC_DYN(session_start, ticket, AUTH_PASS_MAX), IPC_DYN(session_start, pass, AUTH_PASS_MAX),
    IPC_DYN(session_start, state, SESSION_STATE_MAX), IPC_STR(session_start, session_id),
    IPC_STR(session_start, client_addr), IPC_STR(session_start, local_addr),
    IPC_U32(session_start, client_port, 65535), IPC_U32(session_start, local_port, 65535),
    IPC_U32(session_start, tls, 1), IPC_U32(session_start, compressed, 1),
    IPC_U64(session_start, silent_ms, INT64_MAX), IPC_U32(session_start, linger_ms, SESSION_LINGER_MAX_MS),
    IPC_STR(session_start, client_name), IPC_STR(session_start, tag),
    IPC_DYN(session_start, input, 65536),);

struct session_started {
    uint32_t status;            /* 0: the session has the connection; 1: temporary failure, the front answers */
    uint32_t pid;               /* of the session process, for the log */
    char text[256];
};
IPC_SHAPE(session_started, IPC_U32(session_started, status, 1), IPC_U32(session_started, pid, INT32_MAX), IPC_STR(session_started, text),);

struct session_hold { uint32_t watch; };
IPC_SHAPE(session_hold, IPC_U32(session_hold, watch, 1),);

struct session_held { uint32_t watched; };      /* 0: the front cannot watch (or was not asked to) */
IPC_SHAPE(session_held, IPC_U32(session_held, watched, 1),);

struct session_stay { uint32_t unused; };
IPC_SHAPE(session_stay, IPC_U32(session_stay, unused, 0),);

struct session_park {
    struct str pass, state;     /* for the next session_start */
    uint32_t idling;            /* the client is in IDLE: it hears of changes, and a line now and then */
    uint64_t silent_ms;
    struct str who, tally;      /* should it end while it is parked: log line before and behind the reason */
};
IPC_SHAPE(session_park, IPC_DYN(session_park, pass, AUTH_PASS_MAX), IPC_DYN(session_park, state, SESSION_STATE_MAX),
    IPC_U32(session_park, idling, 1), IPC_U64(session_park, silent_ms, INT64_MAX), IPC_DYN(session_park, who, 1024), IPC_DYN(session_park, tally, 1024),);

struct session_yield { uint64_t until; };       /* clock_ms(): later it means nothing any more */
IPC_SHAPE(session_yield, IPC_U64(session_yield, until, UINT64_MAX),);

struct session_compress { uint32_t unused; };
IPC_SHAPE(session_compress, IPC_U32(session_compress, unused, 0),);

struct session_compressed { uint32_t unused; };
IPC_SHAPE(session_compressed, IPC_U32(session_compressed, unused, 0),);

#endif
