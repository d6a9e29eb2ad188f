/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.c - connections kept for the next message to the same next hop
 *
 * Bounded by smtp_connection_idle (unused) and smtp_connection_reuse_time_limit (since opened). One fiber
 * sleeps for the oldest as long as there are any.
 *
 * Runs in: smtp.
 */
#include "base/clock.h"
#include "smtp/smtp.h"

struct connection *cache_take(struct smtp_client *c, const char *nexthop)
{
    struct connection *k;

    LIST_FOREACH (k, &c->cached, struct connection, cached) {
        if (strcmp(k->nexthop, nexthop) != 0)
            continue;
        list_remove(&k->cached);
        if (!stream_peer_gone(k->stream) && k->idle_until_ms > clock_ms())
            return k;
        connection_close(k);
        return cache_take(c, nexthop);  /* closing may have waited: the list is another */
    }
    return NULL;
}

static void reap(void *arg)
{
    struct smtp_client *c = arg;
    struct connection *k;

    while ((k = LIST_FIRST(&c->cached, struct connection, cached))) {
        if (k->idle_until_ms > clock_ms()) {
            fiber_set_idle(true);   /* nothing is lost when draining ends this wait */
            int r = fiber_sleep_until(k->idle_until_ms);
            fiber_set_idle(false);
            if (r == 0)
                continue;
            if (!(k = LIST_FIRST(&c->cached, struct connection, cached)))
                break;
        }
        list_remove(&k->cached);
        connection_close(k);
    }
    c->reaper_runs = false;
}

void cache_put(struct smtp_client *c, struct connection *k)
{
    const struct params *p = c->params;
    uint64_t now = clock_ms(), end = k->opened_ms + (uint64_t)p->smtp_connection_reuse_time_limit * 1000;

    if (p->smtp_connection_idle == 0 || now >= end) {
        connection_close(k);
        return;
    }
    k->idle_until_ms = now + (uint64_t)p->smtp_connection_idle * 1000;
    if (k->idle_until_ms > end)
        k->idle_until_ms = end;
    list_push_back(&c->cached, &k->cached);
    if (!c->reaper_runs) {
        c->reaper_runs = true;
        fiber_start(reap, c);
    }
}
