/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - queries of smtpd, and the outcomes of probes from qmgr (ipc/msg_verify.h)
 *
 * What is known is answered at once; when it grows old, a probe is sent beside. Else the query waits for
 * the outcome as long as its caller wishes.
 *
 * Runs in: verify. Addresses and texts are anybody's; the callers are ours, but mistrusted.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "verify/verify.h"

/* Letter case matters to no table of ours, and to few others */
static void make_key(struct span address, struct str *ret)
{
    str_add_lower(ret, address);
}

/* What is known and still believed. */
static bool find(struct verify *v, struct span key, struct entry *ret)
{
    _cleanup_(str_free) struct str value = STR_INIT;

    return v->cache && cache_get(v->cache, key, &value, NULL) == 1 &&
           entry_parse(str_span(&value), ret) == 0 && entry_expires(v->params, ret) > clock_real();
}

static void remember(struct verify *v, struct span key, const struct entry *e)
{
    _cleanup_(entry_done) struct entry old = { 0 };
    _cleanup_(str_free) struct str value = STR_INIT;

    if (!find(v, key, &old))
        old.status = ADDRESS_UNKNOWN;
    if (!v->cache || !entry_replaces(v->params, &old, e))
        return;
    entry_print(e, &value);
    cache_put(v->cache, key, str_span(&value), entry_expires(v->params, e));
    waitq_wake(&v->housekeeper, 1);
}

/* ---- queries ---- */

static void answer(struct ipc *c, const struct entry *e, const char *otherwise)
{
    struct verify_answer a = { .status = e->status };

    str_set(&a.text, e->status == ADDRESS_UNKNOWN ? span_of(otherwise) : span_first(str_span(&e->text), 1024));
    ipc_send(c, &verify_answer_shape, &a);
    str_free(&a.text);
}

static void wait_for_outcome(struct probe *p, uint32_t wait_ms, struct ipc *c)
{
    uint64_t deadline = clock_deadline_ms(wait_ms);

    while (!p->settled && waitq_wait(&p->waiting, deadline) == 0)
        ;
    answer(c, &p->outcome, "Address verification in progress");
}

static int serve_query(struct verify *v, struct ipc *c)
{
    _cleanup_(verify_query_msg_done) struct verify_query q = { 0 };
    _cleanup_(entry_done) struct entry known = { .status = ADDRESS_UNKNOWN };
    _cleanup_(str_free) struct str key = STR_INIT;
    int r = ipc_recv(c, &verify_query_shape, &q);

    if (r < 0)
        return r;
    make_key(str_span(&q.address), &key);

    bool found = find(v, str_span(&key), &known);
    struct probe *p = NULL;

    if (!found || entry_refreshes(v->params, &known) <= clock_real()) {
        p = probe_get(v, str_span(&key), str_span(&q.address));
        if (!p)
            log_warn("address_verify_pending_request_limit is reached: an address is not probed");
        waitq_wake(&v->housekeeper, 1);
    }
    if (found || !p)
        answer(c, &known, "Address verification is overloaded");
    else
        wait_for_outcome(p, q.wait_ms, c);
    if (p)
        probe_put(p);
    return ipc_flush(c);
}

/* ---- outcomes ---- */

static int serve_update(struct verify *v, struct ipc *c)
{
    _cleanup_(verify_update_msg_done) struct verify_update u = { 0 };
    _cleanup_(str_free) struct str key = STR_INIT;
    int r = ipc_recv(c, &verify_update_shape, &u);

    if (r < 0)
        return r;

    _cleanup_(entry_done) struct entry e = { .status = u.status, .updated = clock_real() };

    str_set(&e.text, str_span(&u.text));
    make_key(str_span(&u.address), &key);
    remember(v, str_span(&key), &e);
    probe_settle(v, str_span(&key), &e);
    return 0;
}

static const struct {
    struct span type;
    int (*serve)(struct verify *v, struct ipc *c);
} requests[] = {
    { SPAN("verify_query"),  serve_query  },
    { SPAN("verify_update"), serve_update },
};

static int serve(struct verify *v, struct ipc *c, struct span type)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        if (span_eq(type, requests[i].type))
            return requests[i].serve(v, c);
    return -EPROTO;
}

void verify_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    _cleanup_(ipc_free_ptr_) struct ipc *c = ipc_new(client);
    struct span type;
    int r = 0;

    while (r == 0 && ipc_wait_request(c, &type) == 0)
        r = serve(sv->state, c, type);
    if (r == -EPROTO)
        log_warn("malformed request from uid %u", (unsigned)peer->uid);
}
