/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - what the files of lib/tls share
 */
#ifndef TLS_INTERNAL_H
#define TLS_INTERNAL_H

#include <openssl/bio.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/stream.h"
#include "ipc/msg_tls.h"
#include "tls/client.h"
#include "tls/server.h"

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

/* ---- keys and certificates: certificate.c ---- */

/* Load keys, certificates and chains. 0, or -EINVAL/-errno with *err naming the file and cause. */
int tls_load_chain_files(SSL_CTX *ctx, const char *files, struct str *err);
int tls_load_pair(SSL_CTX *ctx, const char *cert_file, const char *key_file, struct str *err);

/* A key with its certificate and those above; above may be NULL. */
struct tls_chain {
    EVP_PKEY *key;
    X509 *leaf;
    STACK_OF(X509) * above;
};
struct tls_chains {
    struct tls_chain *items;
    size_t len, cap;
};
/* PEM text, or the files of a list; a key first, then its chain, then perhaps another. *ret owns what was
 * read. 0; -EINVAL: it is broken, or a key does not fit; tls_chains_read: as tls_load_chain_files. */
int tls_chains_parse(struct span pem, struct tls_chains *ret);
int tls_chains_read(const char *files, struct tls_chains *ret, struct str *err);
void tls_chains_done(struct tls_chains *list);

/* Open a PEM file with file_open(). 0, or -errno with *err: "WHAT FILE: cause". */
int tls_open_pem(const char *what, const char *file, BIO **ret, struct str *err);

/* ---- sessions.c ---- */

/* Sessions that servers send to connections of this context come to us. */
void tls_sessions_enable(SSL_CTX *ctx);
/* Resume the session kept under `key`, if there is one, and keep there what the server sends. */
void tls_sessions_attach(struct tls_sessions *s, SSL *ssl, const char *key);
void tls_sessions_approve(SSL *ssl);

/* "what: OpenSSL's reason" into *err; returns -EINVAL. */
int tls_fail(struct str *err, const char *what, const char *file);

/* ---- the parts of struct tls_server ---- */

/* tls_server_on_problem()'s */
void tls_problem(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* sni.c: certificates by name */
struct sni;
int sni_open(const char *maps, struct sni **ret, struct str *err);
void sni_free(struct sni *sni);
/* Files that values name have changed: read those in use again. 0, or negative with *err: old ones are kept. */
MAY_WAIT int sni_reread(struct sni *sni, struct str *err);
void sni_foreach_file(const struct sni *sni, void (*fn)(const char *path, void *arg), void *arg);
/* The chains for a name. 1: *ret, valid until the next wait; 0: none; negative: told to the administrator. */
MAY_WAIT int sni_find(struct sni *sni, struct span name, const struct tls_chains **ret);
/* PEM text of a table's value: Base64 of it, or names of files, which are told by *ret_files. 0 or -EINVAL. */
int sni_value_parse(struct span value, struct str *ret_pem, bool *ret_files);

/* ticket.c: resumed sessions */
struct tickets;
struct tickets *tickets_new(const struct tls_server_config *cfg);
void tickets_free(struct tickets *t);
/* Have keys that are valid now. */
MAY_WAIT void tickets_refresh(struct tickets *t);
/* Take what tlsmgr has answered. 0, or -EPROTO. */
int tickets_accept(struct tickets *t, const struct ticket_keys *keys);
/* Have ctx seal its tickets by the keys of the handshake (below). */
void tickets_use(SSL_CTX *ctx);

/* authority.c: whom client certificates may come from */
int authorities_read(SSL_CTX *ctx, const struct tls_server_config *cfg, char *const *path_files, size_t n,
                     struct str *err);
/* The same of one file; names, if not NULL, gets the subjects. A renewed file can be read in the sandbox too. */
int authorities_read_file(SSL_CTX *ctx, const char *ca_file, STACK_OF(X509_NAME) *names, struct str *err);
/* The files of a directory of certificates; free each and the list. 0, or -errno with *err. */
int authorities_list(const char *ca_path, char ***ret, size_t *ret_n, struct str *err);

/* One handshake; what OpenSSL's callbacks find behind SSL_get_app_data(). */
struct tls_handshake {
    struct tickets *tickets;    /* NULL: no resumption */
    struct sni *sni;            /* NULL: one certificate for all */
    SSL *ssl;
    enum { NAME_UNSEEN, NAME_WANTED, NAME_SETTLED, NAME_FAILED } name;
};

#endif
