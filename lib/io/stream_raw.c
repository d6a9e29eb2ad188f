/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_raw.c - the socket under a stream: one attempt at a time, descriptors beside the bytes
 *
 * A read that got less than it asked for has emptied the socket (epoll(7)),
 * with one exception: the kernel ends a read behind bytes that brought
 * descriptors, whatever follows.
 *
 * Runs in: everything that talks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "io/stream_internal.h"

enum { FDS_A_MESSAGE = 16 };

union fd_message {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(FDS_A_MESSAGE * sizeof(int))];
};

/* keep_fd - at the end of the queue of received ones */
static void keep_fd(struct stream *st, int fd)
{
    if (st->n_in_fds >= STREAM_FDS_MAX) {
        close(fd);
        return;
    }
    MEM_GROW(st->in_fds, st->n_in_fds, st->cap_in_fds);
    st->in_fds[st->n_in_fds++] = fd;
}

/* keep_fds - those that came with a message; returns whether there were any */
static bool keep_fds(struct stream *st, struct msghdr *msg)
{
    bool any = false;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        any = true;
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            keep_fd(st, fd);
        }
    }
    return any;
}

/* recv_some - recvmsg, or read when it is no socket; *ret_fds: descriptors came along */
static ssize_t recv_some(struct stream *st, void *buf, size_t len, bool *ret_fds)
{
    union fd_message control;
    struct iovec iov = {buf, len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};

    if (st->not_socket)
        return read(st->fd, buf, len);
    ssize_t n = recvmsg(st->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && errno == ENOTSOCK) {
        st->not_socket = true;
        return read(st->fd, buf, len);
    }
    if (n >= 0)
        *ret_fds = keep_fds(st, &msg) || (msg.msg_flags & MSG_CTRUNC);
    return n;
}

ssize_t raw_recv(struct stream *st, void *buf, size_t len)
{
    bool fds = false;
    ssize_t n;

    if (st->drained || shuffle_later(st->poll, EPOLLIN))
        return -EAGAIN;
    if (st->poll)
        poll_fd_clear(st->poll, EPOLLIN);
    len = shuffle_part(len);
    do
        n = recv_some(st, buf, len, &fds);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        st->drained = errno == EAGAIN;
        return -errno;
    }
    st->drained = n > 0 && (size_t)n < len && !fds;
    return n;
}

/* attach_fds - as many of those to be sent as fit into one message; returns how many */
static size_t attach_fds(struct stream *st, struct msghdr *msg, union fd_message *control)
{
    size_t n = st->n_out_fds < FDS_A_MESSAGE ? st->n_out_fds : FDS_A_MESSAGE;

    if (n == 0)
        return 0;
    msg->msg_control = control->bytes;
    msg->msg_controllen = CMSG_SPACE(n * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(c), st->out_fds, n * sizeof(int));
    return n;
}

/* sent_fds - the first n have gone: close our copies */
static void sent_fds(struct stream *st, size_t n)
{
    for (size_t i = 0; i < n; i++)
        close(st->out_fds[i]);
    st->n_out_fds -= n;
    if (st->n_out_fds > 0)
        memmove(st->out_fds, st->out_fds + n, st->n_out_fds * sizeof(int));
}

ssize_t raw_send(struct stream *st, const void *buf, size_t len, int flags)
{
    union fd_message control = {.bytes = {0}};
    struct iovec iov = {(void *)buf, shuffle_part(len)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    size_t fds = attach_fds(st, &msg, &control);
    ssize_t n;

    if (fds > 0 && st->n_out_fds > fds)
        iov.iov_len = 1; /* the others go with the bytes behind it */
    if (!st->layer && shuffle_later(st->poll, EPOLLOUT))
        return -EAGAIN;
    if (st->poll)
        poll_fd_clear(st->poll, EPOLLOUT);
    do {
        n = st->not_socket ? write(st->fd, buf, iov.iov_len)
                           : sendmsg(st->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT | flags);
        if (n < 0 && errno == ENOTSOCK && !st->not_socket) {
            st->not_socket = true;
            errno = EINTR;
        }
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    sent_fds(st, fds);
    return n;
}

void raw_close_fds(struct stream *st)
{
    sent_fds(st, st->n_out_fds);
    for (size_t i = 0; i < st->n_in_fds; i++)
        close(st->in_fds[i]);
    free(st->in_fds);
    free(st->out_fds);
}

void stream_send_fd(struct stream *st, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    if (copy < 0) {
        stream_set_error(st, -errno); /* the peer must not take the bytes for complete */
        return;
    }
    MEM_GROW(st->out_fds, st->n_out_fds, st->cap_out_fds);
    st->out_fds[st->n_out_fds++] = copy;
}

int stream_take_fd(struct stream *st)
{
    if (st->n_in_fds == 0)
        return -ENOENT;
    int fd = st->in_fds[0];
    st->n_in_fds--;
    memmove(st->in_fds, st->in_fds + 1, st->n_in_fds * sizeof(int));
    return fd;
}
