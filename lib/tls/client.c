/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - contexts for clients
 *
 * Mail is opportunistic: a server's certificate that cannot be verified ends a
 * handshake only when the caller asks for TLS_VERIFY.
 *
 * Runs in: smtp; peers are hostile.
 */
#include <assert.h>
#include <errno.h>

#include <openssl/x509v3.h>

#include "io/socket.h"
#include "tls/internal.h"

static void ctx_free(SSL_CTX **ctx)
{
    SSL_CTX_free(*ctx);
}

int tls_client_context(const struct tls_client_config *cfg, SSL_CTX **ret, struct str *err)
{
    _cleanup_(ctx_free) SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    bool own = tls_is_set(cfg->ca_file) || tls_is_set(cfg->ca_path);

    assert(ctx);
    int r = tls_setup(ctx, cfg->protocols, cfg->ciphers, err);
    if (r < 0)
        return r;
    if (tls_is_set(cfg->ca_file) && SSL_CTX_load_verify_file(ctx, cfg->ca_file) != 1)
        return tls_fail(err, "CA file", cfg->ca_file);
    if (tls_is_set(cfg->ca_path) && SSL_CTX_load_verify_dir(ctx, cfg->ca_path) != 1)
        return tls_fail(err, "CA path", cfg->ca_path);
    if (!own)
        SSL_CTX_set_default_verify_paths(ctx);
    *ret = TAKE_PTR(ctx);
    return 0;
}

SSL *tls_connect(SSL_CTX *ctx, const char *host, enum tls_verify verify)
{
    SSL *ssl = SSL_new(ctx);
    union sockaddr_any addr;
    bool literal = socket_addr_parse(span_of(host), 0, &addr) == 0;

    assert(ssl);
    SSL_set_connect_state(ssl);
    if (!literal) /* RFC 6066 section 3: SNI holds names only */
        SSL_set_tlsext_host_name(ssl, host);
    if (verify == TLS_NO_VERIFY) {
        SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
        return ssl;
    }
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    int ok = literal ? X509_VERIFY_PARAM_set1_ip_asc(param, host)
                     : X509_VERIFY_PARAM_set1_host(param, host, 0);
    assert(ok == 1); /* or any name would pass */
    SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    return ssl;
}
