/* SPDX-License-Identifier: Apache-2.0 */
/*
 * penalty.c - failed sign-ins are counted, by user and by network, for all protocols together
 *
 * Each failure of a network doubles the delay of the answer; beyond a limit the network, or the user, is locked
 * for a while. Whoever wants to lock a user out by guessing must not succeed: a network from which that user has
 * signed in lately stays open to him, and the same wrong password again, which is what a forgotten mail program sends,
 * counts once.
 *
 * All in memory: a restart of auth forgives. The table is bounded, the entry that was used longest ago goes first.
 *
 * Runs in: auth; names are hostile. Logs nothing.
 */
#include <openssl/evp.h>

#include <assert.h>
#include <stdio.h>

#include "auth/auth.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/rand.h"
#include "table/cidr.h"

enum { DIGEST_SIZE = 32, DOUBLINGS_MAX = 20 };

struct entry {
    struct hash_node node;      /* key: "u USER", "n NETWORK", or "g USER NETWORK": signed in from there */
    struct list by_use;
    uint64_t last_ms;           /* last failure, or last success of a "g" entry */
    int64_t failures;
    unsigned char password[DIGEST_SIZE];    /* the last wrong one, keyed digest */
    char *key;
};

struct penalties {
    struct hash entries;
    struct list by_use;         /* least lately used first */
    struct penalty_limits limits;
    size_t max;
    unsigned char secret[DIGEST_SIZE];
};

struct penalties *penalties_new(const struct penalty_limits *limits, size_t max)
{
    struct penalties *p = mem_new(struct penalties);

    p->limits = *limits;
    p->max = max;
    list_init(&p->by_use);
    rand_bytes(p->secret, sizeof p->secret);
    return p;
}

static void drop(struct penalties *p, struct entry *e)
{
    hash_remove(&p->entries, &e->node);
    list_remove(&e->by_use);
    free(e->key);
    free(e);
}

void penalties_free(struct penalties *p)
{
    struct entry *e;

    if (!p)
        return;
    LIST_FOREACH (e, &p->by_use, struct entry, by_use)
        drop(p, e);
    hash_done(&p->entries);
    free(p);
}

void penalty_network(const char *client_addr, char ret[static 64])
{
    struct cidr a;

    if (!cidr_parse_address(span_of(client_addr), &a) || a.size == 4)
        snprintf(ret, 64, "%s", client_addr);
    else
        snprintf(ret, 64, "%02x%02x:%02x%02x:%02x%02x:%02x%02x::/64", a.bytes[0], a.bytes[1], a.bytes[2], a.bytes[3],
                 a.bytes[4], a.bytes[5], a.bytes[6], a.bytes[7]);
}

/* ---- entries ---- */

static void make_key(char kind, struct span user, const char *network, struct str *ret)
{
    str_add_char(ret, kind);
    str_add_char(ret, ' ');
    str_add(ret, user);
    if (user.len > 0 && network)
        str_add_char(ret, '\0');    /* in no name */
    if (network)
        str_add_str(ret, network);
}

static struct entry *find(const struct penalties *p, char kind, struct span user, const char *network)
{
    _cleanup_(str_free) struct str key = STR_INIT;

    make_key(kind, user, network, &key);
    return HASH_ENTRY(hash_get(&p->entries, str_span(&key)), struct entry, node);
}

static struct entry *find_or_add(struct penalties *p, char kind, struct span user, const char *network)
{
    struct entry *e = find(p, kind, user, network);

    if (e) {
        list_remove(&e->by_use);
    } else {
        _cleanup_(str_free) struct str key = STR_INIT;

        while (p->entries.len >= p->max)
            drop(p, LIST_FIRST(&p->by_use, struct entry, by_use));
        make_key(kind, user, network, &key);
        e = mem_new(struct entry);
        e->key = mem_dup_span(str_span(&key));
        e->node.key = span_make(e->key, key.len);
        hash_put(&p->entries, &e->node);
    }
    list_push_back(&p->by_use, &e->by_use);
    return e;
}

/* ---- what they mean ---- */

static bool remembered(const struct penalties *p, const struct entry *e, uint64_t now_ms)
{
    return e && now_ms < e->last_ms + (uint64_t)p->limits.lock_ms;
}

static bool locked(const struct penalties *p, const struct entry *e, int64_t max, uint64_t now_ms)
{
    return max > 0 && remembered(p, e, now_ms) && e->failures >= max;
}

bool penalty_locked(struct penalties *p, struct span user, const char *network, uint64_t now_ms,
                    char text[static 256])
{
    if (network && locked(p, find(p, 'n', SPAN_NULL, network), p->limits.network_max, now_ms)) {
        snprintf(text, 256, "too many failed sign-ins from %s, locked", network);
        return true;
    }
    if (!locked(p, find(p, 'u', user, NULL), p->limits.user_max, now_ms) ||
        (network && find(p, 'g', user, network)))
        return false;
    snprintf(text, 256, "too many failed sign-ins of this user, locked");
    return true;
}

static void digest(const struct penalties *p, struct span password, unsigned char ret[static DIGEST_SIZE])
{
    _cleanup_(str_free) struct str text = STR_INIT;

    str_add(&text, span_make(p->secret, sizeof p->secret));
    str_add(&text, password);
    int ok = EVP_Digest(text.data, text.len, ret, NULL, EVP_sha256(), NULL);
    assert(ok);
    explicit_bzero(text.data, text.len);
}

static void count(const struct penalties *p, struct entry *e, uint64_t now_ms)
{
    if (!remembered(p, e, now_ms))
        e->failures = 0;
    e->failures++;
    e->last_ms = now_ms;
}

/* After the first failure delay_ms, doubled with each further one. */
static int64_t delay_of(const struct penalties *p, int64_t failures)
{
    int64_t delay = p->limits.delay_ms;

    for (int64_t i = 1; i < failures && i < DOUBLINGS_MAX && delay < p->limits.delay_max_ms; i++)
        delay *= 2;
    return delay < p->limits.delay_max_ms ? delay : p->limits.delay_max_ms;
}

int64_t penalty_failed(struct penalties *p, struct span user, const char *network, struct span password,
                       uint64_t now_ms)
{
    struct entry *u = find_or_add(p, 'u', user, NULL);
    unsigned char given[DIGEST_SIZE];
    int64_t failures = 1;

    digest(p, password, given);
    bool again = password.len > 0 && remembered(p, u, now_ms) && memcmp(given, u->password, DIGEST_SIZE) == 0;
    memcpy(u->password, given, DIGEST_SIZE);
    if (!again)
        count(p, u, now_ms);
    if (network) {
        struct entry *n = find_or_add(p, 'n', SPAN_NULL, network);
        if (!again)
            count(p, n, now_ms);
        failures = n->failures;
    }
    return delay_of(p, failures);
}

/* Forgives nothing, so that a busy mail program of the user does not make room for further guesses of others; nor are
 * those of his network forgiven, since whoever guesses may have an account of his own. */
void penalty_succeeded(struct penalties *p, struct span user, const char *network, uint64_t now_ms)
{
    if (network && *network)
        find_or_add(p, 'g', user, network)->last_ms = now_ms;
}
