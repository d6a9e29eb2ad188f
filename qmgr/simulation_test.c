/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulation_test.c - the scheduler with whole days of mail, in virtual time
 *
 * A world of receivers stands behind schedule.c, which is the code that qmgr runs: each takes its time, refuses or is
 * dead. Deliveries end in a heap of events; what is claimed about fairness is measured on them.
 */
#include "qmgr/schedule.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct site {
    char name[16];
    uint64_t takes_ms;
    bool dead;
    uint32_t room;   /* deliveries at once without a 4xx; 0: any number */
    uint32_t busy, peak;
    uint64_t delivered, refused, last_ms;
};

struct world {
    struct sched_limits limits;
    struct sched s;
    struct sched_transport *smtp;
    struct heap events;
    uint64_t now;
    size_t started, in_flight, peak;
};

struct mail {
    struct sched_job *job;
    struct site *site;
    uint64_t queued_ms, first_ms, done_ms; /* done_ms: 0: not yet */
    size_t n, settled, stuck;
    size_t before; /* deliveries that began between it was queued and it began */
};

struct event {
    struct heap_node at;
    struct sched_task task;
};

static void limits_of_world(const char *transport, struct sched_limits *ret, void *arg)
{
    (void)transport;
    *ret = ((struct world *)arg)->limits;
}

static struct sched_limits ordinary(void)
{
    return (struct sched_limits){
        .window = { .initial = 5, .limit = 20, .positive = { .milli = 1000 },
                    .negative = { .milli = 1000 }, .cohorts_milli = 1000 },
        .rcpts = 50, .total = 5000,
    };
}

static void world_init(struct world *w, struct sched_limits limits)
{
    *w = (struct world){ .limits = limits };
    struct sched_policy p = { .limits = limits_of_world, .arg = w, .min_backoff_ms = 300000,
                              .max_backoff_ms = 4000000, .transport_retry_ms = 60000 };

    sched_init(&w->s, &p);
    w->smtp = sched_transport(&w->s, span_of("smtp"));
}

static void world_done(struct world *w)
{
    heap_done(&w->events);
    sched_done(&w->s);
}

static void start_all(struct world *w)
{
    struct sched_task task;

    while (sched_next(w->smtp, w->now, &task)) {
        struct event *e = mem_new(struct event);
        struct mail *m = task.job->owner;

        e->task = task;
        if (m->first_ms == UINT64_MAX) {
            m->first_ms = w->now;
            m->before = w->started - m->before;
        }
        w->started++;
        if (++w->in_flight > w->peak)
            w->peak = w->in_flight;
        if (++m->site->busy > m->site->peak)
            m->site->peak = m->site->busy;
        heap_put(&w->events, &e->at, w->now + m->site->takes_ms);
    }
}

static void post_with(struct world *w, struct mail *m, struct site *site, size_t n_rcpts, int priority)
{
    *m = (struct mail){ .site = site, .n = n_rcpts, .queued_ms = w->now, .first_ms = UINT64_MAX,
                        .before = w->started };
    m->job = sched_job_new(w->smtp, span_of(site->name), span_of(site->name), priority, m);
    for (uint32_t i = 0; i < n_rcpts; i++)
        sched_job_add_rcpt(m->job, i);
    if (sched_job_queue(m->job, w->now) < 0)
        m->stuck = n_rcpts;
    start_all(w);
}

static void post(struct world *w, struct mail *m, struct site *site, size_t n_rcpts)
{
    post_with(w, m, site, n_rcpts, 0);
}

static void settle(struct world *w, struct mail *m)
{
    if (m->job && m->settled + m->stuck == m->n && m->job->tasks == 0) {
        sched_job_free(m->job);
        m->job = NULL;
        m->done_ms = w->now;
    }
}

static void end_task(struct world *w, struct event *e)
{
    struct mail *m = e->task.job->owner;
    struct site *site = m->site;
    bool crowded = site->room > 0 && site->busy > site->room;
    struct sched_dest *d = e->task.job->dest;
    struct sched_job *stuck;

    sched_task_done(&e->task, site->dead ? SCHED_DEAD : crowded ? SCHED_RELUCTANT : SCHED_ANSWERED,
                    "4.4.1", span_of("connection timed out"), w->now);
    site->busy--;
    w->in_flight--;
    site->last_ms = w->now;
    if (site->dead || crowded)
        site->refused += e->task.n;
    else
        site->delivered += e->task.n;
    m->settled += e->task.n;
    e->task.job->tasks++; /* keeps the destination */
    while ((stuck = sched_take_stuck(d, w->now))) {
        struct mail *other = stuck->owner;

        other->stuck += sched_job_rest(stuck);
        settle(w, other);
    }
    e->task.job->tasks--;
    settle(w, m);
    free(e);
}

