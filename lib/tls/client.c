/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - the client's side of TLS: contexts, handshakes, and how far a server is trusted
 *
 * OpenSSL verifies every chain but lets the handshake go on (SSL_VERIFY_NONE), since what a failure
 * means is the policy's matter. Names are compared here, afterwards, for the chain may be good where the
 * name is not, and the log tells these apart ("Trusted", "Verified").
 *
 * RFC 6125 (names), RFC 6698, 7671 and 7672 (TLSA). Trust anchors of a file are treated as
 * TLSA records of usage 2, so that nothing else is trusted then.
 *
 * Runs in: smtp; the server is hostile.
 */
#include "tls/client.h"

#include <assert.h>
#include <errno.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "tls/internal.h"

static const struct {
    struct span name;
    enum tls_level level;
} levels[] = {
    { SPAN("none"),        TLS_LEVEL_NONE        }, { SPAN("may"),       TLS_LEVEL_MAY       },
    { SPAN("encrypt"),     TLS_LEVEL_ENCRYPT     }, { SPAN("verify"),    TLS_LEVEL_VERIFY    },
    { SPAN("fingerprint"), TLS_LEVEL_FINGERPRINT }, { SPAN("secure"),    TLS_LEVEL_SECURE    },
    { SPAN("dane"),        TLS_LEVEL_DANE        }, { SPAN("dane-only"), TLS_LEVEL_DANE_ONLY },
};

int tls_level_find(struct span name, enum tls_level *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (span_eq_nocase(levels[i].name, name)) {
            *ret = levels[i].level;
            return 0;
        }
    return -EINVAL;
}

const char *tls_level_name(enum tls_level level)
{
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (levels[i].level == level)
            return levels[i].name.ptr;
    return "?";
}

/* ---- contexts ---- */

static void ctx_free(SSL_CTX **ctx)
{
    SSL_CTX_free(*ctx);
}

static int load_authorities(const struct tls_client_config *cfg, SSL_CTX *ctx, struct str *err)
{
    if (tls_is_set(cfg->ca_file)) {
        int r = authorities_read_file(ctx, cfg->ca_file, NULL, err);

        if (r < 0)
            return r;
    }
    if (tls_is_set(cfg->ca_path) && SSL_CTX_load_verify_dir(ctx, cfg->ca_path) != 1)
        return tls_fail(err, "CA path", cfg->ca_path);
    if (!tls_is_set(cfg->ca_file) && !tls_is_set(cfg->ca_path))
        SSL_CTX_set_default_verify_paths(ctx);
    return 0;
}

/* The digests that TLSA records may use, best first: of several records that differ only in this, only
 * those with the best one count (RFC 7671 section 9). */
