/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - the client's side of TLS: what a server must show, and what it has shown
 *
 * The handshake itself never fails for want of trust: tls_client_judge() says afterwards how far the
 * server has shown who it is, and the caller compares that with what its policy wants
 * (tls_client_satisfied). So one log line can tell both.
 */
#ifndef TLS_CLIENT_H
#define TLS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "tls/tls.h"

/* Levels of security, in Postfix's order; those from FINGERPRINT on need a certificate that fits. */
enum tls_level {
    TLS_LEVEL_NONE,
    TLS_LEVEL_MAY,          /* in clear if there is no other way */
    TLS_LEVEL_ENCRYPT,      /* encrypted, with whomever */
    TLS_LEVEL_FINGERPRINT,  /* the certificate or its key has one of the given digests */
    TLS_LEVEL_VERIFY,       /* a trusted chain, and a name that `match` lists */
    TLS_LEVEL_SECURE,       /* the same, with names that DNS cannot forge */
    TLS_LEVEL_DANE,         /* TLSA records, where there are any */
    TLS_LEVEL_DANE_ONLY,    /* TLSA records, or no delivery */
};
/* 0 or -EINVAL */
int tls_level_find(struct span name, enum tls_level *ret);
const char *tls_level_name(enum tls_level level);

enum { TLSA_DANE_TA = 2, TLSA_DANE_EE = 3 };    /* usages: an authority of the server's, its own certificate */

/* One TLSA record, RFC 6698 section 2.1; data borrowed. */
struct tls_tlsa {
    uint8_t usage, selector, matching;
    const unsigned char *data;
    size_t len;
};
/* From RDATA. 0, or -EINVAL when there is no data behind the three numbers. */
int tls_tlsa_parse(const unsigned char *rdata, size_t len, struct tls_tlsa *ret);
/*
 * Can it be used for SMTP? Usages DANE-TA(2) and DANE-EE(3) only (RFC 7672 section 3.1.3), a known
 * selector and digest, of the right length or a parsable certificate or key.
 */
bool tls_tlsa_usable(const struct tls_tlsa *t);

/* What one connection needs. Everything is borrowed for the call it is given to. */
struct tls_need {
    enum tls_level level;           /* DANE: tlsa is set */
    uint64_t protocols_off;         /* tls_protocols_parse() */
    const char *ciphers;            /* OpenSSL's form; NULL or "": its default */
    const char *sni;                /* RFC 6066 section 3; NULL or "": none is sent */
    const char *match;              /* blank-separated names (".name": its subdomains), or fingerprints in hex */
    const char *digest;             /* of the fingerprints: "sha256" */
    const struct tls_tlsa *tlsa;    /* usable records; or trust anchors in place of the CAs */
    size_t n_tlsa;
};

/* ---- contexts ---- */

struct tls_sessions;                /* sessions to be resumed, of one process */

struct tls_client_config {
    const char *ca_file, *ca_path;  /* both empty: the system's */
    const char *chain_files;        /* the client's own certificate, as tls_server_config; or empty */
    const char *cert_file, *key_file;
    const char *dane_digests;       /* "sha512 sha256": best first */
};
/* 0; -EINVAL or -errno with *err naming the file and cause. Free with SSL_CTX_free. */
int tls_client_context(const struct tls_client_config *cfg, SSL_CTX **ret, struct str *err);

/* The options that turn off the protocol versions that the text (as smtp_tls_protocols) does not
 * allow. 0 or -EINVAL. */
int tls_protocols_parse(struct span text, uint64_t *ret_off);

/* ---- one connection ---- */

/*
 * A fresh SSL for stream_start_tls(), or NULL when need->ciphers leaves none (nothing else can fail: records
 * that OpenSSL refuses are left out). With `sessions`, a session kept under `key` is resumed, and those that the
 * server sends are kept under it once tls_client_satisfied() has said yes.
 */
SSL *tls_client_new(SSL_CTX *ctx, const struct tls_need *need, struct tls_sessions *sessions, const char *key);

enum tls_verdict { TLS_ANONYMOUS, TLS_UNTRUSTED, TLS_TRUSTED, TLS_VERIFIED };

/* After the handshake. TRUSTED: by its chain; VERIFIED: the chain and the name, its fingerprint, or TLSA. */
enum tls_verdict tls_client_judge(SSL *ssl, const struct tls_need *need);
const char *tls_verdict_name(enum tls_verdict verdict);      /* "Verified" */

/* Is this enough? Notes the answer, so that only then sessions are kept. */
bool tls_client_satisfied(SSL *ssl, const struct tls_need *need, enum tls_verdict verdict);
/* Why not, for the log */
const char *tls_client_reason(SSL *ssl, const struct tls_need *need, enum tls_verdict verdict);

/* ---- sessions.c ---- */

/* At most `limit` sessions are kept (the oldest go first), each for timeout_s. */
struct tls_sessions *tls_sessions_new(size_t limit, int64_t timeout_s);
void tls_sessions_free(struct tls_sessions *s);

/* ---- certificate names and fingerprints ---- */

/* Does one of the names of the certificate match one of the list (RFC 6125; "*" is a whole label)? */
bool tls_match_names(X509 *cert, const char *names);
/* Does the digest of the certificate, or of its public key, stand in the list? */
bool tls_match_fingerprint(X509 *cert, const char *digest, const char *fingerprints);
/* "AB:cd:..." to "abcd..."; 0 or -EINVAL */
int tls_fingerprint_parse(struct span text, struct str *ret);

/* ---- trust anchors from a file ---- */

/*
 * Certificates and public keys of a PEM file as TLSA records of usage 2, which tls_anchors_done() releases.
 * 0, or -EINVAL/-errno with *err.
 */
struct tls_anchors {
    struct tls_tlsa *items;
    size_t len, cap;
};
int tls_anchors_load(const char *file, struct tls_anchors *ret, struct str *err);
void tls_anchors_done(struct tls_anchors *a);

#endif