/* Until that time, or until nothing is left to happen. */
static void run(struct world *w, uint64_t until)
{
    for (;;) {
        struct heap_node *n = heap_min(&w->events);
        uint64_t wake = sched_next_wake(&w->s), at = n && n->key < wake ? n->key : wake;

        if (at > until || (!n && wake == UINT64_MAX))
            break;
        w->now = at > w->now ? at : w->now;
        while (sched_wake(&w->s, w->now))
            start_all(w);
        while ((n = heap_min(&w->events)) && n->key <= w->now) {
            heap_remove(&w->events, n);
            end_task(w, CONTAINER_OF(n, struct event, at));
            start_all(w);
        }
    }
    if (until != UINT64_MAX)
        w->now = until;
}

static void test_a_list_post_delays_a_single_message_by_a_few_deliveries(void **state)
{
    struct world w;
    struct site site = { .name = "big.test", .takes_ms = 1000 };
    struct mail list, single;

    (void)state;
    world_init(&w, ordinary());
    post(&w, &list, &site, 50000);
    run(&w, 10000);
    post(&w, &single, &site, 1);
    run(&w, UINT64_MAX);
    assert_true(single.done_ms > 0 && list.done_ms > 0);
    assert_true(single.before <= 2);
    assert_true(single.first_ms - single.queued_ms <= 1000);
    assert_true(list.done_ms - list.queued_ms > 50000); /* 1,000 deliveries of 50, at most 20 at once */
    world_done(&w);
}

static void test_messages_to_one_destination_share_it_equally(void **state)
{
    struct world w;
    struct site site = { .name = "big.test", .takes_ms = 1000 };
    struct mail large[3], small[30];

    (void)state;
    world_init(&w, ordinary());
    for (size_t i = 0; i < ARRAY_LEN(large); i++)
        post(&w, &large[i], &site, 20000);
    run(&w, 20000);
    for (size_t i = 0; i < ARRAY_LEN(small); i++)
        post(&w, &small[i], &site, 1);
    run(&w, 60000);
    for (size_t i = 0; i < ARRAY_LEN(small); i++)
        assert_true(small[i].before <= ARRAY_LEN(large) + ARRAY_LEN(small));
    assert_in_range(large[0].settled, large[1].settled - 400, large[1].settled + 400);
    assert_in_range(large[0].settled, large[2].settled - 400, large[2].settled + 400);
    run(&w, UINT64_MAX);
    world_done(&w);
}

static void test_priority_comes_first_and_nobody_starves(void **state)
{
    struct world w;
    struct site site = { .name = "big.test", .takes_ms = 1000 };
    static struct mail backlog[10000];
    struct mail urgent, bulk, list;

    (void)state;
    world_init(&w, ordinary());
    for (size_t i = 0; i < ARRAY_LEN(backlog); i++)
        post(&w, &backlog[i], &site, 1);
    run(&w, 5000);
    post_with(&w, &urgent, &site, 1, 9);
    post_with(&w, &bulk, &site, 1000, -9);
    post_with(&w, &list, &site, 5000, 9);
    run(&w, UINT64_MAX);
    assert_true(urgent.before <= 1);
    assert_true(list.before <= 2);
    /* While the list of priority 9 has its 100 deliveries the backlog still gets turns: one for sixteen. */
    size_t late = 0;
    for (size_t i = 0; i < ARRAY_LEN(backlog); i++)
        late += backlog[i].first_ms > urgent.queued_ms && backlog[i].first_ms < list.done_ms;
    assert_in_range(late, 5, 30);
    assert_true(bulk.done_ms > 0);
    world_done(&w);
}

