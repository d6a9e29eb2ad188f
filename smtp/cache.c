/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.c - connections kept for the next message to the same destination
 *
 * A connection is found by its key, in which everything stands that a delivery must agree with
 * (delivery.c): the next hop and the terms; or, once a next hop's servers are known, by server and
 * terms, since many domains share one. Bounded by smtp_connection_cache_time_limit (unused),
 * smtp_connection_reuse_time_limit (since opened), smtp_connection_reuse_count_limit, and what the
 * server said of MAILMAX. One fiber sleeps for the oldest as long as there are any.
 *
 * Runs in: smtp.
 */
#include "base/clock.h"
#include "smtp/smtp.h"

void cache_init(struct smtp_client *c)
{
    list_init(&c->cached);
    for (size_t i = 0; i < CACHE_BUCKETS; i++) {
        list_init(&c->buckets[i]);
        list_init(&c->server_buckets[i]);
    }
}

static struct list *bucket_of(struct list buckets[static CACHE_BUCKETS], struct span key)
{
    return &buckets[span_hash(key) % CACHE_BUCKETS];
}

static void take_out(struct connection *k)
{
    list_remove(&k->cached);
    list_remove(&k->bucket);
    list_remove(&k->server_bucket);
}

/* Out of the cache with it. False: it was of no use any more and is closed, which may have waited.
 */
static bool take(struct connection *k)
{
    take_out(k);
    if (!stream_peer_gone(k->stream) && k->idle_until_ms > clock_ms())
        return true;
    connection_close(k);
    return false;
}

struct connection *cache_take(struct smtp_client *c, struct span key)
{
    struct connection *k;

    LIST_FOREACH (k, bucket_of(c->buckets, key), struct connection, bucket)
        if (span_eq_str(key, k->key))
            return take(k) ? k : cache_take(c, key);    /* the list may be another by now */
    return NULL;
}

/* Where TLS matters, its policy may depend on the destination's name (tls_policy.h), so only levels
 * none and may share. */
bool cache_server_key(const struct delivery *d, const struct target *t, struct str *ret)
{
    if (d->key.len == 0 || d->tls.line.level > TLS_LEVEL_MAY || t->addr.sa.sa_family == AF_UNIX)
        return false;
    target_add_name(t, ret);
    str_add_char(ret, ' ');
    str_add(ret, str_span(&d->terms));
    return true;
}

struct connection *cache_take_server(struct delivery *d, const struct target *t)
{
    _cleanup_(str_free) struct str key = STR_INIT;
    struct connection *k;

    if (!cache_server_key(d, t, &key))
        return NULL;
    LIST_FOREACH (k, bucket_of(d->client->server_buckets, str_span(&key)), struct connection,
                  server_bucket)
        if (span_eq_str(str_span(&key), k->server_key)) {
            if (!take(k))
                return cache_take_server(d, t);
            free(k->key);
            k->key = mem_dup_span(str_span(&d->key));
            return k;
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
           (p->smtp_connection_reuse_count_limit > 0 &&
            k->uses >= p->smtp_connection_reuse_count_limit) ||
           (k->ehlo.mail_max > 0 && k->uses >= k->ehlo.mail_max);
}

void cache_put(struct smtp_client *c, struct connection *k)
{
    const struct params *p = c->params;
    uint64_t now = clock_ms(),
             end = k->opened_ms + (uint64_t)p->smtp_connection_reuse_time_limit * 1000;

    if (!k->key || p->smtp_connection_cache_time_limit == 0 || worn_out(k, now)) {
        connection_close(k);
        return;
    }
    k->idle_until_ms = now + (uint64_t)p->smtp_connection_cache_time_limit * 1000;
    if (k->idle_until_ms > end)
        k->idle_until_ms = end;
    list_push_back(&c->cached, &k->cached);
    list_push_front(bucket_of(c->buckets, span_of(k->key)), &k->bucket);
    if (k->server_key)
        list_push_front(bucket_of(c->server_buckets, span_of(k->server_key)), &k->server_bucket);
    if (!c->reaper_runs) {
        c->reaper_runs = true;
        fiber_start(reap, c);
    }
}
