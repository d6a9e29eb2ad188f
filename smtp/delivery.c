/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery.c - one message to its next hop: which address next, what became of each recipient
 *
 * A kept connection if there is one; else each address in order until every recipient is decided. A 2xx
 * or 5xx decides; a 4xx or a broken connection does not, and what the last server
 * said stands when no address is left (RFC 5321 section 5.1).
 *
 * Runs in: smtp.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "smtp/smtp.h"

void delivery_result(struct delivery *d, struct delivery_rcpt *r, const struct connection *k,
                     uint32_t status, const char *dsn, struct span text, bool final)
{
    (void)d;
    r->result.status = status;
    snprintf(r->result.dsn, sizeof r->result.dsn, "%s", dsn);
    str_set(&r->result.text, span_first(text, 1024));
    str_reset(&r->result.relay);
    str_reset(&r->result.remote_mta);
    str_reset(&r->result.remote_reply);
    if (k)
        str_add(&r->result.relay, span_first(str_span(&k->relay), 512));
    if (final)
        r->state = RCPT_DECIDED;
}

static bool undecided(const struct delivery *d)
{
    for (uint32_t i = 0; i < d->request.n_rcpt; i++)
        if (d->rcpts[i].state == RCPT_UNDECIDED)
            return true;
    return false;
}

/* The same failure for every undecided recipient */
static void fail_all(struct delivery *d, const struct failure *why, bool final)
{
    for (uint32_t i = 0; i < d->request.n_rcpt; i++)
        if (d->rcpts[i].state == RCPT_UNDECIDED)
            delivery_result(d, &d->rcpts[i], NULL, why->permanent && final ? OUTCOME_BOUNCED : OUTCOME_DEFERRED,
                            why->dsn, str_span(&why->text), final);
}

/* Transfer over k. True if the server has had its say, false if the connection was lost. */
static bool use(struct delivery *d, struct connection *k)
{
    if (d->times.setup_us == 0)
        d->times.setup_us = clock_real_us();
    int r = transfer(d, k);
    bool heard = stream_error(k->stream) == 0;
    if (r == 0 && (d->tls.line.connection_reuse || !stream_ssl(k->stream)))
        cache_put(d->client, k);
    else
        connection_close(k);
    return heard;
}

static void try_targets(struct delivery *d, const struct targets *t)
{
    int64_t limit = d->client->params->smtp_mx_address_limit;
    bool reached = false;

    for (size_t i = 0; i < t->len && undecided(d); i++) {
        struct connection *k;
        if (limit > 0 && (int64_t)i >= limit)
            break;
        if (connection_open(d, t, &t->items[i], &k, &d->last) < 0) {
            /* A server that answered 5xx to EHLO decides only when it was the last one. */
            fail_all(d, &d->last, d->last.permanent && i + 1 == t->len);
            continue;
        }
        reached = true;
        use(d, k);
    }
    d->dead = !reached;
}

/* The next hop's servers, found anew */
static void deliver_anew(struct delivery *d)
{
    _cleanup_(targets_done) struct targets targets = { 0 };

    if (targets_find(d->client, &d->hop, &targets, &d->last) < 0) {
        fail_all(d, &d->last, true);
        d->dead = !d->last.permanent;
    } else {
        try_targets(d, &targets);
    }
}

void delivery_run(struct delivery *d)
{
    const char *nexthop = str_cstr(&d->request.nexthop);
    struct connection *k;

    if (nexthop_parse(str_span(&d->request.nexthop), d->client->default_port, &d->hop) < 0) {
        failure_set(&d->last, true, "5.4.4", "bad next hop \"%s\": expected host, [host] or host:port", nexthop);
        fail_all(d, &d->last, true);
        return;
    }
    if (smtp_tls_destination(d, &d->last) < 0) {
        fail_all(d, &d->last, true);
        return;
    }
    str_addf(&d->key, "%s %s", nexthop, str_cstr(&d->tls.identity));
    k = cache_take(d->client, str_cstr(&d->key));
    if (k)
        smtp_tls_log(d, k);
    bool heard = k && use(d, k);
    /* A kept connection may have been closed meanwhile: that says nothing about the server. */
    if (!heard && undecided(d))
        deliver_anew(d);
}
