/* SPDX-License-Identifier: Apache-2.0 */
/*
 * places.c - the sessions of this front, counted with all others of their users (ipc/msg_place.h)
 *
 * One connection to anvil, which counts for all fronts; its end tells anvil that this front's sessions are gone. A
 * fiber reads it as long as there is anything to count. Others only send. After anvil has been
 * replaced it is told of those that are there. When it cannot be reached, nobody is limited.
 *
 * Runs in: imapd-login, pop3d-login.
 */
#include "login/places.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "login/held.h"

enum {
    CONNECT_MS = 5000, PAUSE_MS = 1000, COMPLAIN_MS = 60000,
    TAKE_MS = 10000,            /* anvil answers sooner, also if it has to ask around */
    END_MS = 1500,              /* an idle session is gone by then */
    BUSY_MS = 10000,
    SILENT_MS = 30000,
};

struct places {
    const char *protocol;
    int64_t limit;
    uint64_t last_id;
    struct hash by_id;
    struct ipc *anvil;          /* NULL: not connected */
    struct fiber *reader;       /* NULL: none is needed */
    bool draining;
    struct waitq left;          /* those who wait for the end of a session */
    uint64_t silent_until;      /* it did not answer: it is not waited for */
    uint64_t complain_at;
};

static struct places *places_of(const struct held *h)
{
    const struct login_server *server = h->sv->state;

    return server->places;
}

static struct held *find(const struct places *p, uint64_t id)
{
    return HASH_ENTRY(hash_get(&p->by_id, span_make(&id, sizeof id)), struct held, place.node);
}

/* ---- what anvil is told ---- */

static void send_take(struct places *p, const struct held *h)
{
    struct place_take m = { .id = h->place.id, .limit = (uint32_t)p->limit, .user = STR_INIT };

    snprintf(m.protocol, sizeof m.protocol, "%s", p->protocol);
    snprintf(m.client, sizeof m.client, "%s", h->remote);
    str_add_str(&m.user, h->place.user);
    ipc_send_now(p->anvil, &place_take_shape, &m);
    place_take_msg_done(&m);
}

static void send_keep(struct places *p, const struct held *h)
{
    struct place_keep m = { .id = h->place.id, .user = STR_INIT };

    snprintf(m.protocol, sizeof m.protocol, "%s", p->protocol);
    snprintf(m.client, sizeof m.client, "%s", h->remote);
    str_add_str(&m.user, h->place.user);
    ipc_send_now(p->anvil, &place_keep_shape, &m);
    place_keep_msg_done(&m);
}

static void tell_all(struct places *p)
{
    struct hash_node *n = NULL;

    while ((n = hash_next(&p->by_id, n))) {
        const struct held *h = CONTAINER_OF(n, struct held, place.node);

        if (h->place.state == PLACE_ASKED)
            send_take(p, h);
        else
            send_keep(p, h);
    }
}

/* ---- what anvil says ---- */

/* Wakes the one that waits for it, of which there may be thousands */
static void decide(struct held *h, enum place_state state)
{
    h->place.state = state;
    waitq_wake(h->place.answered, 1);
}

static int on_taken(struct places *p)
{
    struct place_taken m;
    int r = ipc_recv(p->anvil, &place_taken_shape, &m);
    const struct place_leave leave = { m.id };

    if (r < 0)
        return r;
    struct held *h = find(p, m.id);
    p->silent_until = 0;
    if (!h)
        return m.granted ? ipc_send_now(p->anvil, &place_leave_shape, &leave) : 0;  /* it did not wait */
    if (h->place.state == PLACE_ASKED)
        decide(h, m.granted ? PLACE_TAKEN : PLACE_REFUSED);
    return 0;
}

/* Which of the user's sessions from this address is to go first? */
static void find_idlest(const struct places *p, const char *user, const char *client, struct place_idlest *best)
{
    struct hash_node *n = NULL;
    uint64_t silent_ms;

    while ((n = hash_next(&p->by_id, n))) {
        const struct held *h = CONTAINER_OF(n, struct held, place.node);

        if (h->place.state != PLACE_TAKEN || strcmp(h->place.user, user) != 0 || strcmp(h->remote, client) != 0 ||
            clock_ms() < h->place.busy_until)
            continue;
        enum place_rank rank = idle_judge(h, &silent_ms);
        if (rank < best->rank || (rank == best->rank && rank != PLACE_BUSY && silent_ms > best->silent_ms)) {
            best->id = h->place.id;
            best->rank = rank;
            best->silent_ms = silent_ms;
        }
    }
}

static int on_look(struct places *p)
{
    _cleanup_(place_look_msg_done) struct place_look m = { .user = STR_INIT };
    struct place_idlest answer = { .rank = PLACE_BUSY };
    int r = ipc_recv(p->anvil, &place_look_shape, &m);

    if (r < 0)
        return r;
    answer.request = m.request;
    find_idlest(p, str_cstr(&m.user), m.client, &answer);
    return ipc_send_now(p->anvil, &place_idlest_shape, &answer);
}

struct ending {
    struct places *p;
    struct place_close asked;
};

