/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle.c - what becomes of recipients and, after the last delivery, of the message
 *
 * A recipient's way: pending or deferred -> sent | deferred | bounced -> reported. Each step is in the
 * journal before anything is built on it: a failure is journalled, then reported, and only
 * when bounce has accepted the report may the file go. A crash between two steps repeats one of them.
 *
 * Runs in: qmgr.
 */
#include "qmgr/settle.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "qmgr/active.h"
#include "qmgr/message.h"
#include "qmgr/probe.h"
#include "qmgr/remove.h"
#include "qmgr/report.h"
#include "qmgr/requeue.h"
#include "queue/delivery_line.h"

#define JITTER_SHARE 8 /* of a delay is added at random, so that what failed together does not come back together */

/* ---- recipients ---- */

static void set_text(char **member, struct span text)
{
    free(*member);
    *member = text.len > 0 ? mem_dup_span(text) : NULL;
}

static void set_dsn(struct queue_rcpt *r, const char *dsn)
{
    snprintf(r->dsn, sizeof r->dsn, "%s", dsn);
}

static bool is_open(const struct queue_rcpt *r)
{
    return r->state != RCPT_SENT && r->state != RCPT_REPORTED;
}

/* Is there something to tell bounce? A message without a sender may still be of interest to the postmaster. */
static bool wants(const struct active *a, const struct queue_rcpt *r, enum dsn_notify kind)
{
    return a->env.sender[0] ? queue_rcpt_wants(r, kind) : kind == DSN_FAILURE;
}

static bool wants_success(const struct active *a, const struct queue_rcpt *r)
{
    return a->env.sender[0] && queue_rcpt_wants_success(r, a->q->sv->params->confirm_delay_cleared);
}

void settle_begin(struct active *a)
{
    for (size_t i = 0; i < a->env.n_rcpts; i++) {
        const struct queue_rcpt *r = &a->env.rcpts[i];

        a->n_open += is_open(r);
        a->report_success |= r->state == RCPT_SENT && wants_success(a, r);
    }
}

void settle_outcome(struct active *a, const struct outcome *o)
{
    struct queue_rcpt *r = &a->env.rcpts[o->number];
    bool soft = o->status == OUTCOME_BOUNCED && a->q->sv->params->soft_bounce;

    a->attempted = true;
    r->attempts++;
    r->last_us = clock_real_us();
    r->fate = o->fate;
    r->was_delayed = a->env.delay_reported;
    set_dsn(r, o->dsn);
    if (soft)
        r->dsn[0] = '4';
    set_text(&r->text, str_span(&o->text));
    set_text(&r->relay, str_span(&o->relay));
    set_text(&r->remote_mta, str_span(&o->remote_mta));
    set_text(&r->remote_reply, str_span(&o->remote_reply));
    if (o->status == OUTCOME_SENT) {
        r->state = RCPT_SENT;
        a->n_open--;
        a->report_success |= wants_success(a, r);
    } else {
        r->state = o->status == OUTCOME_BOUNCED && !soft ? RCPT_BOUNCED : RCPT_DEFERRED;
    }
}

static void log_deferred(const struct active *a, const struct queue_rcpt *r)
{
    _cleanup_(str_free) struct str line = STR_INIT;
    struct delivery_line l = {
        .queue_id = a->m->id,
        .to = span_of(r->address),
        .orig = span_of(r->orig),
        .relay = SPAN("none"),
        .times = { .arrival_us = a->env.arrival_us,
                   .active_us = a->active_us,
                   .done_us = clock_real_us() },
        .resolution = (int)a->q->sv->params->delay_logging_resolution_limit,
        .dsn = r->dsn,
        .status = outcome_status_name(OUTCOME_DEFERRED),
        .text = span_of(r->text),
    };

    delivery_line_add(&line, &l);
    log_info("%s", line.data);
}

void settle_fault(struct active *a, const uint32_t *rcpts, size_t n, const char *dsn,
                  const char *text)
{
    a->fault = true;
    for (size_t i = 0; i < n; i++) {
        struct queue_rcpt *r = &a->env.rcpts[rcpts[i]];

        set_dsn(r, dsn);
        set_text(&r->text, span_of(text));
        log_deferred(a, r);
    }
}

void settle_suspended(struct active *a, const uint32_t *rcpts, size_t n,
                      const struct sched_health *why)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    uint64_t now = clock_ms();
    int64_t wait =
        why->suspended_until > now ? (int64_t)((why->suspended_until - now + 999) / 1000) : 0;

    if (why->dest)
        str_add_str(&text, "delivery temporarily suspended: ");
    str_add_str(&text, why->reason);
    if (clock_real() + wait > a->resume_at)
        a->resume_at = clock_real() + wait;
    for (size_t i = 0; i < n; i++) {
        struct queue_rcpt *r = &a->env.rcpts[rcpts[i]];
        bool first = !r->text;

        r->state = RCPT_DEFERRED;
        set_dsn(r, why->dsn);
        set_text(&r->text, str_span(&text));
        log_deferred(a, r);
        if (first) /* so that the queue's listing has a reason; not at every retry */
            settle_journal(a, &rcpts[i], 1);
    }
}

