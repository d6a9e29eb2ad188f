/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - one server process's kept connection: events, each with its counts, and what is remembered
 *
 * Runs in: anvil; callers talk to strangers and are mistrusted.
 */
#include <errno.h>

#include "anvil/anvil.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

static int serve_event(struct anvil *a, struct ipc *c, struct caller *caller)
{
    struct anvil_event ev = { 0 };
    int r = ipc_recv(c, &anvil_event_shape, &ev);

    if (r < 0)
        return r;

    struct anvil_counts counts = counters_event(caller, &ev, clock_ms());

    (void)a;
    if (ev.kind != ANVIL_DISCONNECT && ev.kind != ANVIL_RESUME)
        ipc_send(c, &anvil_counts_shape, &counts);
    return 0;
}

static int serve_recall(struct anvil *a, struct ipc *c, struct caller *caller)
{
    _cleanup_(str_free) struct str value = STR_INIT;
    struct anvil_recall recall = { 0 };
    struct anvil_memory memory = { 0 };
    int r = ipc_recv(c, &anvil_recall_shape, &recall);

    (void)caller;
    if (r < 0)
        return r;
    if (a->passed && cache_get(a->passed, span_of(recall.client), &value, NULL) > 0)
        snprintf(memory.passed, sizeof memory.passed, "%s", str_cstr(&value));
    ipc_send(c, &anvil_memory_shape, &memory);
    return 0;
}

static int serve_remember(struct anvil *a, struct ipc *c, struct caller *caller)
{
    struct anvil_remember m = { 0 };
    int r = ipc_recv(c, &anvil_remember_shape, &m);

    (void)caller;
    if (r == 0 && a->passed)
        cache_put(a->passed, span_of(m.client), span_of(m.passed), (int64_t)m.expires);
    return r;
}

static const struct request {
    const char *type;
    int (*serve)(struct anvil *a, struct ipc *c, struct caller *caller);
} requests[] = {
    { "anvil_event", serve_event },
    { "anvil_recall", serve_recall },
    { "anvil_remember", serve_remember },
};

static int serve(struct anvil *a, struct ipc *c, struct caller *caller, struct span type)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        if (span_eq_str(type, requests[i].type))
            return requests[i].serve(a, c, caller);
    return -EPROTO;
}

void anvil_session(struct server *sv, struct stream *client, const struct peer *peer)
{
    struct anvil *a = sv->state;
    _cleanup_(ipc_free_ptr_) struct ipc *c = ipc_new(client);
    _cleanup_(caller_free_ptr_) struct caller *caller = caller_new(a->counters);
    struct span type;
    int r = 0;

    while (r == 0 && ipc_wait_request(c, &type) == 0)
        r = serve(a, c, caller, type);
    if (r == -EPROTO)
        log_warn("malformed request from uid %u", (unsigned)peer->uid);
}
