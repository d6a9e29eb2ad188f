/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handoff.c - the signed-in client goes to a session process (ipc/msg_session.h)
 *
 * Without TLS the session gets the client's own socket and the front is out of the way. With TLS it
 * gets one end of a socket pair, and the front copies between that and the client.
 *
 * Runs in: imapd-login, pop3d-login.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipc/msg_session.h"
#include "login/login.h"

enum { START_TIMEOUT_MS = 60000 };

static void fill_start(struct login *l, const char *ticket, struct span tag, struct session_start *m)
{
    snprintf(m->ticket, sizeof m->ticket, "%s", ticket);
    snprintf(m->session_id, sizeof m->session_id, "%s", l->session_id);
    snprintf(m->client_addr, sizeof m->client_addr, "%s", l->remote);
    snprintf(m->local_addr, sizeof m->local_addr, "%s", l->local);
    snprintf(m->tag, sizeof m->tag, SPAN_FMT, SPAN_ARG(tag));
    m->client_port = l->remote_port;
    m->local_port = l->local_port;
    m->tls = l->tls;
}

/* What the client has pipelined behind its sign-in goes along. */
static void take_input(struct login *l, struct str *input)
{
    struct span more;

    if (stream_buffered(l->client) > 0 && stream_peek(l->client, &more) == 0) {
        str_add(input, more);
        stream_consume(l->client, more.len);
    }
}

/* Offer fd to a session process. 0 when it has taken it. */
static int offer(struct login *l, const struct session_start *m, int fd)
{
    _cleanup_(ipc_free_ptr_) struct ipc *c = NULL;
    struct session_started res = { .status = 1 };
    uint64_t deadline = clock_deadline_ms(START_TIMEOUT_MS);

    int r = ipc_connect(l->server->protocol->session_service, deadline, &c);
    if (r < 0)
        return log_warn_errno(r, "%s-login: no session for user %s: cannot reach %s",
                              l->server->protocol->name, str_cstr(&l->user),
                              l->server->protocol->session_service);
    stream_set_deadline(ipc_stream(c), deadline);
    ipc_send_fd(c, fd);
    ipc_send(c, &session_start_shape, m);
    r = ipc_recv(c, &session_started_shape, &res);
    if (r == 0 && res.status != 0)
        r = -EAGAIN;
    if (r < 0)
        log_warn("%s-login: no session for user %s: %s", l->server->protocol->name, str_cstr(&l->user),
                 res.text[0] ? res.text : strerror(-r));
    else
        login_log_success(l, res.pid);
    return r;
}

static int hand_over_socket(struct login *l, const struct session_start *m)
{
    int r = stream_flush(l->client);

    if (r == 0)
        r = offer(l, m, stream_fd(l->client));
    return r;
}

static int hand_over_pair(struct login *l, const struct session_start *m)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return log_warn_errno(-errno, "%s-login: no socket pair for a session", l->server->protocol->name);
    _cleanup_close_ int theirs = pair[1];
    _cleanup_(stream_free_ptr_) struct stream *session = stream_new(pair[0]);
    int r = offer(l, m, theirs);
    if (r < 0)
        return r;
    close(TAKE_FD(theirs));     /* so that the session's end is seen here */
    stream_set_deadline(l->client, CLOCK_NEVER);
    login_relay(TAKE_PTR(l->client), TAKE_PTR(session));
    return 0;
}

int login_hand_off(struct login *l, const char *ticket, struct span tag)
{
    struct session_start m = { .input = STR_INIT };

    fill_start(l, ticket, tag, &m);
    take_input(l, &m.input);
    int r = l->tls ? hand_over_pair(l, &m) : hand_over_socket(l, &m);
    str_free(&m.input);
    return r;
}
