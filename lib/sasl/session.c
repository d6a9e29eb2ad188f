/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - how a mailbox session begins: take a signed-in client over from the front
 *
 * The front names no user. Its ticket is shown to auth, which knows whose it is, so that a front that
 * has been taken over can forge nobody. All that needs the old user happens before the
 * change; after it the process can do nothing that the mailbox owner could not.
 *
 * Runs in: imapd, pop3d (the child of one session). The front is trusted with nothing but the connection.
 */
#include "sasl/session.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/stream_unread.h"

enum { START_TIMEOUT_MS = 30000 };

/* Ask auth whose ticket it is. */
static int redeem(const struct session_start *start, const char *protocol, struct ticket_user *ret)
{
    _cleanup_(ipc_free_ptr_) struct ipc *auth = NULL;
    struct ticket_redeem ask = { .ticket = start->ticket, .pass = start->pass };    /* borrowed */
    uint64_t deadline = clock_deadline_ms(START_TIMEOUT_MS);
    int r = ipc_connect("auth", deadline, &auth);

    if (r < 0)
        return log_warn_errno(r, "session refused: cannot reach auth");
    snprintf(ask.protocol, sizeof ask.protocol, "%s", protocol);
    stream_set_deadline(ipc_stream(auth), deadline);
    ipc_send(auth, &ticket_redeem_shape, &ask);
    r = ipc_recv(auth, &ticket_user_shape, ret);
    if (r < 0)
        return log_warn_errno(r, "session refused: no answer from auth");
    if (ret->status == AUTH_OK)
        return 0;
    log_warn("session refused: the ticket is %s",
             ret->status == AUTH_REFUSED ? "unknown, used or of another service" : "not to be redeemed now");
    return ret->status == AUTH_REFUSED ? -EACCES : -EAGAIN;
}

static int become(const struct server *sv, struct ticket_user *user)
{
    int r = daemon_become_user(sv, user->uid, user->gid, NULL, 0);

    if (r < 0)
        log_warn_errno(r, "session of %s refused: cannot become uid %u gid %u", str_cstr(&user->user), user->uid,
                       user->gid);
    return r;
}

static int receive(struct ipc *front, struct session_start *start, int *ret_fd)
{
    int r = ipc_recv(front, &session_start_shape, start);

    if (r == -ENODATA)
        return r;
    if (r == 0)
        r = ipc_recv_fd(front, ret_fd);
    return r < 0 ? log_warn_errno(r, "session refused: bad hand-off") : 0;
}

static int tell_front(struct ipc *front, int result)
{
    struct session_started answer = { .status = result < 0, .pid = (uint32_t)getpid() };

    if (result < 0)
        snprintf(answer.text, sizeof answer.text, "%s", strerror(-result));
    ipc_send(front, &session_started_shape, &answer);
    return ipc_flush(front);
}

int session_take(const struct server *sv, struct stream *front_stream, const char *protocol,
                 struct session_client *ret)
{
    _cleanup_(ipc_free_ptr_) struct ipc *front = ipc_new(front_stream);
    _cleanup_(session_client_done) struct session_client c = SESSION_CLIENT_INIT;
    _cleanup_close_ int fd = -1;

    stream_set_deadline(front_stream, clock_deadline_ms(START_TIMEOUT_MS));
    int r = receive(front, &c.start, &fd);
    if (r < 0)
        return r;
    r = redeem(&c.start, protocol, &c.user);
    if (r == 0)
        r = become(sv, &c.user);
    if (r < 0) {
        tell_front(front, r);
        return r;
    }
    r = tell_front(front, 0);
    if (r < 0)
        return log_warn_errno(r, "session of %s given up: the front has gone", str_cstr(&c.user.user));
    stream_set_deadline(front_stream, CLOCK_NEVER);
    c.front = TAKE_PTR(front);
    c.stream = stream_new(TAKE_FD(fd));
    stream_unread(c.stream, str_span(&c.start.input));
    *ret = c;
    c = (struct session_client)SESSION_CLIENT_INIT;
    return 0;
}

void session_client_done(struct session_client *c)
{
    /* The front goes by the end of this connection: the client's must have ended by then. */
    stream_free(c->stream);
    ipc_free(c->front);
    session_start_msg_done(&c->start);
    ticket_user_msg_done(&c->user);
    *c = (struct session_client)SESSION_CLIENT_INIT;
}