/* Waits until the session has left, as it does if it is idle. */
static void run_ending(void *arg)
{
    struct ending *e = arg;
    const uint64_t until = clock_deadline_ms(END_MS);
    struct place_closed answer = { .request = e->asked.request };
    struct held *h = find(e->p, e->asked.id);
    int r = 0;

    if (h)
        idle_end(h, until);
    while (r == 0 && find(e->p, e->asked.id))
        r = waitq_wait(&e->p->left, until);
    h = find(e->p, e->asked.id);
    if (h)
        h->place.busy_until = clock_deadline_ms(BUSY_MS);
    answer.closed = h == NULL;
    if (e->p->anvil)
        ipc_send_now(e->p->anvil, &place_closed_shape, &answer);
    free(e);
}

static int on_close(struct places *p)
{
    struct ending *e = mem_new(struct ending);
    int r = ipc_recv(p->anvil, &place_close_shape, &e->asked);

    e->p = p;
    if (r == 0)
        fiber_start(run_ending, e);
    else
        free(e);
    return r;
}

static const struct {
    struct span type;
    int (*serve)(struct places *p);
} requests[] = {
    { SPAN("place_taken"), on_taken },
    { SPAN("place_look"), on_look },
    { SPAN("place_close"), on_close },
};

static int serve(struct places *p)
{
    struct span type;
    int r = ipc_peek_type(p->anvil, &type);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        if (span_eq(type, requests[i].type))
            return requests[i].serve(p);
    return -EPROTO;
}

/* ---- the connection ---- */

static void look_after_reader(struct places *p);

static bool is_needed(const struct places *p)
{
    return !p->draining || p->by_id.len > 0;
}

/* Nobody is limited by an anvil that is not there. */
static void grant_all(struct places *p)
{
    struct hash_node *n = NULL;

    while ((n = hash_next(&p->by_id, n))) {
        struct held *h = CONTAINER_OF(n, struct held, place.node);

        if (h->place.state == PLACE_ASKED)
            decide(h, PLACE_TAKEN);
    }
}

static void complain(struct places *p, int error)
{
    if (error == -ECANCELED || clock_ms() < p->complain_at)
        return;
    log_warn_errno(error, "cannot reach anvil; sessions are not limited");
    p->complain_at = clock_deadline_ms(COMPLAIN_MS);
}

static int converse(struct places *p)
{
    int r = ipc_connect("anvil", clock_deadline_ms(CONNECT_MS), &p->anvil);

    if (r < 0) {
        complain(p, r);
        grant_all(p);
        return r;
    }
    stream_set_deadline(ipc_stream(p->anvil), CLOCK_NEVER);
    tell_all(p);
    while (r == 0)
        r = serve(p);
    if (r == -EPROTO)
        log_warn("malformed message from anvil");
    ipc_free(TAKE_PTR(p->anvil));
    return r;
}

static void run_reader(void *arg)
{
    struct places *p = arg;
    int r = 0;

    while (is_needed(p) && r != -ECANCELED) {
        r = converse(p);
        if (r != -ECANCELED && is_needed(p))
            r = fiber_sleep_until(clock_deadline_ms(PAUSE_MS));
    }
    p->reader = NULL;
    look_after_reader(p);       /* it may be needed again since it was told to end */
    if (!p->reader)
        grant_all(p);
}

/* It ends when it is not needed any more, so that a draining process can. */
static void look_after_reader(struct places *p)
{
    if (p->reader && !is_needed(p))
        fiber_cancel(p->reader);
    else if (!p->reader && p->by_id.len > 0)
        p->reader = fiber_start(run_reader, p);
}

/* ---- for the rest of the front ---- */

struct places *places_new(const char *protocol, int64_t limit)
{
    struct places *p = mem_new(struct places);

    *p = (struct places){ .protocol = protocol, .limit = limit, .by_id = HASH_INIT };
    waitq_init(&p->left);
    return p;
}

int64_t places_limit(const struct places *p)
{
    return p->limit;
}

void places_drain(struct places *p)
{
    p->draining = true;
    look_after_reader(p);
}

int places_take(struct held *h, struct span user)
{
    struct places *p = places_of(h);
    const uint64_t deadline = clock_ms() < p->silent_until ? 0 : clock_deadline_ms(TAKE_MS);
    struct waitq answered;
    int r = 0;

    if (p->limit == 0)
        return 0;
    waitq_init(&answered);
    h->place = (struct place){ .id = ++p->last_id, .user = mem_dup_span(user), .state = PLACE_ASKED, .answered = &answered };
    h->place.node.key = span_make(&h->place.id, sizeof h->place.id);
    hash_put(&p->by_id, &h->place.node);
    if (p->anvil)
        send_take(p, h);
    look_after_reader(p);
    while (r == 0 && h->place.state == PLACE_ASKED)
        r = waitq_wait(&answered, deadline);
    if (r == -ETIMEDOUT && deadline > 0)
        p->silent_until = clock_deadline_ms(SILENT_MS);
    if (h->place.state == PLACE_ASKED)
        h->place.state = PLACE_TAKEN;       /* not limited, but counted when anvil comes to it */
    h->place.answered = NULL;
    return h->place.state == PLACE_REFUSED ? -EUSERS : 0;
}

void places_leave(struct held *h)
{
    struct places *p = places_of(h);
    const struct place_leave m = { h->place.id };

    if (!h->place.user)
        return;
    hash_remove(&p->by_id, &h->place.node);
    free(TAKE_PTR(h->place.user));
    if (p->anvil && h->place.state == PLACE_TAKEN)
        ipc_send_now(p->anvil, &place_leave_shape, &m);
    waitq_wake(&p->left, SIZE_MAX);
    look_after_reader(p);
}