static int enable_dane(SSL_CTX *ctx, const char *digests, struct str *err)
{
    static const struct {
        struct span name;
        uint8_t matching;
    } known[] = { { SPAN("sha256"), 1 }, { SPAN("sha512"), 2 } };
    struct span list = span_of(tls_is_set(digests) ? digests : "sha512 sha256"), word;
    uint8_t order = ARRAY_LEN(known) + 1;

    if (SSL_CTX_dane_enable(ctx) <= 0)
        return tls_fail(err, "DANE", digests);
    SSL_CTX_dane_set_flags(ctx, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        SSL_CTX_dane_mtype_set(ctx, NULL, known[i].matching, 0);
    while (span_word(&list, " \t,:", &word)) {
        const EVP_MD *md = NULL;
        uint8_t matching = 0;
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            if (span_eq_nocase(word, known[i].name)) {
                md = EVP_get_digestbyname(known[i].name.ptr);
                matching = known[i].matching;
            }
        if (!md) {
            str_addf(err, "bad value for parameter tls_dane_digests: " SPAN_FMT
                     ": expected sha256 or sha512", SPAN_ARG(word));
            return -EINVAL;
        }
        SSL_CTX_dane_mtype_set(ctx, md, matching, order > 1 ? order-- : 1);
    }
    return 0;
}

int tls_client_context(const struct tls_client_config *cfg, SSL_CTX **ret, struct str *err)
{
    _cleanup_(ctx_free) SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    assert(ctx);
    int r = tls_setup(ctx, ">=TLSv1", NULL, err);   /* the widest range; each connection narrows it */
    if (r < 0)
        return r;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    tls_sessions_enable(ctx);
    if (tls_is_set(cfg->chain_files))
        r = tls_load_chain_files(ctx, cfg->chain_files, err);
    else if (tls_is_set(cfg->cert_file))
        r = tls_load_pair(ctx, cfg->cert_file, cfg->key_file, err);
    if (r == 0)
        r = load_authorities(cfg, ctx, err);
    if (r == 0)
        r = enable_dane(ctx, cfg->dane_digests, err);
    if (r == 0)
        *ret = TAKE_PTR(ctx);
    return r;
}

/* ---- one connection ---- */

SSL *tls_client_new(SSL_CTX *ctx, const struct tls_need *need, struct tls_sessions *sessions, const char *key)
{
    SSL *ssl = SSL_new(ctx);

    assert(ssl);
    SSL_set_connect_state(ssl);
    SSL_set_options(ssl, need->protocols_off);
    if (tls_is_set(need->ciphers) && SSL_set_cipher_list(ssl, need->ciphers) != 1) {
        ERR_clear_error();
        SSL_free(ssl);
        return NULL;
    }
    if (need->n_tlsa > 0) {
        SSL_dane_enable(ssl, NULL);
        for (size_t i = 0; i < need->n_tlsa; i++) {
            const struct tls_tlsa *t = &need->tlsa[i];
            SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching, t->data, t->len);
        }
        ERR_clear_error();
    }
    if (tls_is_set(need->sni))
        SSL_set_tlsext_host_name(ssl, need->sni);
    if (sessions)
        tls_sessions_attach(sessions, ssl, key);
    return ssl;
}

static enum tls_verdict judge_chain(SSL *ssl, X509 *cert, const struct tls_need *need)
{
    uint8_t usage = 0;

    if (SSL_get_verify_result(ssl) != X509_V_OK)
        return TLS_UNTRUSTED;
    if (need->level < TLS_LEVEL_FINGERPRINT)
        return TLS_TRUSTED;
    if (need->n_tlsa > 0 && !SSL_session_reused(ssl)) {
        if (SSL_get0_dane_tlsa(ssl, &usage, NULL, NULL, NULL, NULL) < 0)
            return TLS_UNTRUSTED;  /* never OK without a record that fits */
        if (usage == TLSA_DANE_EE)
            return TLS_VERIFIED;   /* names and dates do not count, RFC 7672 section 3.1.1 */
    }
    /* A resumed session was kept because it was good enough for this very policy. */
    if (SSL_session_reused(ssl) && need->level >= TLS_LEVEL_DANE)
        return TLS_VERIFIED;
    return tls_match_names(cert, need->match) ? TLS_VERIFIED : TLS_TRUSTED;
}

enum tls_verdict tls_client_judge(SSL *ssl, const struct tls_need *need)
{
    X509 *cert = SSL_get0_peer_certificate(ssl);

    if (!cert)
        return TLS_ANONYMOUS;
    if (need->level == TLS_LEVEL_FINGERPRINT)
        return tls_match_fingerprint(cert, need->digest, need->match) ? TLS_VERIFIED : TLS_UNTRUSTED;
    return judge_chain(ssl, cert, need);
}

const char *tls_verdict_name(enum tls_verdict verdict)
{
    static const char *const names[] = {
        [TLS_ANONYMOUS] = "Anonymous", [TLS_UNTRUSTED] = "Untrusted",
        [TLS_TRUSTED] = "Trusted",     [TLS_VERIFIED] = "Verified",
    };
    return names[verdict];
}

bool tls_client_satisfied(SSL *ssl, const struct tls_need *need, enum tls_verdict verdict)
{
    bool enough = need->level < TLS_LEVEL_FINGERPRINT || verdict == TLS_VERIFIED;

    if (enough)
        tls_sessions_approve(ssl);
    return enough;
}

const char *tls_client_reason(SSL *ssl, const struct tls_need *need, enum tls_verdict verdict)
{
    if (verdict == TLS_ANONYMOUS)
        return "the server has no certificate";
    if (verdict == TLS_TRUSTED)
        return "no name of the certificate matches";
    if (need->level == TLS_LEVEL_FINGERPRINT)
        return "its fingerprint is another";
    return X509_verify_cert_error_string(SSL_get_verify_result(ssl));
}
