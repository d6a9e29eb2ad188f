/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - one server process's kept connection: events, each with its counts, and what is remembered; or places
 *
 * A connection is for the one (smtpd) or for the other (fronts): what it says first decides. On one for places
 * other fibers send as well (room.c), which those of a conversation with answers in turn could not bear.
 * Runs in: anvil; callers talk to strangers and are mistrusted.
 */
#include <errno.h>

#include "anvil/anvil.h"
#include "anvil/room.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum purpose { UNDECIDED, COUNTS, PLACES };

struct conversation {
    struct anvil *a;
    struct ipc *ipc;
    struct caller *caller;
    struct talk talk;
    enum purpose purpose;
};

/* ---- counts, and what is remembered ---- */

static int serve_event(struct conversation *v)
{
    struct anvil_event ev = { 0 };
    int r = ipc_recv(v->ipc, &anvil_event_shape, &ev);

    if (r < 0)
        return r;

    struct anvil_counts counts = counters_event(v->caller, &ev, clock_ms());

    if (ev.kind != ANVIL_DISCONNECT && ev.kind != ANVIL_RESUME)
        ipc_send(v->ipc, &anvil_counts_shape, &counts);
    return 0;
}

static int serve_recall(struct conversation *v)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    struct anvil_recall recall = { 0 };
    struct anvil_memory memory = { 0 };
    int r = ipc_recv(v->ipc, &anvil_recall_shape, &recall);

    if (r < 0)
        return r;
    if (v->a->passed && cache_get(v->a->passed, span_of(recall.client), &value, NULL) > 0)
        snprintf(memory.passed, sizeof memory.passed, "%s", str_cstr(&value));
    ipc_send(v->ipc, &anvil_memory_shape, &memory);
    return 0;
}

static int serve_remember(struct conversation *v)
{
    struct anvil_remember m = { 0 };
    int r = ipc_recv(v->ipc, &anvil_remember_shape, &m);

    if (r == 0 && v->a->passed)
        cache_put(v->a->passed, span_of(m.client), span_of(m.passed), (int64_t)m.expires);
    return r;
}

/* ---- places ---- */

static int serve_take(struct conversation *v)
{
    _cleanup_(place_take_msg_done) struct place_take m = { .user = STR_INIT };
    int r = ipc_recv(v->ipc, &place_take_shape, &m);

    if (r == 0)
        room_take(v->a->places, &v->talk, &m);
    return r;
}

static int serve_keep(struct conversation *v)
{
    _cleanup_(place_keep_msg_done) struct place_keep m = { .user = STR_INIT };
    int r = ipc_recv(v->ipc, &place_keep_shape, &m);

    if (r == 0)
        room_keep(v->a->places, &v->talk, &m);
    return r;
}

static int serve_leave(struct conversation *v)
{
    struct place_leave m;
    int r = ipc_recv(v->ipc, &place_leave_shape, &m);

    if (r == 0)
        place_remove(&v->talk.front, m.id);
    return r;
}

static int serve_idlest(struct conversation *v)
{
    struct place_idlest m;
    int r = ipc_recv(v->ipc, &place_idlest_shape, &m);

    if (r == 0)
        room_idlest(&v->talk, &m);
    return r;
}

static int serve_closed(struct conversation *v)
{
    struct place_closed m;
    int r = ipc_recv(v->ipc, &place_closed_shape, &m);

    if (r == 0)
        room_closed(&v->talk, &m);
    return r;
}

static const struct request {
    const char *type;
    enum purpose purpose;
    int (*serve)(struct conversation *v);
} requests[] = {
    { "anvil_event",    COUNTS, serve_event },
    { "anvil_recall",   COUNTS, serve_recall },
    { "anvil_remember", COUNTS, serve_remember },
    { "place_take",     PLACES, serve_take },
    { "place_keep",     PLACES, serve_keep },
    { "place_leave",    PLACES, serve_leave },
    { "place_idlest",   PLACES, serve_idlest },
    { "place_closed",   PLACES, serve_closed },
};

static int serve(struct conversation *v, struct span type)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        if (!span_eq_str(type, requests[i].type))
            continue;
        if (v->purpose == UNDECIDED)
            v->purpose = requests[i].purpose;
        return v->purpose == requests[i].purpose ? requests[i].serve(v) : -EPROTO;
    }
    return -EPROTO;
}

void anvil_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    struct anvil *a = sv->state;
    _cleanup_(ipc_free_ptr_) struct ipc *c = ipc_new(client);
    _cleanup_(caller_free_ptr_) struct caller *caller = caller_new(a->counters);
    struct conversation v = { .a = a, .ipc = c, .caller = caller };
    struct span type;
    int r = 0;

    talk_init(&v.talk, a->places, c);
    while (r == 0 && ipc_wait_request(c, &type) == 0)
        r = serve(&v, type);
    if (r == -EPROTO)
        log_warn("malformed request from uid %u", (unsigned)peer->uid);
    talk_done(&v.talk);
}
