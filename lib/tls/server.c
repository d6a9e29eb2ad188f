/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - contexts for servers
 *
 * A client certificate that cannot be verified does not end a handshake: mail is
 * opportunistic. Sessions are resumed by tickets, so that no session is kept in memory.
 *
 * Runs in: smtpd and the login fronts; peers are hostile.
 */
#include <assert.h>
#include <errno.h>

#include "tls/internal.h"

static void ctx_free(SSL_CTX **ctx)
{
    SSL_CTX_free(*ctx);
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
    int r = tls_setup(ctx, cfg->protocols, cfg->ciphers, err);
    if (r < 0)
        return r;
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_dh_auto(ctx, 1);
    if (tls_is_set(cfg->chain_files))
        r = tls_load_chain_files(ctx, cfg->chain_files, err);
    else if (tls_is_set(cfg->cert_file))
        r = tls_load_pair(ctx, cfg->cert_file, cfg->key_file, err);
    else
        r = tls_fail(err, "certificate file", "(none is configured)");
    if (r == 0 && tls_is_set(cfg->ca_file))
        r = ask_client(ctx, cfg->ca_file, err);
    if (r < 0)
        return r;
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
