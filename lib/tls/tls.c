/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.c - what servers and clients have in common: OpenSSL's settings, and what is said of a connection
 *
 * Runs in: smtpd, smtp and the login fronts; peers are hostile.
 */
#include "tls/tls.h"

#include <errno.h>

#include <openssl/err.h>

#include "tls/internal.h"

bool tls_is_set(const char *s)
{
    return s && s[0];
}

int tls_setup(SSL_CTX *ctx, const char *protocols, const char *ciphers, struct str *err)
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
    if (tls_is_set(ciphers) && SSL_CTX_set_cipher_list(ctx, ciphers) != 1)
        return tls_fail(err, "list of TLS ciphers", ciphers);
    return 0;
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
