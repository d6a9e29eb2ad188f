/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.c - copy between the client's TLS and a session process, one fiber a direction
 *
 * Both fibers share the streams, and the last one to end frees them: neither
 * may wait for the other, because a cancelled fiber can wait no more.
 *
 * Runs in: imapd-login, pop3d-login. Nothing is parsed here.
 */
#include "base/mem.h"
#include "login/login.h"

struct relay {
    struct stream *client, *session;
    int fibers;
    struct fiber *up;       /* client to session; NULL once it has ended */
};

static void leave(struct relay *r)
{
    if (--r->fibers > 0)
        return;
    stream_free(r->client);
    stream_free(r->session);
    free(r);
}

static void copy(struct stream *from, struct stream *to)
{
    struct span bytes;

    while (stream_peek(from, &bytes) == 0) {
        stream_write(to, bytes);
        stream_consume(from, bytes.len);
        if (stream_flush(to) < 0)
            return;
    }
    stream_close_write(to);
}

static void copy_up(void *arg)
{
    struct relay *r = arg;

    copy(r->client, r->session);
    r->up = NULL;
    leave(r);
}

void login_relay(struct stream *client, struct stream *session)
{
    struct relay *r = mem_new(struct relay);

    r->client = client;
    r->session = session;
    r->fibers = 2;
    r->up = fiber_start(copy_up, r);
    copy(session, client);
    /* The session is over: what the client still says has no reader. */
    if (r->up)
        fiber_cancel(r->up);
    leave(r);
}
