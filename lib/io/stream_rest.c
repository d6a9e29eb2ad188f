/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream_rest.c - a stream for which no fiber waits, for a long time; and how to find that out
 *
 * Runs in: imapd-login, which holds connections of parked sessions; imapd, which parks.
 */
#include "io/stream_rest.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "io/stream_internal.h"

void stream_rest(struct stream *st)
{
    assert(!st->flushing);
    poll_fd_free(st->poll);
    st->poll = NULL;
    st->drained = false; /* nobody is told any more when it is not */
    if (st->pos == st->end) {
        free(st->in);
        st->in = NULL;
        st->in_cap = st->pos = st->end = st->scanned = 0;
    }
    if (st->out_pos == st->out.len) {
        str_free(&st->out);
        st->out_pos = 0;
    }
    if (st->read_error == -ECANCELED || st->read_error == -ETIMEDOUT)
        st->read_error = 0;
}

void stream_drop_output(struct stream *st)
{
    assert(!st->layer && !st->flushing);
    str_reset(&st->out);
    st->out_pos = 0;
    st->error = 0;
}

int stream_wait_input(struct stream *st, uint64_t deadline)
{
    struct pollfd p = { .fd = st->fd, .events = POLLIN };

    assert(!st->layer);
    for (;;) {
        /* An event may be older than the read that found nothing: only the socket itself knows. */
        if (stream_buffered(st) > 0 || stream_error(st) || poll(&p, 1, 0) > 0) {
            st->drained = false;
            return 1;
        }
        st->op_deadline = deadline;
        int r = stream_wait(st, EPOLLIN);
        st->op_deadline = 0;
        if (r < 0)
            return r == -ETIMEDOUT ? 0 : r;
    }
}
