/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c - kept connections to one service
 *
 * The connection used last is given out first, so that after a burst the
 * others grow old and are closed. One that the server has closed meanwhile is found
 * by a look at the socket, which costs less than a failed exchange.
 *
 * Runs in: every program that calls services. Logs nothing.
 */
#include "ipc/internal.h"

#include "base/clock.h"
#include "base/mem.h"

struct ipc_pool {
    char *service;
    uint64_t idle_ms;
    size_t len, max;
    struct list idle;       /* used last in front */
};

struct ipc_pool *ipc_pool_new(const char *service, int64_t idle_ms, size_t max_idle)
{
    struct ipc_pool *p = mem_new(struct ipc_pool);

    p->service = mem_strdup(service);
    p->idle_ms = idle_ms > 0 ? (uint64_t)idle_ms : 0;
    p->max = max_idle;
    list_init(&p->idle);
    return p;
}

static void drop(struct ipc_pool *p, struct ipc *c)
{
    list_remove(&c->link);
    p->len--;
    ipc_free(c);
}

void ipc_pool_free(struct ipc_pool *p)
{
    struct ipc *c;

    if (!p)
        return;
    LIST_FOREACH(c, &p->idle, struct ipc, link)
        drop(p, c);
    free(p->service);
    free(p);
}

/* drop_old - close what has been idle too long; those are at the back */
static void drop_old(struct ipc_pool *p, uint64_t now)
{
    while (!list_empty(&p->idle)) {
        struct ipc *c = LIST_ENTRY(p->idle.prev, struct ipc, link);

        if (now - c->idle_since < p->idle_ms)
            return;
        drop(p, c);
    }
}

int ipc_pool_get(struct ipc_pool *p, uint64_t deadline, struct ipc **ret)
{
    drop_old(p, clock_ms());
    while (!list_empty(&p->idle)) {
        struct ipc *c = LIST_FIRST(&p->idle, struct ipc, link);

        if (stream_peer_gone(c->st) || !ipc_is_quiet(c)) {
            drop(p, c);
            continue;
        }
        list_remove(&c->link);
        p->len--;
        *ret = c;
        return 0;
    }
    return ipc_connect(p->service, deadline, ret);
}

void ipc_pool_put(struct ipc_pool *p, struct ipc *c)
{
    uint64_t now = clock_ms();

    drop_old(p, now);
    if (p->max == 0 || !ipc_is_quiet(c)) {
        ipc_free(c);
        return;
    }
    if (p->len == p->max)
        drop(p, LIST_ENTRY(p->idle.prev, struct ipc, link));
    stream_set_timeout(c->st, 0);
    stream_set_deadline(c->st, CLOCK_NEVER);
    c->was_kept = true;
    c->idle_since = now;
    list_push_front(&p->idle, &c->link);
    p->len++;
}
