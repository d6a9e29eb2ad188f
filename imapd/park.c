/* SPDX-License-Identifier: Apache-2.0 */
/*
 * park.c - a session that has nothing to do leaves its state with the front and ends its process
 *
 * ipc/msg_session.h has the conversation. Two steps, so that nothing is lost between the two processes: while
 * the front holds the client's input back and watches the mailbox already, the session looks once more whether
 * there is anything to do; only if there is not, it goes.
 *
 * Runs in: imapd, as the mailbox owner.
 */
#include "park.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "io/stream_rest.h"
#include "ipc/msg_session.h"
#include "parked.h"
#include "reply.h"
#include "untagged.h"

enum { FRONT_TIMEOUT_MS = 5000 };

static bool input_waits(const struct imap *s)
{
    struct pollfd p = { .fd = stream_fd(s->client), .events = POLLIN };

    return stream_buffered(s->client) > 0 || poll(&p, 1, 0) != 0;
}

/* The directories in which the front is to wait for news */
static int send_directories(struct imap *s)
{
    int dirs[SESSION_WATCHED];
    int r = mailbox_open_directories(s->mb, dirs);

    for (size_t i = 0; r == 0 && i < SESSION_WATCHED; i++) {
        ipc_send_fd(s->front, dirs[i]);
        close(dirs[i]);
    }
    return r;
}

/* The front stops passing on input, and watches. 1: it does; 0: it cannot watch; negative: it has gone. */
static int hold(struct imap *s, bool watch)
{
    struct session_hold ask = { watch };
    struct session_held answer;

    if (watch && send_directories(s) < 0)
        return -ENOENT;
    ipc_send(s->front, &session_hold_shape, &ask);
    int r = session_front_skip(s->front);
    if (r == 0)
        r = ipc_recv(s->front, &session_held_shape, &answer);
    return r < 0 ? r : !watch || answer.watched;
}

static void stay(struct imap *s)
{
    const struct session_stay m = { 0 };

    ipc_send(s->front, &session_stay_shape, &m);
    ipc_flush(s->front);
}

static int leave(struct imap *s, bool idling)
{
    _cleanup_(session_park_msg_done) struct session_park m = { .idling = idling, .silent_ms = clock_ms() - s->heard_ms };

    parked_encode(s, idling, &m.state);
    if (m.state.len > SESSION_STATE_MAX)
        return -E2BIG;
    str_add(&m.pass, s->pass);
    str_add_str(&m.who, s->log_name);
    imap_log_tally(s, &m.tally);
    ipc_send(s->front, &session_park_shape, &m);
    return ipc_flush(s->front);
}

int park_leave(struct imap *s, bool idling)
{
    stream_set_deadline(ipc_stream(s->front), clock_deadline_ms(FRONT_TIMEOUT_MS));
    int held = hold(s, idling && s->mb);
    if (held < 0) {
        imap_lose_front(s); /* its end of the conversation is not known any more; main.c closes it */
        return held == -ECANCELED ? held : 0;
    }
    int r = idling ? untagged_sync(s, UNTAGGED_EXPUNGE) : 0;
    if (r == 0)
        r = stream_flush(s->client);
    s->stays = held == 0;
    if (r == 0 && held > 0 && !input_waits(s)) {
        int left = leave(s, idling);

        if (left == 0)
            return -ESHUTDOWN;
        s->stays = true; /* a mailbox with more gaps than a state can hold */
    }
    if (r == 0)
        stay(s);
    return r;
}

int park_hold_input(struct imap *s)
{
    if (!s->front || !fiber_self())
        return -ENOTCONN;
    stream_set_deadline(ipc_stream(s->front), clock_deadline_ms(FRONT_TIMEOUT_MS));
    int r = hold(s, false);
    if (r < 0) {
        imap_lose_front(s);
        return r;
    }
    if (!input_waits(s))
        return 0;
    stay(s);
    return 1;
}

void park_heard(struct imap *s)
{
    s->heard_ms = clock_ms();
    s->linger_ms = s->params->imap_hibernate_timeout * 1000;
}

static bool can_park(const struct imap *s)
{
    return s->front && !s->stays && s->params->imap_hibernate_timeout > 0 && fiber_self();
}

bool park_at_once(struct imap *s)
{
    if (!can_park(s) || s->linger_ms > 0)
        return false;
    s->linger_ms = s->params->imap_hibernate_timeout * 1000;
    return true;
}

int park_pause(struct imap *s)
{
    if (!can_park(s) || stream_buffered(s->client) > 0 || stream_flush(s->client) < 0)
        return 1;
    imap_set_idle(s, true);
    int r = stream_wait_input(s->client, clock_deadline_ms(s->linger_ms));
    imap_set_idle(s, false);
    return r;
}

int park_resume(struct imap *s, struct span state, bool *ret_idling)
{
    struct parked p;
    int r = parked_decode(state, &p);

    if (r < 0)
        return r;
    s->saved = p.saved; /* imap_done() releases it in any case */
    if (p.selected) {
        r = mailbox_resume(s->account, &p.snapshot, &s->mb);
        if (r < 0)
            return r;
    }
    s->state = p.selected ? IMAP_SELECTED : IMAP_AUTHENTICATED;
    s->condstore = p.condstore;
    s->qresync = p.qresync;
    s->rev2 = p.rev2;
    s->utf8 = p.utf8;
    s->modseq_held = p.modseq_held;
    s->keywords_told = p.keywords_told;
    s->bad_commands = p.bad_commands;
    s->hidden = p.hidden;
    s->stats = p.stats;
    str_set(&s->tag, p.tag);
    *ret_idling = p.idling;
    return 0;
}
