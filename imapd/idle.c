/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle.c - IDLE (RFC 2177): tell of changes as they happen, until the client says DONE
 *
 * Two fibers: the session waits for the client, a watcher for the mailbox and for
 * the time of the next line that keeps the connection open in routers on the way.
 * Only one of them runs at a time, and the session writes nothing while it waits.
 *
 * Where no watch can be had (the kernel limits them by user, and all virtual
 * mailboxes may have one owner) the mailbox is looked at every second: two stat calls.
 *
 * Runs in: imapd (input is hostile).
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "command.h"
#include "park.h"
#include "reply.h"
#include "untagged.h"

#define POLL_MS    1000

struct watcher {
    struct imap *s;
    struct fiber *fiber;
    int fd;             /* -1: look every POLL_MS */
    bool busy;          /* it tells of a change, to the end */
    bool leaving;       /* it ends when it is not busy */
    bool ended;
    struct waitq end;   /* the session waits here for `ended` */
};

/* 1: look at the mailbox; 0: the deadline has come; negative: cancelled. */
static int wait_for_change(const struct watcher *w, uint64_t deadline)
{
    uint64_t next = clock_deadline_ms(POLL_MS);
    int r;

    if (w->fd >= 0) {
        r = fiber_wait_fd(w->fd, EPOLLIN, deadline);
        return r == -ETIMEDOUT ? 0 : r < 0 ? r : 1;
    }
    if (!w->s->mb || next >= deadline) {
        r = fiber_sleep_until(deadline);
        return r < 0 ? r : 0;
    }
    r = fiber_sleep_until(next);
    return r < 0 ? r : 1;
}

static int watch(struct watcher *w)
{
    struct imap *s = w->s;
    int64_t interval_ms = s->params->imap_idle_notify_interval * 1000;
    uint64_t keepalive = clock_deadline_ms(interval_ms);

    for (;;) {
        int r = wait_for_change(w, keepalive);

        if (r < 0)
            return r;
        w->busy = true;
        if (r > 0) {
            mailbox_watch_clear(s->mb);
            r = untagged_sync(s, UNTAGGED_EXPUNGE);
        }
        if (clock_ms() >= keepalive) {
            imap_puts(s, "* OK Still here\r\n");
            keepalive = clock_deadline_ms(interval_ms);
        }
        if (stream_flush(s->client) < 0 || r < 0)
            return r;
        w->busy = false;
        if (w->leaving)
            return -ECANCELED;
    }
}

static void watcher_main(void *arg)
{
    struct watcher *w = arg;

    /* Unless it was the session that ended this, wake it: the mailbox or the client is gone. */
    if (watch(w) != -ECANCELED)
        shutdown(stream_fd(w->s->client), SHUT_RD);
    w->ended = true;
    waitq_wake(&w->end, 1);
}

/* The session tells what happened before the watch was set, and leaves nothing to be sent: from then on only the watcher writes. */
static int watcher_start(struct watcher *w, struct imap *s)
{
    *w = (struct watcher){ .s = s, .fd = s->mb ? mailbox_watch(s->mb) : -1, .ended = true };
    waitq_init(&w->end);
    int r = untagged_sync(s, UNTAGGED_EXPUNGE);
    if (r == 0)
        r = stream_flush(s->client);
    if (r < 0)
        return r;
    w->ended = false;
    w->fiber = fiber_start(watcher_main, w);
    return 0;
}

/* A cancel would leave the client half a line; only a session that is cancelled itself does not wait for the client to read. */
static void watcher_stop(struct watcher *w)
{
    w->leaving = true;
    while (w->busy && !w->ended && waitq_wait(&w->end, CLOCK_NEVER) == 0)
        continue;
    if (!w->ended)
        fiber_cancel(w->fiber);
    while (!w->ended)
        waitq_wait_through(&w->end);
}

/* Wait until the client is silent for long, or says something: 1, it may be parked; 0; or negative. */
static int wait_awake(struct imap *s)
{
    struct watcher w;

    if (park_at_once(s))
        return 1;
    int r = watcher_start(&w, s);
    if (r == 0)
        r = park_pause(s);
    bool parkable = r == 0 && !w.busy && !w.ended;
    watcher_stop(&w);
    return r < 0 ? r : parkable;
}

/* The client's next line, while changes are told. */
static int wait_for_line(struct imap *s, struct span *ret)
{
    struct watcher w;

    int r = watcher_start(&w, s);
    if (r == 0) {
        imap_set_idle(s, true);
        r = stream_getline(s->client, (size_t)s->params->imap_line_limit, ret);
        imap_set_idle(s, false);
    }
    watcher_stop(&w);
    return r;
}

int idle_wait(struct imap *s)
{
    struct span line = SPAN_NULL;

    str_free(&s->command);
    int r = wait_awake(s);
    while (r > 0) {
        r = park_leave(s, true);
        if (r == 0 && !s->stays)
            r = wait_awake(s); /* there was something to tell: once more */
    }
    if (r == 0)
        r = wait_for_line(s, &line);
    if (r == -EMSGSIZE)
        return reply_bad(s, "DONE is expected.");
    if (r < 0)
        return r;
    s->stats.in += line.len + 2;
    if (!span_eq_nocase_str(line, "DONE"))
        return reply_bad(s, "DONE is expected.");
    return reply_ok(s, "Idle completed.");
}

int cmd_idle(struct imap *s, struct parse *p)
{
    if (!parse_end(p))
        return reply_bad(s, "IDLE takes no arguments.");
    imap_puts(s, "+ idling\r\n");
    return idle_wait(s);
}