/* ---- journal ---- */

static void write_outcome(struct active *a, uint32_t number)
{
    static const uint32_t status_of[] = {
        [RCPT_SENT] = OUTCOME_SENT, [RCPT_DEFERRED] = OUTCOME_DEFERRED, [RCPT_BOUNCED] = OUTCOME_BOUNCED,
    };
    const struct queue_rcpt *r = &a->env.rcpts[number];
    struct outcome o = {
        .number = number,
        .status = status_of[r->state],
        .text = str_borrow(r->text),
        .relay = str_borrow(r->relay),
        .remote_mta = str_borrow(r->remote_mta),
        .remote_reply = str_borrow(r->remote_reply),
        .fate = r->fate,
    };
    int fd = active_journal(a);

    memcpy(o.dsn, r->dsn, sizeof o.dsn);
    int err = fd < 0 ? fd : journal_outcome(fd, &o, r->last_us ? r->last_us : clock_real_us());

    if (err < 0)
        log_warn_errno(err, "%s: cannot write the journal; a recipient may be tried again",
                       a->m->id);
}

void settle_journal(struct active *a, const uint32_t *rcpts, size_t n)
{
    if (a->n_open == 0 && !a->report_success)
        return;
    for (size_t i = 0; i < n; i++) {
        enum queue_rcpt_state state = a->env.rcpts[rcpts[i]].state;

        if (state == RCPT_SENT || state == RCPT_DEFERRED || state == RCPT_BOUNCED)
            write_outcome(a, rcpts[i]);
    }
}

/* The recipients first .. first + n need no more thought; said in the journal if the file stays. */
static void mark_reported(struct active *a, size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++) {
        a->n_open -= is_open(&a->env.rcpts[i]);
        a->env.rcpts[i].state = RCPT_REPORTED;
    }
    if (!settle_waits(a))
        return; /* nobody will read it */
    int fd = active_journal(a);
    int r = fd < 0 ? fd : journal_reported(fd, (uint32_t)first, (uint32_t)n);

    if (r < 0)
        log_warn_errno(r, "%s: cannot write the journal; a report may be sent again", a->m->id);
}

/* The same for every run of recipients that pick() names. */
static void mark_reported_if(struct active *a,
                             bool (*pick)(const struct active *, const struct queue_rcpt *))
{
    for (size_t i = 0, n; i < a->env.n_rcpts; i += n + 1) {
        for (n = 0; i + n < a->env.n_rcpts && pick(a, &a->env.rcpts[i + n]);)
            n++;
        if (n > 0)
            mark_reported(a, i, n);
    }
}

/* ---- giving up ---- */

static enum retry_verdict verdict(const struct active *a)
{
    struct retry_facts facts = {
        .age = clock_real() - a->env.arrival_us / 1000000,
        .attempts = a->env.attempts + a->attempted,
        .null_sender = !a->env.sender[0],
        .force_expire = a->env.expire,
    };

    return retry_judge(&a->q->retry, &facts);
}

/* Every recipient still to be tried has failed, if the message is too old or was tried too often. */
static void give_up_expired(struct active *a)
{
    _cleanup_(str_free) struct str sender = STR_INIT;
    enum retry_verdict v = verdict(a);
    size_t n = 0;

    if (v == RETRY_AGAIN)
        return;
    for (size_t i = 0; i < a->env.n_rcpts; i++) {
        struct queue_rcpt *r = &a->env.rcpts[i];

        if (r->state != RCPT_PENDING && r->state != RCPT_DEFERRED)
            continue;
        if (!r->dsn[0])
            set_dsn(r, "4.4.7"); /* RFC 3463: delivery time expired */
        if (!r->text)
            set_text(&r->text, span_of("delivery time expired"));
        r->state = RCPT_BOUNCED;
        write_outcome(a, (uint32_t)i);
        n++;
    }
    if (n == 0)
        return;
    delivery_address_add(&sender, span_of(a->env.sender));
    log_info("%s: from=<%s>, status=%s, returned to sender", a->m->id, str_cstr(&sender),
             v == RETRY_FORCED ? "force-expired" : "expired");
}

/* ---- reports ---- */

static bool is_bounced(const struct active *a, const struct queue_rcpt *r)
{
    (void)a;
    return r->state == RCPT_BOUNCED;
}

static bool is_bounced_silently(const struct active *a, const struct queue_rcpt *r)
{
    return r->state == RCPT_BOUNCED && !wants(a, r, DSN_FAILURE);
}

static bool is_sent(const struct active *a, const struct queue_rcpt *r)
{
    (void)a;
    return r->state == RCPT_SENT;
}

