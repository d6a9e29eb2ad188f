/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_front.h - what a session hears of its front without having asked (ipc/msg_session.h)
 *
 * While it waits for its client it can be ended without harm: because the front has gone, and nobody counts it or would
 * park it any more, or because its user has too many. Then the wait of its fiber answers -ECANCELED.
 */
#ifndef SASL_SESSION_FRONT_H
#define SASL_SESSION_FRONT_H

#include "ipc/ipc.h"

enum front_word { FRONT_SILENT, FRONT_GONE, FRONT_WANTS_ROOM };

struct session_front {
    struct ipc *ipc;            /* NULL: the conversation has failed, only the end of the connection is seen */
    int fd;                     /* its own descriptor of the connection: the loop has one watcher for each */
    struct poll_fd *poll;
    struct fiber *session;
    bool idle, unread;
    enum front_word word;       /* why the session was ended */
};
#define SESSION_FRONT_INIT { .fd = -1 }

/* Begin, in the session's fiber; front stays the caller's. Without a fiber nothing is heard. */
void session_front_begin(struct session_front *f, struct ipc *front);
void session_front_done(struct session_front *f);
/* The session waits for its client from now on (true), or has work. */
void session_front_idle(struct session_front *f, bool idle);
/* Before an answer of the front is received: what it has said without being asked is not for a session with work. */
MAY_WAIT int session_front_skip(struct ipc *front);

#endif
