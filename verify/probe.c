/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c - a probe: one message without content that an agent does not deliver
 *
 * It goes the way of all mail, so that aliases, routes and transports are those of real mail. The agent
 * stops short of the content (an SMTP client after RCPT TO) and the outcome comes from qmgr. Those who ask
 * for an address meanwhile wait for the same probe.
 *
 * Runs in: verify.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "mail/idna.h"
#include "verify/verify.h"

#define CONNECT_TIMEOUT_MS 30000
#define OUTCOME_WAIT_MS    1000000  /* after that a probe is taken for lost */

static int converse(struct probe *p, struct ipc *c, struct submit_result *ret)
{
    const struct params *params = p->v->params;
    struct submit m = {
        .origin = SUBMIT_INTERNAL,
        .flags = SUBMIT_PROBE | (idna_is_ascii(span_of(p->address)) ? 0u : SUBMIT_SMTPUTF8),
        .n_rcpt = 1,
        .sender = { (char *)params->address_verify_sender, strlen(params->address_verify_sender), 0 },
        .service = "verify",
    };
    struct submit_rcpt rcpt = { .address = { p->address, strlen(p->address), 0 }, .dsn_notify = DSN_NEVER };

    stream_set_timeout(ipc_stream(c), params->ipc_timeout * 1000);
    ipc_send(c, &submit_shape, &m);
    ipc_send(c, &submit_rcpt_shape, &rcpt);
    ipc_send_chunk(c, SPAN_NULL);
    return ipc_recv(c, &submit_result_shape, ret);
}

/* A kept connection may lead to a cleanup that has retired: then once more on a new one */
static int submit(struct probe *p, struct submit_result *ret)
{
    for (unsigned fresh = 0;;) {
        struct ipc *c;
        int r = ipc_pool_get(p->v->cleanup, clock_deadline_ms(CONNECT_TIMEOUT_MS), &c);

        if (r < 0)
            return r;
        r = converse(p, c, ret);
        if (r == 0) {
            ipc_pool_put(p->v->cleanup, c);
            return 0;
        }
        bool repeat = r != -ECANCELED && r != -ETIMEDOUT && (ipc_was_kept(c) || fresh++ == 0);

        ipc_free(c);
        if (!repeat)
            return r;
    }
}

/* There will be no outcome: what cleanup says of the address is it, or that it said nothing */
static void fail(struct probe *p, int error, const struct submit_result *result)
{
    struct entry e = { .status = ADDRESS_DEFERRED, .updated = clock_real() };

    if (error < 0) {
        log_warn_errno(error, "cannot submit an address probe, those who asked are told to try again");
        str_add_str(&e.text, "Address verification probe could not be sent");
    } else {
        if (result->status == SUBMIT_PERMANENT)
            e.status = ADDRESS_UNDELIVERABLE;
        str_add_str(&e.text, result->text);
    }
    if (!p->settled)
        probe_settle(p->v, p->node.key, &e);
    entry_done(&e);
}

static void submit_fiber(void *arg)
{
    struct probe *p = arg;
    struct submit_result result = { 0 };
    int r = submit(p, &result);

    if (r < 0 || result.status != SUBMIT_OK)
        fail(p, r, &result);
    probe_put(p);
}

static struct probe *probe_of(const struct verify *v, struct span key)
{
    return HASH_ENTRY(hash_get(&v->probes, key), struct probe, node);
}

struct probe *probe_get(struct verify *v, struct span key, struct span address)
{
    struct probe *p = probe_of(v, key);

    if (p) {
        p->users++;
        return p;
    }
    if (v->probes.len >= (size_t)v->params->address_verify_pending_request_limit)
        return NULL;
    p = mem_new(struct probe);
    *p = (struct probe){ .v = v, .users = 2, .started_ms = clock_ms(), .address = mem_dup_span(address) };
    p->node.key = span_of(mem_dup_span(key));
    p->outcome.status = ADDRESS_UNKNOWN;
    waitq_init(&p->waiting);
    hash_put(&v->probes, &p->node);
    fiber_start(submit_fiber, p);
    return p;
}

void probe_put(struct probe *p)
{
    if (--p->users > 0 || !p->settled)
        return;
    entry_done(&p->outcome);
    free((char *)p->node.key.ptr);
    free(p->address);
    free(p);
}

/* Out of the table, and the waiting told; it goes with its last user */
static void end(struct verify *v, struct probe *p)
{
    p->settled = true;
    hash_remove(&v->probes, &p->node);
    waitq_wake(&p->waiting, SIZE_MAX);
    p->users++;
    probe_put(p);
}

void probe_settle(struct verify *v, struct span key, struct entry *outcome)
{
    struct probe *p = probe_of(v, key);

    if (!p)
        return; /* of a predecessor, or asked for by nobody any more */
    p->outcome = *outcome;
    outcome->text = STR_INIT;
    end(v, p);
}

void probe_drop_old(struct verify *v)
{
    struct hash_node *next = hash_next(&v->probes, NULL);
    uint64_t now = clock_ms();

    while (next) {
        struct probe *p = HASH_ENTRY(next, struct probe, node);

        next = hash_next(&v->probes, next);
        if (now - p->started_ms >= OUTCOME_WAIT_MS)
            end(v, p);
    }
}
