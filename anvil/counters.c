/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters.c - connections and rates of each client of each service, in memory
 *
 * Clients stand in a list in the order in which their windows began, so that those whose time is over are at
 * its front. How many there can be is bounded: beyond that newcomers are not counted, which limits nobody.
 *
 * Runs in: anvil. Callers talk to strangers and are mistrusted; the shapes of their messages bound all text.
 */
#include "anvil/counters.h"

#include "base/hash.h"
#include "base/list.h"
#include "base/own.h"
#include "base/str.h"

enum { CLIENTS_MAX = 1000000 };

/* What is counted, as the lines of counters_status() name it. */
enum rate { RATE_CONNECTION, RATE_MESSAGE, RATE_RECIPIENT, RATE_NEWTLS, RATE_AUTH, N_RATES };

static const char *const rate_names[N_RATES] = {
    [RATE_CONNECTION] = "connection", [RATE_MESSAGE] = "message", [RATE_RECIPIENT] = "recipient",
    [RATE_NEWTLS] = "newtls",         [RATE_AUTH] = "auth",
};

static const struct {
    enum rate rate;
    int rate_step, connection_step;
} events[] = {
    [ANVIL_CONNECT] = { RATE_CONNECTION, 1, 1 },
    [ANVIL_DISCONNECT] = { RATE_CONNECTION, 0, -1 },
    [ANVIL_RESUME] = { RATE_CONNECTION, 0, 1 },
    [ANVIL_MESSAGE] = { RATE_MESSAGE, 1, 0 },
    [ANVIL_RCPT] = { RATE_RECIPIENT, 1, 0 },
    [ANVIL_NEWTLS] = { RATE_NEWTLS, 1, 0 },
    [ANVIL_AUTH] = { RATE_AUTH, 1, 0 },
    [ANVIL_LOOK_NEWTLS] = { RATE_NEWTLS, 0, 0 },
};

struct client {
    struct hash_node node;
    struct list link;           /* in counters.by_age */
    uint64_t window_start;
    uint32_t connections;
    uint32_t rates[N_RATES];
    char name[];                /* "service:client": the key */
};

/* The greatest of its kind since the last status, and whose it was. */
struct maximum {
    uint32_t n;
    char name[160];
};

struct counters {
    uint64_t window_ms;
    struct hash clients;
    struct list by_age;
    struct maximum rates[N_RATES], connections;
    size_t most_clients;
};

/* Connections of one client that one server process has. */
struct held {
    struct hash_node node;      /* its key is the client's name, which stays while this does */
    struct client *client;
    uint32_t n;
};

struct caller {
    struct counters *counters;
    struct hash held;
};

struct counters *counters_new(uint64_t window_ms)
{
    struct counters *c = mem_new(struct counters);

    c->window_ms = window_ms;
    c->clients = HASH_INIT;
    list_init(&c->by_age);
    return c;
}

static void forget(struct counters *c, struct client *cl)
{
    list_remove(&cl->link);
    hash_remove(&c->clients, &cl->node);
    free(cl);
}

void counters_free(struct counters *c)
{
    struct client *cl;

    LIST_FOREACH(cl, &c->by_age, struct client, link)
        forget(c, cl);
    hash_done(&c->clients);
    free(c);
}

size_t counters_len(const struct counters *c)
{
    return c->clients.len;
}

static struct client *client_new(struct counters *c, struct span name, uint64_t now)
{
    if (c->clients.len >= CLIENTS_MAX)
        return NULL;

    struct client *cl = mem_calloc(1, sizeof *cl + name.len + 1);

    memcpy(cl->name, name.ptr, name.len);
    cl->node.key = span_make(cl->name, name.len);
    cl->window_start = now;
    hash_put(&c->clients, &cl->node);
    list_push_back(&c->by_age, &cl->link);
    if (c->clients.len > c->most_clients)
        c->most_clients = c->clients.len;
    return cl;
}

static void begin_window(struct counters *c, struct client *cl, uint64_t now)
{
    cl->window_start = now;
    memset(cl->rates, 0, sizeof cl->rates);
    list_remove(&cl->link);
    list_push_back(&c->by_age, &cl->link);
}