static void test_a_dead_and_a_slow_destination_leave_the_fast_ones_alone(void **state)
{
    struct world w;
    struct site dead = { .name = "dead.test", .takes_ms = 30000, .dead = true },
                slow = { .name = "slow.test", .takes_ms = 60000 };
    static struct site fast[20];
    static struct mail to_dead[2000], to_slow[2000], to_fast[20][100];

    (void)state;
    world_init(&w, ordinary());
    for (size_t i = 0; i < ARRAY_LEN(to_dead); i++) {
        post(&w, &to_dead[i], &dead, 1);
        post(&w, &to_slow[i], &slow, 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(fast); i++) {
        snprintf(fast[i].name, sizeof fast[i].name, "f%zu.test", i);
        fast[i].takes_ms = 100;
        for (size_t n = 0; n < ARRAY_LEN(to_fast[i]); n++)
            post(&w, &to_fast[i][n], &fast[i], 1);
    }
    run(&w, 3600000);
    for (size_t i = 0; i < ARRAY_LEN(fast); i++) {
        assert_int_equal(fast[i].delivered, 100);
        assert_true(fast[i].last_ms <= 2000);
    }
    assert_true(dead.refused <= 20); /* a cohort, then it is left in peace */
    for (size_t i = 0; i < ARRAY_LEN(to_dead); i++)
        assert_null(to_dead[i].job);
    assert_true(slow.delivered >= 1000);
    run(&w, UINT64_MAX);
    assert_int_equal(slow.delivered, 2000);
    world_done(&w);
}

static void test_the_back_off_of_a_dead_destination_is_shared_and_one_delivery_probes_it(void **state)
{
    struct world w;
    struct site dead = { .name = "dead.test", .takes_ms = 10, .dead = true };
    static struct mail mail[100];
    uint64_t refused;

    (void)state;
    world_init(&w, ordinary());
    for (size_t i = 0; i < 50; i++)
        post(&w, &mail[i], &dead, 1);
    run(&w, 200000);
    refused = dead.refused;
    for (size_t i = 50; i < 99; i++) { /* new mail does not even try */
        post(&w, &mail[i], &dead, 1);
        assert_int_equal(mail[i].stuck, 1);
        settle(&w, &mail[i]);
    }
    assert_int_equal(dead.refused, refused);
    run(&w, 310000);
    post(&w, &mail[99], &dead, 1); /* the suspension is over */
    run(&w, 320000);
    assert_int_equal(dead.refused, refused + 1);
    assert_non_null(sched_find_dest(w.smtp, span_of("dead.test")));
    assert_in_range(sched_find_dest(w.smtp, span_of("dead.test"))->health.suspended_until, 910000, 911000);
    run(&w, UINT64_MAX);
    world_done(&w);
}

static void test_a_thousand_destinations_all_progress_under_the_transport_limit(void **state)
{
    struct sched_limits limits = ordinary();
    static struct site sites[1000];
    static struct mail mail[1000][20];
    struct world w;

    (void)state;
    limits.total = 100;
    world_init(&w, limits);
    for (size_t i = 0; i < ARRAY_LEN(sites); i++) {
        snprintf(sites[i].name, sizeof sites[i].name, "s%zu.test", i);
        sites[i].takes_ms = 1000;
        for (size_t n = 0; n < ARRAY_LEN(mail[i]); n++)
            post(&w, &mail[i][n], &sites[i], 1);
    }
    run(&w, 30000);
    for (size_t i = 0; i < ARRAY_LEN(sites); i++)
        assert_in_range(sites[i].delivered, 1, 8);
    assert_int_equal(w.peak, 100);
    run(&w, UINT64_MAX);
    for (size_t i = 0; i < ARRAY_LEN(sites); i++)
        assert_int_equal(sites[i].delivered, 20);
    assert_in_range(w.now, 199000, 205000);
    world_done(&w);
}

static void test_a_slow_destination_that_takes_everything_gets_thousands_at_once(void **state)
{
    struct sched_limits limits = ordinary();
    struct site site = { .name = "slow.test", .takes_ms = 500 };
    static struct mail mail[60000];
    struct world w;

    (void)state;
    limits.window.ceiling = 2000;
    world_init(&w, limits);
    for (size_t i = 0; i < ARRAY_LEN(mail); i++)
        post(&w, &mail[i], &site, 1);
    run(&w, UINT64_MAX);
    assert_int_equal(site.peak, 2000);
    assert_true(w.now < 25000); /* 20 at once would take 25 minutes */
    world_done(&w);
}

static void test_a_destination_with_little_room_is_not_pushed(void **state)
{
    struct sched_limits limits = ordinary();
    struct site site = { .name = "small.test", .takes_ms = 500, .room = 60 };
    static struct mail mail[20000];
    struct world w;

    (void)state;
    limits.window.ceiling = 2000;
    world_init(&w, limits);
    for (size_t i = 0; i < ARRAY_LEN(mail); i++)
        post(&w, &mail[i], &site, 1);
    run(&w, UINT64_MAX);
    assert_true(site.peak < 2 * site.room);
    assert_true(site.refused < 200); /* of 20,000, one excess in ten minutes */
    world_done(&w);
}

static void test_beyond_its_limit_a_destination_takes_only_what_others_leave_free(void **state)
{
    struct sched_limits limits = ordinary();
    struct site hog = { .name = "hog.test", .takes_ms = 2000 }, other = { .name = "o.test", .takes_ms = 100 };
    static struct mail mail[20000], late[500];
    struct world w;

    (void)state;
    limits.window.ceiling = 2000;
    limits.total = 500;
    world_init(&w, limits);
    for (size_t i = 0; i < ARRAY_LEN(mail); i++)
        post(&w, &mail[i], &hog, 1);
    run(&w, 30000);
    assert_in_range(hog.busy, 100, 250);
    for (size_t i = 0; i < ARRAY_LEN(late); i++)
        post(&w, &late[i], &other, 1);
    run(&w, 35000);
    assert_int_equal(other.delivered, 500);
    run(&w, UINT64_MAX);
    world_done(&w);
}

static void test_a_rate_delay_is_kept_between_deliveries(void **state)
{
    struct sched_limits limits = ordinary();
    struct site a = { .name = "a.test", .takes_ms = 100 }, b = { .name = "b.test", .takes_ms = 100 };
    struct mail mail[20];
    struct world w;

    (void)state;
    limits.dest_delay_ms = 5000;
    world_init(&w, limits);
    for (size_t i = 0; i < ARRAY_LEN(mail); i++)
        post(&w, &mail[i], i % 2 ? &a : &b, 1);
    run(&w, UINT64_MAX);
    assert_int_equal(a.peak, 1);
    assert_int_equal(b.peak, 1);
    assert_int_equal(a.last_ms, 10 * 100 + 9 * 5000);
    assert_int_equal(b.last_ms, 10 * 100 + 9 * 5000); /* each destination has its own */
    world_done(&w);

    limits = ordinary();
    limits.transport_delay_ms = 1000;
    a = (struct site){ .name = "a.test", .takes_ms = 3000 };
    world_init(&w, limits);
    for (size_t i = 0; i < ARRAY_LEN(mail); i++)
        post(&w, &mail[i], i % 2 ? &a : &b, 1);
    run(&w, UINT64_MAX);
    assert_in_range(w.now, 19000, 23000);
    assert_int_equal(w.peak, 3 > w.peak ? w.peak : 3);
    world_done(&w);
}

static void test_a_crowded_destination_says_so_and_gives_back_what_was_parked(void **state)
{
    struct world w;
    struct site site = { .name = "big.test", .takes_ms = 1000 };
    static struct mail mail[300];
    struct list parked[150], back;
    size_t n = 0;

    (void)state;
    world_init(&w, ordinary());
    w.s.policy.crowd = 200;
    for (size_t i = 0; i < 200; i++)
        post(&w, &mail[i], &site, 1);
    struct sched_dest *d = mail[199].job->dest;

    assert_false(sched_crowded(d));
    post(&w, &mail[200], &site, 1);
    assert_true(sched_crowded(d));
    list_init(&back);
    for (size_t i = 0; i < ARRAY_LEN(parked); i++)
        list_push_back(&d->parked, &parked[i]);
    sched_unpark(d, &back);
    assert_true(list_empty(&back));
    for (uint64_t t = 0; d->n_jobs > 100; t += 100)
        run(&w, t);
    sched_unpark(d, &back);
    for (const struct list *l = back.next; l != &back; l = l->next)
        assert_ptr_equal(l, &parked[n++]); /* in the order they came */
    assert_int_equal(n, 100);
    sched_unpark(d, &back);
    run(&w, UINT64_MAX);
    assert_null(sched_find_dest(w.smtp, span_of("big.test")));
    world_done(&w);
}

/* After a restart nothing is known of destinations: they start with the initial window again, and everything queued is fair. */
static void test_after_a_restart_a_backlog_does_not_hold_up_new_mail(void **state)
{
    struct world w;
    struct site slow = { .name = "slow.test", .takes_ms = 5000 }, fast = { .name = "fast.test", .takes_ms = 50 };
    static struct mail backlog[100000];
    struct mail fresh;

    (void)state;
    world_init(&w, ordinary());
    for (size_t i = 0; i < ARRAY_LEN(backlog); i++)
        post(&w, &backlog[i], &slow, 1);
    assert_int_equal(slow.busy, 5);
    post(&w, &fresh, &fast, 1);
    run(&w, 1000);
    assert_int_equal(fast.delivered, 1);
    assert_int_equal(fresh.done_ms, 50);
    run(&w, UINT64_MAX);
    assert_int_equal(slow.delivered, ARRAY_LEN(backlog));
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_list_post_delays_a_single_message_by_a_few_deliveries),
        cmocka_unit_test(test_messages_to_one_destination_share_it_equally),
        cmocka_unit_test(test_priority_comes_first_and_nobody_starves),
        cmocka_unit_test(test_a_dead_and_a_slow_destination_leave_the_fast_ones_alone),
        cmocka_unit_test(test_the_back_off_of_a_dead_destination_is_shared_and_one_delivery_probes_it),
        cmocka_unit_test(test_a_thousand_destinations_all_progress_under_the_transport_limit),
        cmocka_unit_test(test_a_slow_destination_that_takes_everything_gets_thousands_at_once),
        cmocka_unit_test(test_a_destination_with_little_room_is_not_pushed),
        cmocka_unit_test(test_beyond_its_limit_a_destination_takes_only_what_others_leave_free),
        cmocka_unit_test(test_a_rate_delay_is_kept_between_deliveries),
        cmocka_unit_test(test_a_crowded_destination_says_so_and_gives_back_what_was_parked),
        cmocka_unit_test(test_after_a_restart_a_backlog_does_not_hold_up_new_mail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
