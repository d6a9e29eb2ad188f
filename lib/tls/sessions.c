/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sessions.c - sessions to be resumed, RFC 5077 and RFC 8446 section 2.2
 *
 * Kept in the memory of the process only, under a key that names the server and everything the policy
 * asks of it: a session that began under a weaker policy is of no use to a stronger one. Servers send
 * OpenSSL spoils the session of a connection that ends without close_notify, which SMTP needs not send after QUIT;
 * therefore what is kept is never the object that a connection has, but a copy. Servers send
 * tickets before (TLS 1.2) or after (TLS 1.3) their certificate has been judged: until it is, the newest waits at the
 * connection.
 *
 * Runs in: smtp.
 */
#include <assert.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"
#include "tls/client.h"
#include "tls/internal.h"

struct tls_sessions {
    struct hash by_key;
    struct list oldest_first;
    size_t limit;
    uint64_t timeout_ms;
};

struct kept {
    struct hash_node node;
    struct list link;
    SSL_SESSION *session;
    uint64_t until_ms;
};

/* Of one connection */
struct attached {
    struct tls_sessions *sessions;
    char *key;
    bool approved;
    SSL_SESSION *waiting;
};

static void forget(struct tls_sessions *s, struct kept *k)
{
    hash_remove(&s->by_key, &k->node);
    list_remove(&k->link);
    SSL_SESSION_free(k->session);
    free((void *)k->node.key.ptr);
    free(k);
}

struct tls_sessions *tls_sessions_new(size_t limit, int64_t timeout_s)
{
    struct tls_sessions *s = mem_new(struct tls_sessions);

    list_init(&s->oldest_first);
    s->limit = limit;
    s->timeout_ms = (uint64_t)timeout_s * 1000;
    return s;
}

void tls_sessions_free(struct tls_sessions *s)
{
    struct kept *k;

    if (!s)
        return;
    while ((k = LIST_FIRST(&s->oldest_first, struct kept, link)))
        forget(s, k);
    hash_done(&s->by_key);
    free(s);
}

/* keep - takes the session; copies it */
static void keep(struct tls_sessions *s, const char *key, SSL_SESSION *session)
{
    struct kept *k = HASH_ENTRY(hash_get(&s->by_key, span_of(key)), struct kept, node);

    if (k)
        forget(s, k);
    SSL_SESSION *copy = s->limit > 0 && SSL_SESSION_is_resumable(session) ? SSL_SESSION_dup(session) : NULL;
    SSL_SESSION_free(session);
    if (!copy)
        return;
    if (s->by_key.len >= s->limit)
        forget(s, LIST_FIRST(&s->oldest_first, struct kept, link));
    k = mem_new(struct kept);
    k->node.key = span_of(mem_strdup(key));
    k->session = copy;
    k->until_ms = clock_ms() + s->timeout_ms;
    hash_put(&s->by_key, &k->node);
    list_push_back(&s->oldest_first, &k->link);
}

static void free_attached(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
    struct attached *a = ptr;

    (void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
    if (!a)
        return;
    SSL_SESSION_free(a->waiting);
    free(a->key);
    free(a);
}

static int attached_index(void)
{
    static int index = -1;

    if (index < 0)
        index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_attached);
    assert(index >= 0);
    return index;
}

/* on_session - the server has sent one: 1 takes the reference */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct attached *a = SSL_get_ex_data(ssl, attached_index());

    if (!a)
        return 0;
    if (a->approved) {
        keep(a->sessions, a->key, session);
    } else {
        SSL_SESSION_free(a->waiting);
        a->waiting = session;
    }
    return 1;
}

void tls_sessions_enable(SSL_CTX *ctx)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
}

static void resume(SSL *ssl, SSL_SESSION *kept)
{
    SSL_SESSION *copy = SSL_SESSION_dup(kept);

    if (copy)
        SSL_set_session(ssl, copy);
    SSL_SESSION_free(copy);
}

void tls_sessions_attach(struct tls_sessions *s, SSL *ssl, const char *key)
{
    struct attached *a = mem_new(struct attached);
    struct kept *k = HASH_ENTRY(hash_get(&s->by_key, span_of(key)), struct kept, node);

    a->sessions = s;
    a->key = mem_strdup(key);
    SSL_set_ex_data(ssl, attached_index(), a);
    if (k && k->until_ms <= clock_ms())
        forget(s, k);
    else if (k)
        resume(ssl, k->session);
}

void tls_sessions_approve(SSL *ssl)
{
    struct attached *a = SSL_get_ex_data(ssl, attached_index());

    if (!a)
        return;
    a->approved = true;
    if (a->waiting)
        keep(a->sessions, a->key, TAKE_PTR(a->waiting));
}
