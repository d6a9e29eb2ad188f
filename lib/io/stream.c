/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c - a buffered connection: its life, its deadlines, its input
 *
 * A read is tried before it is waited for, unless the last one emptied the
 * socket: then the next event is waited for at once, which saves the call that
 * would answer EAGAIN. A request so costs one read and its reply one write.
 *
 * The input buffer exists while it holds bytes. Lines and peeks point into it.
 *
 * Runs in: everything that talks; the bytes are hostile, the limits the callers'.
 */
#include "io/stream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/stream_internal.h"

struct stream *stream_new(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && !(flags & O_NONBLOCK))
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    return stream_new_nonblocking(fd);
}

struct stream *stream_new_nonblocking(int fd)
{
    struct stream *st = mem_new(struct stream);

    st->fd = fd;
    st->deadline = CLOCK_NEVER;
    st->in_want = STREAM_IN_FIRST;
    return st;
}

/* in_len - unread input */
static size_t in_len(const struct stream *st)
{
    return st->end - st->pos;
}

/* release - all but the descriptor */
static void release(struct stream *st)
{
    poll_fd_free(st->poll);
    raw_close_fds(st);
    if (st->layer)
        st->layer->release(st);
    free(st->tls_error);
    free(st->in);
    str_free(&st->out);
    free(st);
}

void stream_free(struct stream *st)
{
    if (!st)
        return;
    int fd = st->fd;
    release(st); /* before the close: poll_fd_free needs the descriptor */
    own_close_(&fd);
}

void stream_close_write(struct stream *st)
{
    stream_flush(st);
    if (st->layer && !st->error)
        st->layer->end(st);
    shutdown(st->fd, SHUT_WR);
}

int stream_detach(struct stream *st, struct str *rest)
{
    int fd = st->fd;

    assert(!st->layer); /* the peer of the next owner speaks TLS with us only */
    if (st->in)
        str_add(rest, span_make(st->in + st->pos, in_len(st)));
    release(st);
    return fd;
}

int stream_fd(const struct stream *st)
{
    return st->fd;
}

SSL *stream_ssl(const struct stream *st)
{
    return st->ssl;
}

const char *stream_tls_error(const struct stream *st)
{
    return st->tls_error ? st->tls_error : "";
}

int stream_error(const struct stream *st)
{
    return st->error ? st->error : st->read_error;
}

int stream_set_error(struct stream *st, int r)
{
    if (!st->error)
        st->error = r;
    return st->error;
}

void stream_fail(struct stream *st, int error)
{
    assert(error < 0);
    stream_set_error(st, error);
}

void stream_set_timeout(struct stream *st, int64_t timeout_ms)
{
    st->timeout_ms = timeout_ms;
}

void stream_set_deadline(struct stream *st, uint64_t deadline)
{
    st->deadline = deadline;
}

int stream_wait(struct stream *st, unsigned events)
{
    if (st->op_deadline == 0)
        st->op_deadline = clock_deadline_ms(st->timeout_ms);
    uint64_t deadline = st->op_deadline < st->deadline ? st->op_deadline : st->deadline;
    if (!st->poll && fiber_self())
        st->poll = poll_fd_new(st->fd);
    int r = st->poll ? poll_fd_wait(st->poll, events, deadline)
                     : fiber_wait_fd(st->fd, events, deadline);
    if (r > 0 && (r & EPOLLIN))
        st->drained = false;
    return r < 0 ? r : 0;
}

/* ---- input buffer ---- */

/* in_release - an empty buffer goes back to the heap */
static void in_release(struct stream *st)
{
    if (in_len(st) > 0)
        return;
    free(st->in);
    st->in = NULL;
    st->in_cap = st->pos = st->end = st->scanned = 0;
}

/* in_reserve - room for at least one more byte, and for `n` bytes in all */
static void in_reserve(struct stream *st, size_t n)
{
    size_t len = in_len(st);

    if (n <= len)
        n = len + 1;
    if (st->in && st->pos > 0 && (len == 0 || st->end == st->in_cap || st->pos + n > st->in_cap)) {
        memmove(st->in, st->in + st->pos, len);
        st->pos = 0;
        st->end = len;
    }
    if (st->in && n <= st->in_cap && st->end < st->in_cap)
        return;
    size_t cap = n > st->in_want ? n : st->in_want;
    if (st->in && cap < st->in_cap * 2)
        cap = st->in_cap * 2;
    st->in = mem_realloc(st->in, cap, 1);
    st->in_cap = cap;
}

/* try_read - one attempt into the buffer's free room */
static ssize_t try_read(struct stream *st, unsigned *ret_wait)
{
    size_t room = st->in_cap - st->end;
    ssize_t n = st->layer ? st->layer->read(st, st->in + st->end, room, ret_wait)
                          : raw_recv(st, st->in + st->end, room);

    if (n > 0) {
        st->end += (size_t)n;
        if ((size_t)n == room && st->in_want < STREAM_IN_MAX)
            st->in_want *= 2;
        else if ((size_t)n < room / 4 && st->in_want > STREAM_IN_FIRST)
            st->in_want /= 2;
    }
    return n;
}

/* read_failed - reading is over; writing goes on unless the connection itself is broken */
static int read_failed(struct stream *st, int r)
{
    bool broken = r != -ENODATA && r != -ETIMEDOUT && r != -ECANCELED;

    if (r == -ENODATA)
        stream_flush(st); /* a peer that has closed its side may still read */
    if (st->error)
        return st->error;
    return broken ? stream_set_error(st, r) : (st->read_error = r);
}

/* fill - wait until there is more input than now; `n`: bytes wanted in all. 0 or the sticky error.
 */
