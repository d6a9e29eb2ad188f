/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.c - copy between the client's layers (TLS, compression) and a session process, one fiber a direction
 *
 * The fibers borrow the client's stream, and end before it is given to another session.
 *
 * Runs in: imapd-login, pop3d-login. Nothing is parsed here.
 */
#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/stream_rest.h"
#include "login/deflate.h"
#include "login/held.h"

enum { INFLATE_CHUNK = 16 * 1024 };

struct relay {
    struct stream *client, *session;
    struct deflate *deflate;        /* NULL: the client's bytes are as they are */
    struct fiber *up, *down;        /* client to session, and back; NULL once it has ended */
    bool held;
    bool passing;                   /* `up` has taken something from the client, and the session does not have all of it */
    struct waitq resume;            /* `up` waits here while it is held */
    struct waitq end;               /* for both */
};

/* False: it is over. */
static bool wait_while_held(struct relay *r)
{
    while (r->held)
        if (waitq_wait(&r->resume, CLOCK_NEVER) < 0)
            return false;
    return true;
}

static int send_on(struct stream *to, struct span bytes)
{
    stream_write(to, bytes);
    return stream_flush(to);
}

/* A session that has ended takes nothing more; its last words are still to be copied. */
static int send_up(struct relay *r, struct span bytes)
{
    int err = send_on(r->session, bytes);

    if (err == -EPIPE || err == -ECONNRESET)
        stream_drop_output(r->session);
    return err;
}

/* One bounded piece after the other, each taken by the session before the next is made. */
static int inflate_on(struct relay *r, struct span bytes)
{
    _cleanup_free_ char *buf = mem_calloc(INFLATE_CHUNK, 1);
    int n, err = 0;

    while (err == 0 && (n = deflate_in(r->deflate, &bytes, buf, INFLATE_CHUNK)) != 0) {
        if (n < 0)
            log_info("compressed input of a client is refused: %s",
                     n == -E2BIG ? "it expands too much" : "it is damaged");
        err = n < 0 ? n : send_up(r, span_make(buf, (size_t)n));
    }
    return err;
}

static int deflate_on(struct relay *r, struct span bytes)
{
    _cleanup_(str_free) struct str out = STR_INIT;

    deflate_out(r->deflate, bytes, &out);
    return send_on(r->client, str_span(&out));
}

static void copy_up(void *arg)
{
    struct relay *r = arg;
    struct span bytes;
    int err = 0;

    while (err == 0 && stream_peek(r->client, &bytes) == 0) {
        if (!wait_while_held(r))
            break;
        r->passing = true;
        err = r->deflate ? inflate_on(r, bytes) : send_up(r, bytes);
        r->passing = false;
        stream_consume(r->client, bytes.len);
    }
    if (wait_while_held(r))
        stream_close_write(r->session);
    r->up = NULL;
    waitq_wake(&r->end, SIZE_MAX);
}

static void copy_down(void *arg)
{
    struct relay *r = arg;
    struct span bytes;
    int err = 0;

    while (err == 0 && stream_peek(r->session, &bytes) == 0) {
        err = r->deflate ? deflate_on(r, bytes) : send_on(r->client, bytes);
        stream_consume(r->session, bytes.len);
    }
    r->down = NULL;
    waitq_wake(&r->end, SIZE_MAX);
}

struct relay *relay_start(struct stream *client, struct deflate *d, struct stream *session)
{
    struct relay *r = mem_new(struct relay);

    r->client = client;
    r->deflate = d;
    r->session = session;
    waitq_init(&r->resume);
    waitq_init(&r->end);
    r->up = fiber_start(copy_up, r);
    r->down = fiber_start(copy_down, r);
    return r;
}

static bool can_take_more(const struct stream *st)
{
    struct pollfd p = { .fd = stream_fd(st), .events = POLLOUT };

    return poll(&p, 1, 0) > 0;
}

void relay_hold(struct relay *r)
{
    if (!r)
        return;
    r->held = true;
    /* A session that has not read what it has does not go; one that has is to find the rest before it looks. */
    while (r->passing && can_take_more(r->session))
        fiber_yield();
}

void relay_go_on(struct relay *r)
{
    if (!r)
        return;
    r->held = false;
    waitq_wake(&r->resume, SIZE_MAX);
}

static void stop(struct relay *r, struct fiber *const *one)
{
    if (*one)
        fiber_cancel(*one);
    while (*one)
        waitq_wait_through(&r->end);
}

void relay_end(struct relay *r)
{
    if (!r)
        return;
    while (r->down && waitq_wait(&r->end, CLOCK_NEVER) == 0)
        continue;
    stop(r, &r->down);
    stop(r, &r->up);
    stream_free(r->session);
    free(r);
}
