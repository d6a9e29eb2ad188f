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
#include "reply.h"
#include "untagged.h"

#define POLL_MS    1000
#define DONE_LIMIT 1024

struct watcher {
    struct imap *s;
    struct fiber *fiber;
    int fd;             /* -1: look every POLL_MS */
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

static int watch(const struct watcher *w)
{
    struct imap *s = w->s;
    int64_t interval_ms = s->params->imap_idle_notify_interval * 1000;
    uint64_t keepalive = clock_deadline_ms(interval_ms);

    for (;;) {
        int r = wait_for_change(w, keepalive);

        if (r < 0)
            return r;
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

static void watcher_start(struct watcher *w, struct imap *s)
{
    *w = (struct watcher){ .s = s, .fd = s->mb ? mailbox_watch(s->mb) : -1 };
    waitq_init(&w->end);
    w->fiber = fiber_start(watcher_main, w);
}

static void watcher_stop(struct watcher *w)
{
    if (!w->ended)
        fiber_cancel(w->fiber);
    /* The session itself may be cancelled, and its waits then return at once: let the other run. */
    while (!w->ended)
        if (waitq_wait(&w->end, CLOCK_NEVER) < 0)
            fiber_yield();
}

int cmd_idle(struct imap *s, struct parse *p)
{
    struct watcher w;
    struct span line = SPAN_NULL;
    int r;

    if (!parse_end(p))
        return reply_bad(s, "IDLE takes no arguments.");
    watcher_start(&w, s);
    imap_puts(s, "+ idling\r\n");
    /* What happened before the watch was set. */
    r = untagged_sync(s, UNTAGGED_EXPUNGE);
    if (r == 0) {
        str_free(&s->command);
        fiber_set_idle(true);
        r = stream_getline(s->client, DONE_LIMIT, &line);
        fiber_set_idle(false);
    }
    watcher_stop(&w);
    if (r == -EMSGSIZE)
        return reply_bad(s, "DONE is expected.");
    if (r < 0)
        return r;
    s->stats.in += line.len + 2;
    if (!span_eq_nocase_str(line, "DONE"))
        return reply_bad(s, "DONE is expected.");
    return reply_ok(s, "Idle completed.");
}
