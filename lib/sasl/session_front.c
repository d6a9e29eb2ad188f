/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_front.c - what a session hears of its front without having asked (ipc/msg_session.h)
 *
 * Nothing is done for it while the session works: an event of that time is only remembered, and looked at when
 * the session is idle. A message that came too late then says so itself.
 *
 * Runs in: imapd, pop3d, as the mailbox owner.
 */
#include "sasl/session_front.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "ipc/msg_session.h"

/* What there is to read, without taking it: 1 a message, 0 nothing, negative: the end */
static int peek(const struct session_front *f)
{
    char c;
    ssize_t n = recv(f->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

    return n > 0 ? 1 : n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -EPIPE;
}

static enum front_word hear(struct session_front *f)
{
    struct session_yield m;
    int r = peek(f);

    if (r == 0)
        return FRONT_SILENT;
    /* A message is sent in one piece, so that this does not wait. */
    if (r < 0 || (f->ipc && ipc_recv(f->ipc, &session_yield_shape, &m) < 0))
        return FRONT_GONE;
    return f->ipc && clock_ms() <= m.until ? FRONT_WANTS_ROOM : FRONT_SILENT;
}

static void act(struct session_front *f)
{
    f->unread = false;
    f->word = hear(f);
    if (f->word != FRONT_SILENT)
        fiber_cancel(f->session);
}

static void on_event(void *arg, unsigned events)
{
    struct session_front *f = arg;

    (void)events;
    if (f->idle && f->word == FRONT_SILENT)
        act(f);
    else
        f->unread = true;
}

void session_front_begin(struct session_front *f, struct ipc *front)
{
    *f = (struct session_front)SESSION_FRONT_INIT;
    f->session = fiber_self();
    f->ipc = front;
    if (!f->session)
        return;
    f->fd = fcntl(stream_fd(ipc_stream(front)), F_DUPFD_CLOEXEC, 0);
    if (f->fd < 0)
        return;
    f->poll = poll_fd_new_callback(f->fd, on_event, f);
    poll_fd_watch(f->poll, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

void session_front_done(struct session_front *f)
{
    poll_fd_free(TAKE_PTR(f->poll));
    if (f->fd >= 0)
        close(TAKE_FD(f->fd));
}

void session_front_idle(struct session_front *f, bool idle)
{
    f->idle = idle;
    if (idle && f->unread && f->word == FRONT_SILENT)
        act(f);
}

int session_front_skip(struct ipc *front)
{
    struct session_yield m;
    struct span type;
    int r;

    while ((r = ipc_peek_type(front, &type)) == 0 && span_eq_str(type, "session_yield"))
        ipc_recv(front, &session_yield_shape, &m);
    return r;
}
