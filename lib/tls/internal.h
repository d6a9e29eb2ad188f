/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - what the files of lib/tls share
 */
#ifndef TLS_INTERNAL_H
#define TLS_INTERNAL_H

#include <openssl/bio.h>
#include <stdbool.h>
#include <stdint.h>

#include "tls/client.h"

/*
 * Set the protocol versions of a context. text is Postfix's syntax: words
 * divided by blanks, commas or colons; ">=TLSv1.2" and "<=TLSv1.3" are bounds,
 * "!TLSv1" excludes; "TLSv1.2 TLSv1.3" are the only ones allowed. NULL or
 * empty: ">=TLSv1.2". 0, or -EINVAL: an unknown name, or nothing is left.
 */
int tls_set_protocols(SSL_CTX *ctx, const char *text);

/* The settings that servers and clients have in common; ciphers: an OpenSSL list, empty for the default. */
int tls_setup(SSL_CTX *ctx, const char *protocols, const char *ciphers, struct str *err);

/* Neither NULL nor empty. */
bool tls_is_set(const char *s);

/* Load keys, certificates and chains. 0, or -EINVAL/-errno with *err naming the file and cause. */
/* Open a PEM file. 0; or -errno with *err: "what FILE: cause". */
int tls_open_pem(const char *what, const char *file, BIO **ret, struct str *err);
int tls_load_chain_files(SSL_CTX *ctx, const char *files, struct str *err);
int tls_load_pair(SSL_CTX *ctx, const char *cert_file, const char *key_file, struct str *err);

/* ---- sessions.c ---- */

/* Sessions that servers send to connections of this context come to us. */
void tls_sessions_enable(SSL_CTX *ctx);
/* Resume the session kept under `key`, if there is one, and keep there what the server sends. */
void tls_sessions_attach(struct tls_sessions *s, SSL *ssl, const char *key);
void tls_sessions_approve(SSL *ssl);

/* "what: OpenSSL's reason" into *err; returns -EINVAL. */
int tls_fail(struct str *err, const char *what, const char *file);

#endif
