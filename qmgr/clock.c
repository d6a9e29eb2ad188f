/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.c - the fiber that does what is due: retries, ends of suspensions, a look into new/ and tmp/
 *
 * Retry times are calendar times, since they outlive the process; the calendar may be set while we
 * sleep, so no sleep is longer than HOUSEKEEPING_MS.
 *
 * Runs in: qmgr.
 */
#include "qmgr/clock.h"

#include <errno.h>

#include "base/clock.h"
#include "qmgr/active.h"
#include "qmgr/deliver.h"
#include "qmgr/message.h"
#include "qmgr/scan.h"

#define HOUSEKEEPING_MS 60000
#define STEPS_PER_TURN  32

static int64_t real_ms(void)
{
    return clock_real_us() / 1000;
}

void clock_wake_at(struct qmgr *q, uint64_t at_ms)
{
    if (at_ms >= q->clock_wakes)
        return;
    q->clock_wakes = 0; /* one wake is enough until it sleeps again */
    waitq_wake(&q->clock, 1);
}

void clock_wake(struct qmgr *q)
{
    clock_wake_at(q, clock_ms());
}

void clock_wake_at_real(struct qmgr *q, int64_t at_ms)
{
    int64_t ahead = at_ms - real_ms();

    clock_wake_at(q, clock_ms() + (ahead > 0 ? (uint64_t)ahead : 0));
}

static uint64_t next_due(const struct qmgr *q, uint64_t housekeeping)
{
    uint64_t at = sched_next_wake(&q->sched);
    const struct heap_node *retry = heap_min(&q->deferred);

    if (housekeeping < at)
        at = housekeeping;
    if (q->n_active >= q->active_max)
        return at;
    if (!list_empty(&q->incoming))
        return 0;
    if (retry) {
        int64_t ahead = (int64_t)retry->key - real_ms();
        uint64_t due = clock_ms() + (ahead > 0 ? (uint64_t)ahead : 0);

        if (due < at)
            at = due;
    }
    return at;
}

/* Everything that is due; others get a turn now and then, since after a long pause that may be a million messages. */
static void do_due(struct qmgr *q)
{
    struct sched_transport *t;
    struct message *m;

    for (size_t n = 1; (t = sched_wake(&q->sched, clock_ms())); n++) {
        deliver_start(q, t);
        if (n % STEPS_PER_TURN == 0)
            fiber_yield();
    }
    for (size_t n = 1; !q->stopping && (m = message_next(q, real_ms())); n++) {
        active_start(q, m);
        if (n % STEPS_PER_TURN == 0)
            fiber_yield();
    }
}

void clock_fiber(void *arg)
{
    struct qmgr *q = arg;
    uint64_t housekeeping = clock_ms() + HOUSEKEEPING_MS;

    while (!q->stopping) {
        do_due(q);
        if (clock_ms() >= housekeeping) {
            scan_new(q);
            housekeeping = clock_ms() + HOUSEKEEPING_MS;
        }
        uint64_t at = next_due(q, housekeeping);

        if (at <= clock_ms())
            continue;
        q->clock_wakes = at;
        fiber_set_idle(true);
        int r = waitq_wait(&q->clock, at);
        fiber_set_idle(false);
        q->clock_wakes = 0;
        if (r == -ECANCELED)
            return;
    }
}
