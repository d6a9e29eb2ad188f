/* SPDX-License-Identifier: Apache-2.0 */
/*
 * summary.c - what waits for each destination, by age, and how the destination does
 *
 * Everything comes from memory. Waiting recipients are counted by domain first, in pieces, with other work in between; then
 * each domain is routed once, by the address seen first in it, so that a message that has not been tried since the
 * start is counted where it will go. The state comes from the scheduler, or else the reason from the messages.
 *
 * Runs in: qmgr.
 */
#include "qmgr/summary.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "mail/address.h"
#include "qmgr/message.h"

#define SLOTS_PER_TURN 16384
#define FIRST_AGE_S    300 /* each column is twice as old as the one before */

/* Waiting recipients of a domain, or of a destination. */
struct row {
    struct hash_node node;
    char *transport; /* of a destination */
    struct str text;    /* of a domain: an address in it; of a destination: the nexthop */
    struct str reason;
    int64_t reason_of;  /* arrival of the message that it comes from: the youngest counts */
    uint64_t ages[QUEUE_AGES];
    uint64_t total;
    char key[];
};

struct summary {
    struct qmgr *q;
    int64_t now;
    struct hash domains, destinations;
};

/* ---- rows ---- */

static struct row *row_get(struct hash *h, struct span key)
{
    struct row *row = HASH_ENTRY(hash_get(h, key), struct row, node);

    if (row)
        return row;
    row = mem_calloc(1, sizeof *row + key.len + 1);
    memcpy(row->key, key.ptr, key.len);
    row->node.key = span_make(row->key, key.len);
    hash_put(h, &row->node);
    return row;
}

static void rows_done(struct hash *h)
{
    struct hash_node *next;

    for (struct hash_node *n = hash_next(h, NULL); n; n = next) {
        struct row *row = CONTAINER_OF(n, struct row, node);

        next = hash_next(h, n);
        free(row->transport);
        str_free(&row->text);
        str_free(&row->reason);
        free(row);
    }
    hash_done(h);
}

static size_t age_of(const struct summary *s, int64_t arrival)
{
    size_t i = 0;

    for (int64_t limit = FIRST_AGE_S; i + 1 < QUEUE_AGES && s->now - arrival > limit; limit *= 2)
        i++;
    return i;
}

static void count(const struct summary *s, struct row *row, int64_t arrival)
{
    row->ages[age_of(s, arrival)]++;
    row->total++;
}

static bool wants_reason(const struct row *row, int64_t arrival)
{
    return row->reason.len == 0 || arrival > row->reason_of;
}

static struct row *domain_row(struct summary *s, struct span domain)
{
    _cleanup_(str_free) struct str key = STR_INIT;

    str_add_lower(&key, domain);
    return row_get(&s->domains, str_span(&key));
}

static struct row *destination_row(struct summary *s, struct span transport, struct span nexthop)
{
    _cleanup_(str_free) struct str key = STR_INIT;

    str_add(&key, transport);
    str_add_char(&key, ':');
    str_add_lower(&key, nexthop);
    struct row *row = row_get(&s->destinations, str_span(&key));

    if (!row->transport) {
        row->transport = mem_dup_span(transport);
        str_add(&row->text, nexthop);
    }
    return row;
}

/* ---- counting ---- */

static void count_digest(struct summary *s, const struct message *m)
{
    const struct digests *ds = &s->q->digests;
    _cleanup_(str_free) struct str sender = STR_INIT;
    struct digest_view v;
    struct digest_rcpt r;

    digest_open(ds, m->digest, &v, &sender);
    while (digest_next(&v, &r)) {
        struct row *row = domain_row(s, names_text(&ds->domains, r.domain));

        count(s, row, v.arrival);
        if (row->text.len == 0)
            digest_add_address(ds, &r, &row->text);
        if (r.reason == 0 || !wants_reason(row, v.arrival))
            continue;
        str_reset(&row->reason);
        digest_add_reason(ds, &r, &row->reason);
        row->reason_of = v.arrival;
    }
}

/* What has no digest, or one without recipients. */
static void count_file(struct summary *s, const struct message *m)
{
    _cleanup_(queue_envelope_done) struct queue_envelope e = { 0 };
    _cleanup_close_ int fd = queue_open(&s->q->dirs, message_place(m), m->id, O_RDONLY);

    if (fd < 0 || queue_read(fd, m->id, &queue_default_limits, &e, NULL) < 0)
        return;
    for (size_t i = 0; i < e.n_rcpts; i++) {
        const struct queue_rcpt *r = &e.rcpts[i];

        if (!digest_is_listed(r))
            continue;
        struct row *row = domain_row(s, address_domain(span_of(r->address)));

        count(s, row, e.arrival_us / 1000000);
        if (row->text.len == 0)
            str_add_str(&row->text, r->address);
        if (r->text && wants_reason(row, e.arrival_us / 1000000))
            str_set(&row->reason, span_of(r->text));
    }
}

static void count_waiting(struct summary *s)
{
    struct index *ix = &s->q->messages;

    index_begin_visit(ix);
    for (size_t i = 0; i < ix->n_slots; i++) {
        for (const struct message *m = index_slot(ix, i); m; m = m->next) {
            if (m->state == QUEUE_STATE_ACTIVE)
                continue;
            if (m->digest && !digest_is_partial(m->digest))
                count_digest(s, m);
            else
                count_file(s, m);
        }
        if (i % SLOTS_PER_TURN == SLOTS_PER_TURN - 1)
            fiber_yield();
    }
    index_end_visit(ix);
}

