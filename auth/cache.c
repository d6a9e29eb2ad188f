/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.c - sign-ins that were verified a moment ago
 *
 * A stored password is slow to verify on purpose, and a mail program signs in again and again. What is
 * remembered is only that a user's password matched what was stored: an HMAC over the three, under a key
 * made at start that never leaves the process. Another stored hash gives another HMAC, so that a changed
 * password ends what was remembered of the old one without being told. There is one entry for a user; a wrong
 * password does not drop it, so that who guesses cannot slow down who knows. A refusal is never
 * remembered. Speed gives away to who knows the password that it was used lately, and nothing to others.
 *
 * Runs in: auth; name and password are hostile. Logs nothing.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <assert.h>

#include "auth/auth.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/rand.h"

enum { MAC_SIZE = 32 };

struct verified {
    struct hash_node node;      /* key: user */
    struct list by_age;
    uint64_t expires_ms;
    unsigned char mac[MAC_SIZE];
    char *user;
};

struct auth_cache {
    struct hash users;
    struct list by_age;         /* oldest first */
    int64_t ttl_ms;
    size_t max;
    unsigned char key[MAC_SIZE];
};

struct auth_cache *auth_cache_new(int64_t ttl_ms, size_t max)
{
    struct auth_cache *c = mem_new(struct auth_cache);

    c->ttl_ms = ttl_ms;
    c->max = max;
    list_init(&c->by_age);
    rand_bytes(c->key, sizeof c->key);
    return c;
}

static void drop(struct auth_cache *c, struct verified *v)
{
    hash_remove(&c->users, &v->node);
    list_remove(&v->by_age);
    free(v->user);
    free(v);
}

/* Drop what has expired, and the oldest beyond `max` entries. */
static void clean(struct auth_cache *c, uint64_t now_ms, size_t max)
{
    struct verified *v;

    LIST_FOREACH (v, &c->by_age, struct verified, by_age) {
        if (v->expires_ms > now_ms && c->users.len <= max)
            return;
        drop(c, v);
    }
}

void auth_cache_free(struct auth_cache *c)
{
    if (!c)
        return;
    clean(c, UINT64_MAX, 0);
    hash_done(&c->users);
    OPENSSL_cleanse(c->key, sizeof c->key);
    free(c);
}

/* Each part with its length before it, so that no two different triples give the same bytes */
static void add_part(struct str *text, struct span part)
{
    uint64_t len = part.len;

    str_add(text, span_make(&len, sizeof len));
    str_add(text, part);
}

static void mac_of(const struct auth_cache *c, struct span user, struct span stored, struct span password,
                   unsigned char ret[static MAC_SIZE])
{
    _cleanup_(str_free) struct str text = STR_INIT;
    unsigned len = 0;

    str_reserve(&text, 3 * sizeof(uint64_t) + user.len + stored.len + password.len);
    add_part(&text, user);
    add_part(&text, stored);
    add_part(&text, password);
    const void *done = HMAC(EVP_sha256(), c->key, sizeof c->key, (const unsigned char *)text.data, text.len, ret,
                            &len);
    assert(done && len == MAC_SIZE);
    OPENSSL_cleanse(text.data, text.len);
}

bool auth_cache_has(struct auth_cache *c, struct span user, struct span stored, struct span password,
                    uint64_t now_ms)
{
    unsigned char mac[MAC_SIZE];

    if (c->ttl_ms <= 0)
        return false;
    clean(c, now_ms, c->max);
    mac_of(c, user, stored, password, mac);
    struct verified *v = HASH_ENTRY(hash_get(&c->users, user), struct verified, node);
    return v && CRYPTO_memcmp(v->mac, mac, MAC_SIZE) == 0;
}

void auth_cache_add(struct auth_cache *c, struct span user, struct span stored, struct span password,
                    uint64_t now_ms)
{
    struct verified *v = HASH_ENTRY(hash_get(&c->users, user), struct verified, node);

    if (c->ttl_ms <= 0 || c->max == 0)
        return;
    if (v)
        drop(c, v);
    clean(c, now_ms, c->max - 1);
    v = mem_new(struct verified);
    v->user = mem_dup_span(user);
    v->node.key = span_make(v->user, user.len);
    v->expires_ms = now_ms + (uint64_t)c->ttl_ms;
    mac_of(c, user, stored, password, v->mac);
    hash_put(&c->users, &v->node);
    list_push_back(&c->by_age, &v->by_age);
}
