/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_write.c - the output side: collect, then one write
 *
 * Runs in: everything that talks.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "io/stream_internal.h"

enum {
    COPY_MAX =
        32 *
        1024, /* a smaller file goes through the buffer: one write with what stands around it */
    SENDFILE_MAX = 1024 * 1024, /* a call, so that other fibers get their turn */
};

/* pending - bytes not yet sent */
static struct span pending(const struct stream *st)
{
    return span_from(str_span(&st->out), st->out_pos);
}

/* send_some - as many of bytes as go; none after a wait, in which they may have moved; or the sticky error */
static ssize_t send_some(struct stream *st, struct span bytes, int flags)
{
    unsigned events = EPOLLOUT;

    if (st->error)
        return st->error;
    ssize_t n = st->layer ? st->layer->write(st, bytes.ptr, bytes.len, &events)
                          : raw_send(st, bytes.ptr, bytes.len, flags);
    if (n > 0) {
        st->op_deadline = 0; /* progress */
        return n;
    }
    int r = n == -EAGAIN ? stream_wait(st, events) : (int)n;
    return r < 0 ? stream_set_error(st, r) : 0;
}

int stream_flush_flags(struct stream *st, int flags)
{
    if (st->flushing)
        return st->error;
    st->flushing = true;
    while (!st->error && pending(st).len > 0) {
        shuffle_yield();
        ssize_t n = send_some(st, pending(st), flags);

        if (n < 0)
            break;
        st->out_pos += (size_t)n;
    }
    st->flushing = false;
    st->out_pos = 0;
    str_reset(&st->out);
    return st->error;
}

int stream_flush(struct stream *st)
{
    st->op_deadline = 0;
    return stream_flush_flags(st, 0);
}

bool stream_flush_now(struct stream *st)
{
    while (!st->ssl && !st->flushing && !st->error && pending(st).len > 0) {
        ssize_t n = raw_send(st, pending(st).ptr, pending(st).len, 0);

        if (n == -EAGAIN)
            break;
        if (n < 0)
            stream_set_error(st, (int)n);
        else
            st->out_pos += (size_t)n;
    }
    if (pending(st).len > 0 || st->flushing)
        return false;
    st->out_pos = 0;
    str_reset(&st->out);
    return true;
}

/* made_room - flush when much is pending */
static void made_room(struct stream *st)
{
    if (st->out.len >= STREAM_OUT_MAX)
        stream_flush(st);
}

void stream_write(struct stream *st, struct span bytes)
{
    /* What another fiber is sending goes first, and it will send this, too. */
    if (st->flushing || st->out.len + bytes.len < STREAM_OUT_MAX) {
        if (!st->error)
            str_add(&st->out, bytes);
        return;
    }
    /* Much: fill up the buffer and send it, then the rest straight from the caller's memory. */
    st->op_deadline = 0;
    if (pending(st).len > 0 && !st->error) {
        size_t part = STREAM_OUT_MAX - st->out.len;

        str_add(&st->out, span_first(bytes, part));
        bytes = span_from(bytes, part);
        stream_flush_flags(st, bytes.len > 0 ? MSG_MORE : 0);
    }
    while (bytes.len >= STREAM_OUT_MAX && !st->error) {
        shuffle_yield();
        ssize_t n = send_some(st, bytes, 0);

        if (n > 0)
            bytes = span_from(bytes, (size_t)n);
    }
    if (!st->error)
        str_add(&st->out, bytes);
}

void stream_puts(struct stream *st, const char *text)
{
    stream_write(st, span_of(text));
}

void stream_printf(struct stream *st, const char *fmt, ...)
{
    va_list ap;

    if (st->error)
        return;
    va_start(ap, fmt);
    str_vaddf(&st->out, fmt, ap);
    va_end(ap);
    made_room(st);
}

/* ignore_sigpipe - sendfile has no MSG_NOSIGNAL */
static void ignore_sigpipe(void)
{
    signal(SIGPIPE, SIG_IGN);
}

/* copy_file - through the buffer */
static int copy_file(struct stream *st, int fd, off_t offset, uint64_t n)
{
    while (n > 0 && !st->error) {
        size_t part = n < COPY_MAX ? (size_t)n : COPY_MAX;

        str_reserve(&st->out, part);
        ssize_t got = pread(fd, st->out.data + st->out.len, part, offset);
        if (got <= 0)
            return stream_set_error(st, got < 0 ? -errno : -EIO); /* the file has become shorter */
        st->out.len += (size_t)got;
        st->out.data[st->out.len] = '\0';
        offset += got;
        n -= (uint64_t)got;
        made_room(st);
    }
    return st->error;
}

int stream_sendfile(struct stream *st, int fd, off_t offset, uint64_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (st->layer || st->not_socket || n <= COPY_MAX)
        return copy_file(st, fd, offset, n);
    pthread_once(&once, ignore_sigpipe);
    st->op_deadline = 0;
    stream_flush_flags(st, MSG_MORE);
    while (n > 0 && !st->error) {
        size_t part = n < SENDFILE_MAX ? (size_t)n : SENDFILE_MAX;

        if (st->poll)
            poll_fd_clear(st->poll, EPOLLOUT);
        ssize_t sent = sendfile(st->fd, fd, &offset, part);
        if (sent < 0 && (errno == EINVAL || errno == ENOSYS))
            return copy_file(st, fd, offset, n);
        int r = sent > 0 ? 0 : sent == 0 ? -EIO : errno == EINTR ? 0 : -errno;
        if (sent > 0) {
            n -= (uint64_t)sent;
            st->op_deadline = 0;
        }
        if (r == -EAGAIN)
            r = stream_wait(st, EPOLLOUT);
        if (r < 0)
            stream_set_error(st, r);
    }
    return st->error;
}