/* Recipients that are being delivered, or queued for that: their destination is known. */
static void count_job(struct summary *s, const struct active *a, const struct sched_job *j)
{
    struct row *row = destination_row(s, span_of(j->dest->transport->name), span_of(j->dest->nexthop));

    for (size_t i = 0; i < j->n_rcpts; i++)
        if (digest_is_listed(&a->env.rcpts[j->rcpts[i]]))
            count(s, row, a->env.arrival_us / 1000000);
}

static void count_active(struct summary *s)
{
    const struct active *a;
    const struct sched_job *j;

    LIST_FOREACH(a, &s->q->actives, const struct active, link)
        LIST_FOREACH(j, &a->jobs, const struct sched_job, owned)
            count_job(s, a, j);
}

/* Suspended ones are shown also when nothing waits. */
static void note_suspended(struct summary *s)
{
    const struct hash_node *n = NULL;

    while ((n = hash_next(&s->q->sched.transports, n))) {
        const struct sched_transport *t = CONTAINER_OF(n, const struct sched_transport, node);
        const struct sched_dest *d;

        LIST_FOREACH(d, &t->all, const struct sched_dest, link)
            if (d->health.suspended_until > 0)
                destination_row(s, span_of(t->name), span_of(d->nexthop));
    }
}

/* ---- from domains to destinations ---- */

static void add_domain(struct summary *s, struct row *domain)
{
    _cleanup_(route_done) struct route route = { 0 };

    if (route_resolve(s->q->router, SPAN_NULL, str_span(&domain->text), &route) < 0) {
        snprintf(route.transport, sizeof route.transport, "unknown");
        str_set(&route.nexthop, domain->node.key);
    }
    struct row *row = destination_row(s, span_of(route.transport), str_span(&route.nexthop));

    for (size_t i = 0; i < QUEUE_AGES; i++)
        row->ages[i] += domain->ages[i];
    row->total += domain->total;
    if (domain->reason.len > 0 && wants_reason(row, domain->reason_of)) {
        str_set(&row->reason, str_span(&domain->reason));
        row->reason_of = domain->reason_of;
    }
}

static void add_domains(struct summary *s)
{
    struct hash_node *n = NULL;

    for (size_t i = 1; (n = hash_next(&s->domains, n)); i++) {
        add_domain(s, CONTAINER_OF(n, struct row, node));
        if (i % 256 == 0)
            fiber_yield();
    }
}

/* ---- sending ---- */

static void add_state(const struct summary *s, const struct row *row, struct queue_destination *ret)
{
    _cleanup_(str_free) struct str key = STR_INIT;
    const struct sched_transport *t = sched_find_transport(&s->q->sched, span_of(row->transport));
    uint64_t now = clock_ms();

    str_add_lower(&key, str_span(&row->text));
    const struct sched_dest *d = t ? sched_find_dest(t, str_span(&key)) : NULL;

    if (!d)
        return;
    ret->active = d->busy;
    ret->window = d->window.size;
    const struct sched_health *h = sched_trouble(d, now);

    if (!h)
        return;
    ret->suspended_s = h->suspended_until > now ? (h->suspended_until - now + 999) / 1000 : 1;
    str_set(&ret->reason, span_of(h->reason));
}

static void send_row(const struct summary *s, struct ipc *c, const struct row *row)
{
    _cleanup_(queue_destination_msg_done) struct queue_destination msg = { 0 };

    snprintf(msg.transport, sizeof msg.transport, "%s", row->transport);
    str_set(&msg.nexthop, span_first(str_span(&row->text), 1024));
    memcpy(msg.age, row->ages, sizeof msg.age);
    str_set(&msg.reason, str_span(&row->reason));
    add_state(s, row, &msg);
    ipc_send(c, &queue_destination_shape, &msg);
}

static int by_total(const void *a, const void *b)
{
    const struct row *const *x = a, *const *y = b;

    if ((*x)->total != (*y)->total)
        return (*x)->total < (*y)->total ? 1 : -1;
    return span_cmp((*x)->node.key, (*y)->node.key);
}

static uint32_t send_rows(const struct summary *s, struct ipc *c)
{
    _cleanup_free_ const struct row **rows = mem_calloc(s->destinations.len + 1, sizeof *rows);
    struct hash_node *n = NULL;
    uint32_t len = 0;

    while ((n = hash_next(&s->destinations, n)))
        rows[len++] = CONTAINER_OF(n, const struct row, node);
    qsort(rows, len, sizeof *rows, by_total);
    for (uint32_t i = 0; i < len && stream_error(ipc_stream(c)) == 0; i++)
        send_row(s, c, rows[i]);
    return len;
}

uint32_t summary_send(struct qmgr *q, struct ipc *c)
{
    struct summary s = { .q = q, .now = clock_real(), .domains = HASH_INIT, .destinations = HASH_INIT };

    count_waiting(&s);
    count_active(&s);
    note_suspended(&s);
    add_domains(&s);
    uint32_t n = send_rows(&s, c);

    rows_done(&s.domains);
    rows_done(&s.destinations);
    return n;
}