static bool any(const struct active *a,
                bool (*pick)(const struct active *, const struct queue_rcpt *))
{
    for (size_t i = 0; i < a->env.n_rcpts; i++)
        if (pick(a, &a->env.rcpts[i]))
            return true;
    return false;
}

static void report_failures(struct active *a)
{
    if (!any(a, is_bounced))
        return;
    mark_reported_if(a, is_bounced_silently);
    if (!any(a, is_bounced))
        return;
    if (report_send(a, REPORT_FAILED) < 0)
        a->no_bounce = true;
    else
        mark_reported_if(a, is_bounced);
}

static void report_success(struct active *a)
{
    if (!a->report_success)
        return;
    if (report_send(a, REPORT_SUCCESS) < 0) {
        if (verdict(a) == RETRY_AGAIN) {
            a->no_bounce = true; /* the journal has the recipients: once more with the next attempt */
            return;
        }
        log_warn("%s: the sender is not told of the delivery", a->m->id);
    }
    a->report_success = false;
    mark_reported_if(a, is_sent);
}

static bool waits_with_notice(const struct active *a, const struct queue_rcpt *r)
{
    return r->state == RCPT_DEFERRED && wants(a, r, DSN_DELAY);
}

static void report_delay(struct active *a)
{
    int64_t limit = a->q->sv->params->delay_warning_time;
    int64_t age = clock_real() - a->env.arrival_us / 1000000;

    if (limit == 0 || age < limit || a->env.delay_reported || !any(a, waits_with_notice))
        return;
    if (report_send(a, REPORT_DELAYED) < 0)
        return; /* with the next attempt */
    int fd = active_journal(a);
    int r = fd < 0 ? fd : journal_delay_reported(fd);

    if (r < 0)
        log_warn_errno(r, "%s: cannot write the journal; the sender may be told of the delay again",
                       a->m->id);
}

/* ---- the message ---- */

static void move_away(struct active *a, enum queue_place to)
{
    struct qmgr *q = a->q;
    struct message *m = a->m;
    int r = to == QUEUE_MAILDROP ? requeue_file(q, message_place(m), m->id)
                                 : queue_move(&q->dirs, message_place(m), to, m->id);

    active_free(a);
    if (r == 0) {
        message_drop(q, m);
        return;
    }
    log_warn_errno(r, "%s: cannot move queue file to %s/", m->id, queue_place_name(to));
    m->want = WANT_NOTHING;
    message_defer(q, m, clock_real() + q->retry.min_backoff);
}

/* When it is tried again. A fault of our own is over sooner than one of the world. */
static int64_t next_attempt(struct active *a)
{
    int64_t now = clock_real();
    bool local = a->fault || a->no_bounce;

    if (a->recalled)
        return now;
    if (!local)
        a->m->faults = 0;
    else if (a->m->faults < UINT8_MAX)
        a->m->faults++;
    if (local)
        return now + retry_fault_delay(&a->q->retry, a->m->faults);
    int64_t due = a->resume_at;

    if (a->attempted || due == 0)
        due = now + retry_delay(&a->q->retry, a->env.attempts + a->attempted);
    return due + (int64_t)rand_below((uint64_t)(due - now) / JITTER_SHARE + 1);
}

static void retry_later(struct active *a)
{
    struct qmgr *q = a->q;
    struct message *m = a->m;
    int64_t due = next_attempt(a);

    if (a->attempted) {
        int fd = active_journal(a);
        int r = fd < 0 ? fd : journal_retry(fd, due, a->env.attempts + 1);

        if (r < 0)
            log_warn_errno(r, "%s: cannot write the time of the next attempt", m->id);
    }
    m->flushed = false;
    message_describe(q, m, &a->env);
    active_free(a);
    message_defer(q, m, due);
}

bool settle_waits(const struct active *a)
{
    return a->n_open > 0 || a->report_success;
}

static void conclude(struct active *a)
{
    if (!settle_waits(a)) {
        remove_message(a);
        return;
    }
    switch ((enum message_want)a->m->want) {
    case WANT_NOTHING:
        retry_later(a);
        return;
    case WANT_DELETE:
        remove_message(a);
        return;
    case WANT_HOLD:
        move_away(a, QUEUE_HOLD);
        return;
    case WANT_REQUEUE:
        move_away(a, QUEUE_MAILDROP);
        return;
    }
}

/* An address probe: whatever became of it, it is not tried again and nobody is sent a report. */
static void settle_probe(struct active *a)
{
    probe_report(a);
    remove_message(a);
}

void settle_message(struct active *a)
{
    if (a->env.flags & SUBMIT_PROBE) {
        settle_probe(a);
        return;
    }
    report_success(a);
    if (a->m->want == WANT_NOTHING && !a->q->stopping)
        give_up_expired(a);
    if (a->m->want != WANT_DELETE)
        report_failures(a);
    if (a->m->want == WANT_NOTHING)
        report_delay(a);
    conclude(a);
}
