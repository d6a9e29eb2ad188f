/* SPDX-License-Identifier: Apache-2.0 */
/*
 * room.c - a place for a new mailbox session, if need be that of one that is idle (ipc/msg_place.h)
 *
 * anvil knows how many there are; which of them is idle only its front knows, and only when it looks. So nothing is
 * said of sessions that park and wake, and a user's fronts are asked one after the other when a place is
 * wanted: a session whose client is dead, then the parked one that has been silent for longest, then another that is silent.
 * Its front ends it, or says that it was busy after all.
 *
 * Runs in: anvil. Fronts are mistrusted: none is waited for longer than a moment.
 */
#include "anvil/room.h"

#include <errno.h>

#include "base/clock.h"
#include "base/own.h"

enum {
    ANSWER_MS = 2000,       /* of one front to one question */
    ROOM_MS = 6000,         /* for all that has to be asked; the new session waits */
    TRIES = 3,              /* sessions that may prove to be busy */
    FRONTS_MAX = 32,        /* asked for one place */
};

struct ask {
    struct list link;       /* of its front, until it is answered */
    uint64_t number;
    bool answered;
    struct waitq done;
    struct place_idlest idlest;
    bool closed;
};

/* A wish for a place that cannot be granted at once. */
struct wish {
    struct talk *talk;
    struct group *group;
    uint64_t id;
    uint32_t limit;
    struct place_look look;
};

/* ---- a front's connection ---- */

void talk_init(struct talk *t, struct places *places, struct ipc *ipc)
{
    *t = (struct talk){ .ipc = ipc };
    front_init(&t->front, places, t);
    list_init(&t->asks);
    waitq_init(&t->unused);
}

static void release(struct talk *t)
{
    if (--t->users == 0)
        waitq_wake(&t->unused, 1);
}

static void settle(struct ask *ask)
{
    list_remove(&ask->link);
    ask->link.next = NULL;
    waitq_wake(&ask->done, 1);
}

void talk_done(struct talk *t)
{
    struct ask *ask;

    t->gone = true;
    front_done(&t->front);
    LIST_FOREACH(ask, &t->asks, struct ask, link)
        settle(ask);
    while (t->users > 0)
        waitq_wait_through(&t->unused);
}

/* ---- questions ---- */

static struct ask *find(struct talk *t, uint64_t number)
{
    struct ask *ask;

    LIST_FOREACH(ask, &t->asks, struct ask, link)
        if (ask->number == number)
            return ask;
    return NULL;
}

void room_idlest(struct talk *t, const struct place_idlest *m)
{
    struct ask *ask = find(t, m->request);

    if (!ask)
        return;                 /* too late */
    ask->idlest = *m;
    ask->answered = true;
    settle(ask);
}

void room_closed(struct talk *t, const struct place_closed *m)
{
    struct ask *ask = find(t, m->request);

    if (!ask)
        return;
    ask->closed = m->closed;
    ask->answered = true;
    settle(ask);
}

static void begin(struct ask *ask, struct talk *t)
{
    *ask = (struct ask){ .number = ++t->asked };
    waitq_init(&ask->done);
    list_push_back(&t->asks, &ask->link);
}

/* Sends the question and waits for its answer; true: it is there */
static bool ask_front(struct talk *t, struct ask *ask, const struct ipc_shape *shape, const void *m)
{
    int r = ipc_send_now(t->ipc, shape, m);

    while (r == 0 && ask->link.next)
        r = waitq_wait(&ask->done, clock_deadline_ms(ANSWER_MS));
    if (ask->link.next)
        list_remove(&ask->link);
    return ask->answered;
}

/* ---- making room ---- */

static bool comes_before(const struct place_idlest *a, const struct place_idlest *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->silent_ms > b->silent_ms;
}

static bool look(struct talk *t, struct place_look *m, struct place_idlest *ret)
{
    struct ask ask;

    if (t->gone)
        return false;
    begin(&ask, t);
    m->request = ask.number;
    if (!ask_front(t, &ask, &place_look_shape, m))
        return false;
    *ret = ask.idlest;
    return true;
}

static bool close_one(struct talk *t, uint64_t id)
{
    struct place_close m = { .id = id };
    struct ask ask;

    if (t->gone)
        return true;            /* and all that it had */
    begin(&ask, t);
    m.request = ask.number;
    return ask_front(t, &ask, &place_close_shape, &m) && ask.closed;
}

/* Which of all fronts' idlest? NULL: none is idle. */
static struct talk *find_idlest(struct talk *const *talks, size_t n, struct place_look *m, uint64_t *ret_id)
{
    struct place_idlest best = { .rank = PLACE_BUSY }, one;
    struct talk *whose = NULL;

    for (size_t i = 0; i < n; i++)
        if (look(talks[i], m, &one) && one.rank != PLACE_BUSY && (!whose || comes_before(&one, &best))) {
            best = one;
            whose = talks[i];
        }
    *ret_id = best.id;
    return whose;
}

/* False: there is no idle one. Otherwise one may have ended, or proved to be busy. */
static bool make_room(struct wish *w)
{
    void *owners[FRONTS_MAX];
    struct talk *talks[FRONTS_MAX];
    size_t n = group_owners(w->group, owners, FRONTS_MAX);
    uint64_t id;

    for (size_t i = 0; i < n; i++) {
        talks[i] = owners[i];
        talks[i]->users++;
    }
    struct talk *whose = find_idlest(talks, n, &w->look, &id);
    if (whose)
        close_one(whose, id);
    for (size_t i = 0; i < n; i++)
        release(talks[i]);
    return whose != NULL;
}

/* ---- wishes ---- */

static void answer(struct talk *t, uint64_t id, bool granted)
{
    const struct place_taken m = { id, granted };

    if (!t->gone)
        ipc_send_now(t->ipc, &place_taken_shape, &m);
}

static void run_wish(void *arg)
{
    struct wish *w = arg;
    const uint64_t deadline = clock_deadline_ms(ROOM_MS);
    int r = gate_enter(&w->group->gate, deadline);

    if (r == 0) {
        for (int i = 0; i < TRIES && w->group->len >= w->limit && clock_ms() < deadline; i++)
            if (!make_room(w))
                break;
        bool granted = w->group->len < w->limit && !w->talk->gone && place_add(&w->talk->front, w->id, w->group);
        gate_leave(&w->group->gate);
        answer(w->talk, w->id, granted);
    } else {
        answer(w->talk, w->id, false);
    }
    group_release(w->group);
    release(w->talk);
    place_look_msg_done(&w->look);
    free(w);
}

void room_take(struct places *p, struct talk *t, const struct place_take *m)
{
    struct group *g = group_hold(p, m->protocol, str_span(&m->user), m->client);

    if (g->len < m->limit && g->gate.inside == 0) {
        answer(t, m->id, place_add(&t->front, m->id, g));
        group_release(g);
        return;
    }
    struct wish *w = mem_new(struct wish);
    *w = (struct wish){ .talk = t, .group = g, .id = m->id, .limit = m->limit };
    snprintf(w->look.client, sizeof w->look.client, "%s", m->client);
    str_add(&w->look.user, str_span(&m->user));
    t->users++;
    fiber_start(run_wish, w);
}

void room_keep(struct places *p, struct talk *t, const struct place_keep *m)
{
    struct group *g = group_hold(p, m->protocol, str_span(&m->user), m->client);

    place_add(&t->front, m->id, g);
    group_release(g);
}
