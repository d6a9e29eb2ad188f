/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.c - connections kept for the next message to the same destination
 *
 * A connection is found by its key, in which everything stands that a delivery must agree with (delivery.c).
 * Bounded by smtp_connection_cache_time_limit (unused), smtp_connection_reuse_time_limit (since opened),
 * smtp_connection_reuse_count_limit, and what the server said of MAILMAX. One fiber sleeps for the
 * oldest as long as there are any.
 *
 * Runs in: smtp.
 */
#include "base/clock.h"
#include "smtp/smtp.h"

void cache_init(struct smtp_client *c)
{
    list_init(&c->cached);
    for (size_t i = 0; i < CACHE_BUCKETS; i++)
        list_init(&c->buckets[i]);
}

static struct list *bucket_of(struct smtp_client *c, struct span key)
{
    return &c->buckets[span_hash(key) % CACHE_BUCKETS];
}

static void take_out(struct connection *k)
{
    list_remove(&k->cached);
    list_remove(&k->bucket);
}

struct connection *cache_take(struct smtp_client *c, struct span key)
{
    struct connection *k;

    LIST_FOREACH (k, bucket_of(c, key), struct connection, bucket) {
        if (!span_eq_str(key, k->key))
            continue;
        take_out(k);
        if (!stream_peer_gone(k->stream) && k->idle_until_ms > clock_ms())
            return k;
        connection_close(k);
        return cache_take(c, key);  /* closing may have waited: the list is another */
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
        take_out(k);
        connection_close(k);
    }
    c->reaper_runs = false;
}

static bool worn_out(const struct connection *k, uint64_t now)
{
    const struct params *p = k->client->params;

    return now >= k->opened_ms + (uint64_t)p->smtp_connection_reuse_time_limit * 1000 ||
           (p->smtp_connection_reuse_count_limit > 0 && k->uses >= p->smtp_connection_reuse_count_limit) ||
           (k->ehlo.mail_max > 0 && k->uses >= k->ehlo.mail_max);
}

void cache_put(struct smtp_client *c, struct connection *k)
{
    const struct params *p = c->params;
    uint64_t now = clock_ms(), end = k->opened_ms + (uint64_t)p->smtp_connection_reuse_time_limit * 1000;

    if (!k->key || p->smtp_connection_cache_time_limit == 0 || worn_out(k, now)) {
        connection_close(k);
        return;
    }
    k->idle_until_ms = now + (uint64_t)p->smtp_connection_cache_time_limit * 1000;
    if (k->idle_until_ms > end)
        k->idle_until_ms = end;
    list_push_back(&c->cached, &k->cached);
    list_push_front(bucket_of(c, span_of(k->key)), &k->bucket);
    if (!c->reaper_runs) {
        c->reaper_runs = true;
        fiber_start(reap, c);
    }
}
