/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - OpenSSL contexts for servers and clients
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include <openssl/ssl.h>

#include "base/own.h"
#include "base/str.h"

struct tls_server_config {
    const char *chain_files;    /* PEM list: key(s) and chain(s) together, as smtpd_tls_chain_files; or empty */
    const char *cert_file, *key_file;
    const char *protocols;      /* ">=TLSv1.2", Postfix syntax; empty: that */
    const char *ciphers;        /* OpenSSL cipher list for TLS 1.2, empty: default */
    const char *ca_file;        /* for client certificates; empty: none asked */
};

/* A context, or -EINVAL/-errno with *err naming the file and cause. Free with SSL_CTX_free. */
int tls_server_context(const struct tls_server_config *cfg, SSL_CTX **ret, struct str *err);

struct tls_client_config {
    const char *ca_file, *ca_path;
    const char *protocols;
    const char *ciphers;
};
int tls_client_context(const struct tls_client_config *cfg, SSL_CTX **ret, struct str *err);

/* A fresh SSL for stream_start_tls(): accepting; or connecting with SNI `host` and, if verify is
 * TLS_VERIFY, the peer's name checked against `host` (RFC 6125) during the handshake. */
enum tls_verify { TLS_NO_VERIFY, TLS_VERIFY };
SSL *tls_accept(SSL_CTX *ctx);
SSL *tls_connect(SSL_CTX *ctx, const char *host, enum tls_verify verify);

/* "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)" as in log and Received */
void tls_describe(SSL *ssl, struct str *ret);
/* "Anonymous", "Untrusted", "Trusted" or "Verified", as in the log line of smtpd and smtp. */
const char *tls_trust(SSL *ssl);

#endif