static void note_maximum(struct maximum *m, uint32_t n, const char *name)
{
    if (n <= m->n)
        return;
    m->n = n;
    snprintf(m->name, sizeof m->name, "%s", name);
}

static struct held *held_of(struct caller *caller, struct client *cl)
{
    struct held *h = HASH_ENTRY(hash_get(&caller->held, cl->node.key), struct held, node);

    if (h)
        return h;
    h = mem_new(struct held);
    h->client = cl;
    h->node.key = cl->node.key;
    hash_put(&caller->held, &h->node);
    return h;
}

static void release(struct caller *caller, struct held *h)
{
    h->client->connections -= h->n;
    hash_remove(&caller->held, &h->node);
    free(h);
}

/* step: 1 or -1; a server can end only what it has begun */
static void count_connection(struct caller *caller, struct client *cl, int step)
{
    struct held *h = held_of(caller, cl);

    if (step > 0) {
        h->n++;
        cl->connections++;
        note_maximum(&caller->counters->connections, cl->connections, cl->name);
    } else if (h->n > 0) {
        h->n--;
        cl->connections--;
    }
    if (h->n == 0)
        release(caller, h);
}

struct anvil_counts counters_event(struct caller *caller, const struct anvil_event *ev, uint64_t now)
{
    struct counters *c = caller->counters;
    _cleanup_(str_free) struct str name = STR_INIT;

    str_addf(&name, "%s:%s", ev->service, ev->client);

    struct client *cl = HASH_ENTRY(hash_get(&c->clients, str_span(&name)), struct client, node);

    if (!cl)
        cl = client_new(c, str_span(&name), now);
    if (!cl)
        return (struct anvil_counts){ 0, 0 };
    if (now - cl->window_start >= c->window_ms)
        begin_window(c, cl, now);

    uint32_t *rate = &cl->rates[events[ev->kind].rate];

    *rate += (uint32_t)events[ev->kind].rate_step;
    note_maximum(&c->rates[events[ev->kind].rate], *rate, cl->name);
    if (events[ev->kind].connection_step != 0)
        count_connection(caller, cl, events[ev->kind].connection_step);
    return (struct anvil_counts){ cl->connections, *rate };
}

/* Those that are connected go to the back: they are looked at again a window later. */
void counters_sweep(struct counters *c, size_t max, uint64_t now)
{
    struct client *cl;

    for (; max > 0 && (cl = LIST_FIRST(&c->by_age, struct client, link)); max--) {
        if (now - cl->window_start < c->window_ms)
            return;
        if (cl->connections == 0)
            forget(c, cl);
        else
            begin_window(c, cl, now);
    }
}

void counters_status(struct counters *c, void (*fn)(const char *line))
{
    char line[256];

    for (size_t i = 0; i < N_RATES; i++) {
        struct maximum *m = &c->rates[i];

        if (m->n == 0)
            continue;
        snprintf(line, sizeof line, "statistics: max %s rate %u/%llus for (%s)", rate_names[i], m->n,
                 (unsigned long long)(c->window_ms / 1000), m->name);
        fn(line);
        m->n = 0;
        if (i == RATE_CONNECTION) {
            snprintf(line, sizeof line, "statistics: max connection count %u for (%s)", c->connections.n,
                     c->connections.name);
            fn(line);
            c->connections.n = 0;
        }
    }
    if (c->most_clients == 0)
        return;
    snprintf(line, sizeof line, "statistics: max cache size %zu", c->most_clients);
    fn(line);
    c->most_clients = 0;
}

/* ---- callers ---- */

struct caller *caller_new(struct counters *c)
{
    struct caller *caller = mem_new(struct caller);

    caller->counters = c;
    caller->held = HASH_INIT;
    return caller;
}

void caller_free(struct caller *caller)
{
    if (!caller)
        return;

    struct hash_node *next, *n = hash_next(&caller->held, NULL);

    for (; n; n = next) {
        next = hash_next(&caller->held, n);
        release(caller, CONTAINER_OF(n, struct held, node));
    }
    hash_done(&caller->held);
    free(caller);
}
