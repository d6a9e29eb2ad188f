/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waitq.c - queues of fibers, and the counting gate
 *
 * A gate hands a free place to the first in its queue, so that a newcomer
 * cannot overtake those who wait.
 *
 * Runs in: every process with sessions.
 */
#include <assert.h>

#include "base/clock.h"
#include "io/internal.h"

void waitq_init(struct waitq *q)
{
    list_init(&q->waiting);
}

int waitq_wait(struct waitq *q, uint64_t deadline)
{
    struct loop *l = loop_self();

    assert(l->current); /* outside a fiber nobody could wake us */
    list_push_back(&q->waiting, &l->current->link);
    int r = fiber_suspend(l, deadline);
    if (r < 0)
        list_remove(&l->current->link);
    return r;
}

void waitq_wait_through(struct waitq *q)
{
    struct fiber *f = loop_self()->current;

    assert(f);
    f->uncancellable = true;
    waitq_wait(q, CLOCK_NEVER);
    f->uncancellable = false;
}

size_t waitq_wake(struct waitq *q, size_t n)
{
    struct loop *l = loop_self();
    size_t woken = 0;

    while (woken < n && !list_empty(&q->waiting)) {
        fiber_wake(l, LIST_ENTRY(q->waiting.next, struct fiber, link), 0);
        woken++;
    }
    return woken;
}

void gate_init(struct gate *g, size_t limit)
{
    waitq_init(&g->queue);
    g->inside = 0;
    g->limit = limit;
}

int gate_enter(struct gate *g, uint64_t deadline)
{
    shuffle_yield();
    if (g->inside < g->limit && list_empty(&g->queue.waiting)) {
        g->inside++;
        return 0;
    }
    return waitq_wait(&g->queue, deadline); /* 0: the place was handed over */
}

void gate_leave(struct gate *g)
{
    assert(g->inside > 0);
    if (g->inside > g->limit || waitq_wake(&g->queue, 1) == 0)
        g->inside--;
}
