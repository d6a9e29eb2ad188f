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