static int fill(struct stream *st, size_t n)
{
    for (;;) {
        unsigned events = EPOLLIN;
        ssize_t got = -EAGAIN;

        shuffle_yield();
        if (stream_error(st))
            return stream_error(st);
        if (st->layer || !st->drained) {
            in_reserve(st, n);
            got = try_read(st, &events);
        }
        if (got > 0)
            return 0;
        if (got == 0)
            return read_failed(st, -ENODATA);
        if (got != -EAGAIN)
            return read_failed(st, (int)got);
        if (st->out.len > st->out_pos && !st->flushing) {
            int r = stream_flush_flags(st, 0);

            if (r < 0)
                return r;
            st->op_deadline = 0; /* the peer's time to answer begins when he has the question */
        }
        in_release(st);
        if (!st->flushing)
            str_free(&st->out);
        int r = stream_wait(st, events);
        if (r < 0)
            return read_failed(st, r);
    }
}

/* ---- reading ---- */

/* Keep the last bytes of a line that is thrown away. */
static void keep_tail(struct stream *st, struct span piece)
{
    size_t keep = piece.len < STREAM_TAIL_MAX ? STREAM_TAIL_MAX - piece.len : 0;

    if (keep < st->tail_len) {
        memmove(st->tail, st->tail + st->tail_len - keep, keep);
        st->tail_len = (unsigned char)keep;
    }
    if (piece.len > STREAM_TAIL_MAX)
        piece = span_from(piece, piece.len - STREAM_TAIL_MAX);
    memcpy(st->tail + st->tail_len, piece.ptr, piece.len);
    st->tail_len += (unsigned char)piece.len;
}

/* skip_line - throw away input up to the line's end; 1 found, 0 more needed */
static int skip_line(struct stream *st)
{
    const char *start = st->in + st->pos, *lf = in_len(st) > 0 ? memchr(start, '\n', in_len(st)) : NULL;

    keep_tail(st, span_make(start, lf ? (size_t)(lf - start) : in_len(st)));
    st->scanned = 0;
    st->pos = lf ? (size_t)(lf + 1 - st->in) : st->end;
    st->long_line = !lf;
    return lf != NULL;
}

/* take_line - 1 and the line if its end is in the buffer, 0 if more is needed, -EMSGSIZE too long
 */
static int take_line(struct stream *st, size_t max, struct span *ret)
{
    const char *line = st->in + st->pos;
    size_t len = in_len(st);

    if (st->long_line)
        return skip_line(st) ? -EMSGSIZE : 0;
    const char *lf = len > st->scanned ? memchr(line + st->scanned, '\n', len - st->scanned) : NULL;
    if (!lf) {
        st->scanned = len;
        if (len >= 2 && len - 1 > max) { /* a CR at the end may still be the line end's */
            st->tail_len = 0;
            skip_line(st);
        }
        return 0;
    }
    size_t n = (size_t)(lf - line);
    st->pos += n + 1;
    st->scanned = 0;
    st->bare_lf = n == 0 || line[n - 1] != '\r';
    n -= !st->bare_lf;
    if (n > max) {
        st->tail_len = 0;
        keep_tail(st, span_make(line, n + !st->bare_lf));
        return -EMSGSIZE;
    }
    *ret = span_make(line, n);
    return 1;
}

struct span stream_long_line_tail(const struct stream *st)
{
    struct span tail = span_make(st->tail, st->tail_len);

    if (tail.len > 0 && tail.ptr[tail.len - 1] == '\r')
        tail.len--;
    return tail;
}

int stream_getline(struct stream *st, size_t max, struct span *ret)
{
    st->op_deadline = 0;
    for (;;) {
        int r = st->in ? take_line(st, max, ret) : 0;

        if (r != 0)
            return r < 0 ? r : 0;
        r = fill(st, in_len(st) + 1);
        if (r < 0)
            return r;
    }
}

bool stream_line_had_bare_lf(const struct stream *st)
{
    return st->bare_lf;
}

int stream_peek_n(struct stream *st, size_t n, struct span *ret)
{
    assert(n <= STREAM_IN_MAX);
    st->op_deadline = 0;
    while (in_len(st) < n || in_len(st) == 0) {
        int r = fill(st, n);

        if (r < 0)
            return r;
    }
    *ret = span_make(st->in + st->pos, in_len(st));
    return 0;
}

int stream_peek(struct stream *st, struct span *ret)
{
    return stream_peek_n(st, 1, ret);
}

void stream_consume(struct stream *st, size_t n)
{
    assert(n <= in_len(st));
    st->pos += n;
    st->scanned = 0;
}

int stream_read(struct stream *st, void *buf, size_t n)
{
    char *to = buf;

    st->op_deadline = 0;
    while (n > 0) {
        size_t part = in_len(st) < n ? in_len(st) : n;

        if (part > 0) {
            memcpy(to, st->in + st->pos, part);
            stream_consume(st, part);
            to += part;
            n -= part;
            st->op_deadline = 0; /* progress */
            continue;
        }
        int r = fill(st, 1);
        if (r < 0)
            return r;
    }
    return 0;
}

size_t stream_buffered(const struct stream *st)
{
    return in_len(st) + (st->layer ? st->layer->pending(st) : 0);
}

size_t stream_discard_input(struct stream *st)
{
    size_t n = in_len(st);

    stream_consume(st, n);
    in_release(st);
    st->long_line = false;
    return n;
}

bool stream_peer_gone(struct stream *st)
{
    struct pollfd pfd = {.fd = st->fd, .events = POLLRDHUP};

    if (stream_error(st))
        return true;
    return poll(&pfd, 1, 0) > 0 && pfd.revents != 0;
}
