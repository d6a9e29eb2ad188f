/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.c - OpenSSL contexts and what is said of a connection
 *
 * Mail is opportunistic: a client certificate that cannot be verified does not
 * end a handshake, and a server's only when the caller asks for TLS_VERIFY.
 * Sessions are resumed by tickets, so that no session is kept in memory.
 *
 * Runs in: smtpd, smtp and the login fronts; peers are hostile.
 */
#include "tls/tls.h"

#include <assert.h>
#include <errno.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "io/socket.h"
#include "tls/internal.h"

static void ctx_free(SSL_CTX **ctx)
{
    SSL_CTX_free(*ctx);
}

static bool is_set(const char *s)
{
    return s && s[0];
}

/* setup - what servers and clients have in common */
static int setup(SSL_CTX *ctx, const char *protocols, const char *ciphers, struct str *err)
{
    ERR_clear_error();
    /* The end of TLS by a plain close: mail protocols mark their ends themselves. */
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    if (tls_set_protocols(ctx, protocols) < 0) {
        str_addf(err, "bad list of TLS protocols: %s", protocols);
        return -EINVAL;
    }
    if (is_set(ciphers) && SSL_CTX_set_cipher_list(ctx, ciphers) != 1)
        return tls_fail(err, "list of TLS ciphers", ciphers);
    return 0;
}

/* accept_any - ask for a client certificate, and note what is wrong with it, but go on */
static int accept_any(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

static int ask_client(SSL_CTX *ctx, const char *ca_file, struct str *err)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca_file);

    if (!names || SSL_CTX_load_verify_locations(ctx, ca_file, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return tls_fail(err, "CA file", ca_file);
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_any);
    return 0;
}

int tls_server_context(const struct tls_server_config *cfg, SSL_CTX **ret, struct str *err)
{
    static const unsigned char id[] = "postern";
    _cleanup_(ctx_free) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    assert(ctx);
    int r = setup(ctx, cfg->protocols, cfg->ciphers, err);
    if (r < 0)
        return r;
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_dh_auto(ctx, 1);
    if (is_set(cfg->chain_files))
        r = tls_load_chain_files(ctx, cfg->chain_files, err);
    else if (is_set(cfg->cert_file))
        r = tls_load_pair(ctx, cfg->cert_file, cfg->key_file, err);
    else
        r = tls_fail(err, "certificate file", "(none is configured)");
    if (r == 0 && is_set(cfg->ca_file))
        r = ask_client(ctx, cfg->ca_file, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(ctx);
    return 0;
}

int tls_client_context(const struct tls_client_config *cfg, SSL_CTX **ret, struct str *err)
{
    _cleanup_(ctx_free) SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    bool own = is_set(cfg->ca_file) || is_set(cfg->ca_path);

    assert(ctx);
    int r = setup(ctx, cfg->protocols, cfg->ciphers, err);
    if (r < 0)
        return r;
    if (is_set(cfg->ca_file) && SSL_CTX_load_verify_file(ctx, cfg->ca_file) != 1)
        return tls_fail(err, "CA file", cfg->ca_file);
    if (is_set(cfg->ca_path) && SSL_CTX_load_verify_dir(ctx, cfg->ca_path) != 1)
        return tls_fail(err, "CA path", cfg->ca_path);
    if (!own)
        SSL_CTX_set_default_verify_paths(ctx);
    *ret = TAKE_PTR(ctx);
    return 0;
}

SSL *tls_accept(SSL_CTX *ctx)
{
    SSL *ssl = SSL_new(ctx);

    assert(ssl);
    SSL_set_accept_state(ssl);
    return ssl;
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

void tls_describe(SSL *ssl, struct str *ret)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    int all_bits = 0, used_bits = cipher ? SSL_CIPHER_get_bits(cipher, &all_bits) : 0;

    str_addf(ret, "%s with cipher %s (%d/%d bits)", SSL_get_version(ssl),
             cipher ? SSL_CIPHER_get_name(cipher) : "(NONE)", used_bits, all_bits);
}

const char *tls_trust(SSL *ssl)
{
    if (!SSL_get0_peer_certificate(ssl))
        return "Anonymous";
    if (SSL_get_verify_result(ssl) != X509_V_OK)
        return "Untrusted";
    if (SSL_get_verify_mode(ssl) == SSL_VERIFY_PEER && !SSL_is_server(ssl))
        return "Verified"; /* the chain and, by tls_connect(), the name */
    return "Trusted";
}
