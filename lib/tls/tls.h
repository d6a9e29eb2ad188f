/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - what servers (server.h) and clients (client.h) have in common
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include <openssl/ssl.h>

#include "base/own.h"
#include "base/str.h"
#include "conf/conf.h"

/* ---- what is said of a connection ---- */

/* "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature ECDSA (P-256)
 * server-digest SHA256", as in log and Received; up to TLS 1.2 without the part behind the bits. */
void tls_describe(SSL *ssl, struct str *ret);

/* "Anonymous", "Untrusted" or "Trusted", as in the log line of smtpd. */
const char *tls_trust(SSL *ssl);

/* The certificate that the peer has shown. All empty: none. Names are escaped, UTF-8, at most 256 bytes. */
struct tls_peer {
    bool presented, trusted;    /* trusted: it leads to an authority of ours */
    struct str subject_cn, issuer_cn;
    struct str cert_fingerprint, key_fingerprint;
};
void tls_peer_fill(SSL *ssl, const EVP_MD *md, struct tls_peer *ret);  /* *ret was zeroed or filled before */
void tls_peer_done(struct tls_peer *peer);

/* "AB:CD:..." of the certificate (DER), and of its public key (DER of SubjectPublicKeyInfo). */
void tls_fingerprints(X509 *cert, const EVP_MD *md, struct str *ret_cert, struct str *ret_key);

/* The data of channel binding "tls-exporter" (RFC 9266), 32 bytes. False, nothing added: no TLS, or too old. */
bool tls_channel_binding(SSL *ssl, struct str *ret);

/* ---- settings that servers and clients share ---- */

/*
 * Append OpenSSL's cipher list of a grade ("high", "medium", ...; tls_*_cipherlist), without what two more
 * lists exclude (words divided by blanks, commas or colons). 0, or -EINVAL with *err: no such grade.
 */
int tls_cipher_list(const struct params *p, const char *grade, const char *excluded,
                    const char *more_excluded, struct str *ret, struct str *err);
/* The groups of a grade of smtpd_tls_eecdh_grade, for SSL_CTX_set1_groups_list; empty: OpenSSL's. */
int tls_group_list(const struct params *p, const char *grade, struct str *ret, struct str *err);
/* tls_ssl_options and tls_disable_workarounds: what to switch on. 0, or -EINVAL with *err. */
int tls_options(const struct params *p, uint64_t *ret_on, struct str *err);

#endif
