/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lot.c - where parked sessions wait for their client, their mailbox or their time
 *
 * None has a fiber here. Its connection is watched by a callback, its directories by watch.c, and one fiber for all
 * keeps the time. What wakes it gives it a fiber, which does what is to be done and
 * either parks it again or ends.
 *
 * Draining ends all with BYE: the keys under which they could be woken end with auth, which a reload replaces as well.
 *
 * Runs in: imapd-login.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/stream_rest.h"
#include "login/deflate.h"
#include "login/held.h"

enum {
    RECORD_TIMEOUT_MS = 10000,  /* until a TLS record that has begun is complete */
    BATCH = 64,                 /* fibers started at once when many are due together */
};

static struct {
    struct list parked;         /* longest parked first */
    struct heap due;
    struct fiber *keeper;       /* NULL: none is needed */
    struct waitq sooner;        /* the keeper waits here */
} lot;

/* ---- out of the lot ---- */

static void take_out(struct held *h)
{
    h->in_lot = false;
    list_remove(&h->link);
    heap_remove(&lot.due, &h->due);
    poll_fd_free(h->input);
    h->input = NULL;
}

/* What the client said meanwhile: closing over unread bytes would reset the connection, and our last line with it. */
static void discard_input(const struct held *h)
{
    char bytes[2048];

    for (int i = 0; i < BATCH && recv(stream_fd(h->client), bytes, sizeof bytes, MSG_DONTWAIT) > 0; i++)
        continue;
}

static void end(struct held *h, const char *line, const char *reason)
{
    if (line) {
        held_say(h, line);
        discard_input(h);
    }
    log_info("%s: Disconnected: %s%s", str_cstr(&h->who), reason, str_cstr(&h->tally));
    held_free(h);
}

static void resume(struct held *h)
{
    if (held_resume(h) == 0)
        held_live(h);
    else
        end(h, "* BYE [UNAVAILABLE] The session cannot go on now, please connect again.\r\n", "Cannot be woken");
}

static void run_changed(void *arg)
{
    resume(arg);
}

/* Has the client said something? 1; 0 not really; negative: it has gone. */
static int look_at_input(struct held *h)
{
    struct span bytes;
    char c;

    if (stream_buffered(h->client) > 0)
        return 1;
    if (!h->tls) {
        ssize_t n = recv(stream_fd(h->client), &c, 1, MSG_PEEK | MSG_DONTWAIT);
        return n > 0 ? 1 : n == 0 ? -ENODATA : errno == EAGAIN ? 0 : -errno;
    }
    stream_set_deadline(h->client, clock_deadline_ms(RECORD_TIMEOUT_MS));
    int r = stream_peek(h->client, &bytes);
    stream_set_deadline(h->client, CLOCK_NEVER);
    return r == 0 ? 1 : r == -ETIMEDOUT ? 0 : r;
}

static void run_input(void *arg)
{
    struct held *h = arg;
    int r = look_at_input(h);

    if (r == -ECANCELED)
        end(h, "* BYE [UNAVAILABLE] Server shutting down.\r\n", "Server shutting down");
    else if (r < 0)
        end(h, NULL, "Connection closed");
    else if (r == 0)
        lot_park(h);
    else
        resume(h);
}

static void run_due(void *arg)
{
    struct held *h = arg;

    if (clock_ms() >= h->ends_at) {
        end(h, "* BYE Disconnected for inactivity.\r\n", "Disconnected for inactivity");
        return;
    }
    if (held_say(h, "* OK Still here\r\n") < 0)
        end(h, NULL, "Connection closed");
    else
        lot_park(h);
}

static void run_bye(void *arg)
{
    end(arg, "* BYE [UNAVAILABLE] Server shutting down.\r\n", "Server shutting down");
}

static void wake(struct held *h, void (*fn)(void *arg))
{
    take_out(h);
    daemon_run(h->sv, fn, h);
}

void lot_changed(struct held *h)
{
    if (h->in_lot)
        wake(h, run_changed);
}

static void on_input(void *arg, unsigned events)
{
    (void)events;
    wake(arg, run_input);
}

/* ---- time ---- */

static int wait_for_due(const struct heap_node *first)
{
    fiber_set_idle(true);
    int r = waitq_wait(&lot.sooner, first->key);
    fiber_set_idle(false);
    return r == -ECANCELED ? r : 0;
}

static void wake_due(void)
{
    struct heap_node *first;

    for (int n = 0; n < BATCH && (first = heap_min(&lot.due)) && first->key <= clock_ms(); n++)
        wake(CONTAINER_OF(first, struct held, due), run_due);
    fiber_yield();
}

static void keep_time(void *arg)
{
    struct heap_node *first;
    struct held *h;
    int r = 0;

    (void)arg;
    while (r == 0 && (first = heap_min(&lot.due))) {
        r = wait_for_due(first);
        if (r == 0)
            wake_due();
    }
    LIST_FOREACH(h, &lot.parked, struct held, link)
        wake(h, run_bye);
    lot.keeper = NULL;
}

/* ---- into the lot ---- */

static uint64_t next_due(const struct held *h)
{
    uint64_t keepalive = clock_deadline_ms(h->sv->params->imap_idle_notify_interval * 1000);

    return h->idling && keepalive < h->ends_at ? keepalive : h->ends_at;
}

void lot_park(struct held *h)
{
    if (!lot.parked.next)
        list_init(&lot.parked);
    stream_rest(h->client);
    if (h->deflate)
        deflate_rest(h->deflate);
    daemon_keep(h->sv);
    h->in_lot = true;
    h->input = poll_fd_new_callback(stream_fd(h->client), on_input, h);
    list_push_back(&lot.parked, &h->link);
    heap_put(&lot.due, &h->due, next_due(h));
    if (daemon_draining(h->sv))
        wake(h, run_bye);
    else if (h->changed)
        wake(h, run_changed);
    else if (stream_buffered(h->client) > 0 || stream_error(h->client) || poll_fd_watch(h->input, EPOLLIN | EPOLLRDHUP) < 0)
        wake(h, run_input);
    if (lot.keeper && heap_min(&lot.due) == &h->due)
        waitq_wake(&lot.sooner, 1);
    else if (!lot.keeper && heap_min(&lot.due)) {
        waitq_init(&lot.sooner);
        lot.keeper = fiber_start(keep_time, NULL);
    }
}
