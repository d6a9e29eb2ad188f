/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lot.c - where parked sessions wait for their client, their mailbox or their time
 *
 * None has a fiber here. Its connection is watched by a callback, its directories by watch.c, and one fiber for all
 * keeps the time. What wakes it gives it a fiber, which does what is to be done and
 * either parks it again or ends.
 *
 * A change may concern all of them, and waking one costs a process. So only some are woken at a time, while the others wait
 * for their turn, and as long as others wait a session parks again as soon as it has told of the
 * change. A client that speaks waits for nobody.
 *
 * Draining changes nothing for them: after a reload this process keeps what it has, and wakes it through the services of the new
 * settings, until all have left. Only when the suite stops all end, with BYE.
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
#include "login/keepalive.h"

enum {
    RECORD_TIMEOUT_MS = 10000,  /* until a TLS record that has begun is complete */
    BATCH = 64,                 /* fibers started at once when many are due together */
    WAKING_MAX = 32,            /* sessions at once that start because of a change */
    TOLD_LINGER_MS = 1000,      /* how long one waits for its client, which will often want to see what is new */
};

static struct {
    struct list parked;         /* longest parked first */
    struct list turns;          /* those of them that are to be woken, and wait */
    size_t waking;
    struct heap due;
    struct fiber *keeper;       /* NULL: none is needed */
    struct waitq sooner;        /* the keeper waits here */
} lot;

/* ---- out of the lot ---- */

static void take_out(struct held *h)
{
    h->in_lot = false;
    list_remove(&h->link);
    if (h->waits_turn)
        list_remove(&h->turn);
    h->waits_turn = false;
    heap_remove(&lot.due, &h->due);
    poll_fd_free(h->input);
    h->input = NULL;
    if (list_empty(&lot.parked) && daemon_draining(h->sv))
        lot_drain();
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
    lot_woken(h);
    held_free(h);
}

static void resume(struct held *h, int64_t linger_ms)
{
    const int64_t most = h->sv->params->imap_hibernate_timeout * 1000;

    h->linger_ms = (uint32_t)(linger_ms < most ? linger_ms : most);
    if (held_resume(h) == 0)
        held_live(h);
    else
        end(h, "* BYE [UNAVAILABLE] The session cannot go on now, please connect again.\r\n", "Cannot be woken");
}

static void run_changed(void *arg)
{
    resume(arg, list_empty(&lot.turns) ? TOLD_LINGER_MS : 0);
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
    else {
        h->heard_ms = clock_ms();
        resume(h, INT64_MAX);
    }
}

static uint64_t ends_at(const struct held *h)
{
    return h->heard_ms + (uint64_t)h->sv->params->imap_timeout * 1000;
}

static void run_due(void *arg)
{
    struct held *h = arg;

    if (clock_ms() >= ends_at(h)) {
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

static void wake_next(void)
{
    while (lot.waking < WAKING_MAX && !list_empty(&lot.turns)) {
        struct held *h = LIST_FIRST(&lot.turns, struct held, turn);

        h->waking = true;
        lot.waking++;
        wake(h, run_changed);
    }
}

static void run_evicted(void *arg)
{
    struct held *h = arg;

    places_leave(h);    /* before the goodbye, which a client that is not there any more may make long */
    end(h, "* BYE [LIMIT] Too many sessions of this user from this address: the idle ones end.\r\n",
        "Too many sessions of this user from this address");
}

void lot_evict(struct held *h)
{
    wake(h, run_evicted);
}

void lot_changed(struct held *h)
{
    if (!h->in_lot || h->waits_turn)
        return;
    h->waits_turn = true;
    list_push_back(&lot.turns, &h->turn);
    wake_next();
}

void lot_woken(struct held *h)
{
    if (!h->waking)
        return;
    h->waking = false;
    lot.waking--;
    wake_next();
}

static void on_input(void *arg, unsigned events)
{
    (void)events;
    wake(arg, run_input);
}

/* ---- time ---- */

static void wake_due(void)
{
    struct heap_node *first;

    for (int n = 0; n < BATCH && (first = heap_min(&lot.due)) && first->key <= clock_ms(); n++)
        wake(CONTAINER_OF(first, struct held, due), run_due);
    fiber_yield();
}

static void say_bye_to_all(void)
{
    while (!list_empty(&lot.parked)) {
        for (int n = 0; n < BATCH && !list_empty(&lot.parked); n++)
            wake(LIST_FIRST(&lot.parked, struct held, link), run_bye);
        fiber_yield();
    }
}

static void keep_time(void *arg)
{
    struct heap_node *first;
    int r = 0;

    (void)arg;
    while (r != -ECANCELED && (first = heap_min(&lot.due))) {
        r = waitq_wait(&lot.sooner, first->key);
        if (r != -ECANCELED)
            wake_due();
    }
    if (r == -ECANCELED)
        say_bye_to_all();
    lot.keeper = NULL;
}

void lot_drain(void)
{
    if (lot.keeper)
        waitq_wake(&lot.sooner, 1);
}

void lot_stop(void)
{
    if (lot.keeper)
        fiber_cancel(lot.keeper);
}

/* ---- into the lot ---- */

static uint64_t next_due(const struct held *h)
{
    uint64_t interval_ms = (uint64_t)h->sv->params->imap_idle_notify_interval * 1000, end = ends_at(h),
             keepalive = keepalive_next(clock_ms(), interval_ms, h->client_hash);

    return h->idling && keepalive < end ? keepalive : end;
}

void lot_park(struct held *h)
{
    if (!lot.parked.next) {
        list_init(&lot.parked);
        list_init(&lot.turns);
    }
    stream_rest(h->client);
    if (h->deflate)
        deflate_rest(h->deflate);
    daemon_keep(h->sv);
    h->in_lot = true;
    h->input = poll_fd_new_callback(stream_fd(h->client), on_input, h);
    list_push_back(&lot.parked, &h->link);
    heap_put(&lot.due, &h->due, next_due(h));
    if (daemon_stopping(h->sv))
        wake(h, run_bye);
    else if (h->changed)
        lot_changed(h);
    else if (stream_buffered(h->client) > 0 || stream_error(h->client) || poll_fd_watch(h->input, EPOLLIN | EPOLLRDHUP) < 0)
        wake(h, run_input);
    if (lot.keeper && heap_min(&lot.due) == &h->due)
        waitq_wake(&lot.sooner, 1);
    else if (!lot.keeper && heap_min(&lot.due)) {
        waitq_init(&lot.sooner);
        lot.keeper = fiber_start(keep_time, NULL);
    }
}
