/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.c - what is said of a connection and of the certificate that the peer has shown
 *
 * Runs in: smtpd, smtp and the login fronts. Names in a certificate are its maker's: they are escaped and cut.
 */
#include <errno.h>
#include <openssl/ec.h>
#include <openssl/x509.h>

#include "base/own.h"
#include "tls/tls.h"

enum { NAME_SHOWN = 256 };

/* ---- the connection ---- */

/* nist_name - as operators know it from log lines */
static const char *nist_name(int nid)
{
    const char *name = EC_curve_nid2nist(nid);

    return name ? name : OBJ_nid2sn(nid);
}

/* add_key_exchange - "key-exchange X25519", "key-exchange ECDHE (P-256)" */
static void add_key_exchange(SSL *ssl, struct str *ret)
{
    int nid = SSL_get_negotiated_group(ssl);

    if (nid == NID_undef)
        return;
    if (nid == NID_X25519 || nid == NID_X448)
        str_addf(ret, " key-exchange %s", OBJ_nid2sn(nid));
    else if (EC_curve_nid2nist(nid))
        str_addf(ret, " key-exchange ECDHE (%s)", nist_name(nid));
    else
        str_addf(ret, " key-exchange %s", SSL_group_to_name(ssl, nid) ? SSL_group_to_name(ssl, nid) : "DHE");
}

/* add_key - "RSA-PSS (2048 bits)", "ECDSA (P-256)" */
static void add_key(int type_nid, EVP_PKEY *key, struct str *ret)
{
    char group[64];

    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS:
        str_addf(ret, "%s (%d bits)", type_nid == NID_rsaEncryption ? "RSA" : "RSA-PSS",
                 EVP_PKEY_get_bits(key));
        break;
    case EVP_PKEY_EC:
        str_add_str(ret, "ECDSA");
        if (EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1)
            str_addf(ret, " (%s)", nist_name(OBJ_sn2nid(group)));
        break;
    default: /* OpenSSL's numbers, an open set */
        str_add_str(ret, OBJ_nid2sn(EVP_PKEY_get_base_id(key)));
    }
}

/* add_signature - "server-signature ... server-digest ..." */
static void add_signature(const char *side, int type_nid, int digest_nid, X509 *cert, struct str *ret)
{
    EVP_PKEY *key = cert ? X509_get0_pubkey(cert) : NULL;

    if (!key)
        return;
    str_addf(ret, " %s-signature ", side);
    add_key(type_nid, key, ret);
    if (digest_nid != NID_undef)
        str_addf(ret, " %s-digest %s", side, OBJ_nid2sn(digest_nid));
}

static X509 *certificate_of(SSL *ssl, bool server)
{
    return server == (SSL_is_server(ssl) != 0) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
}

static void add_signatures(SSL *ssl, struct str *ret)
{
    int nid, digest;

    for (int server = 1; server >= 0; server--) {
        bool ours = server == (SSL_is_server(ssl) != 0);
        bool known = ours ? SSL_get_signature_type_nid(ssl, &nid) : SSL_get_peer_signature_type_nid(ssl, &nid);

        if (!known || !(ours ? SSL_get_signature_nid(ssl, &digest) : SSL_get_peer_signature_nid(ssl, &digest)))
            continue;
        add_signature(server ? "server" : "client", nid, digest, certificate_of(ssl, server), ret);
    }
}

void tls_describe(SSL *ssl, struct str *ret)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    int all_bits = 0, used_bits = cipher ? SSL_CIPHER_get_bits(cipher, &all_bits) : 0;

    str_addf(ret, "%s with cipher %s (%d/%d bits)", SSL_get_version(ssl),
             cipher ? SSL_CIPHER_get_name(cipher) : "(NONE)", used_bits, all_bits);
    if (SSL_version(ssl) < TLS1_3_VERSION)
        return; /* a cipher's name tells the rest */
    add_key_exchange(ssl, ret);
    if (!SSL_session_reused(ssl)) /* else nothing was signed */
        add_signatures(ssl, ret);
}

const char *tls_trust(SSL *ssl)
{
    if (!SSL_get0_peer_certificate(ssl))
        return "Anonymous";
    if (SSL_get_verify_result(ssl) != X509_V_OK)
        return "Untrusted";
    return "Trusted";
}

/* ---- the peer's certificate ---- */

static void add_hash(const EVP_MD *md, unsigned char *der, int len, struct str *ret)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    str_reset(ret);
    if (len > 0 && EVP_Digest(der, (size_t)len, hash, &n, md, NULL) == 1)
        for (unsigned i = 0; i < n; i++)
            str_addf(ret, "%s%02X", i > 0 ? ":" : "", hash[i]);
    OPENSSL_free(der);
}

void tls_fingerprints(X509 *cert, const EVP_MD *md, struct str *ret_cert, struct str *ret_key)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);

    add_hash(md, der, len, ret_cert);
    der = NULL;
    len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    add_hash(md, der, len, ret_key);
}

/* show_name - the last common name, else the last organization */
static void show_name(X509_NAME *name, struct str *ret)
{
    static const int nids[] = {NID_commonName, NID_organizationName};
    int at = -1, next;

    for (size_t i = 0; at < 0 && i < sizeof nids / sizeof nids[0]; i++)
        for (next = -1; (next = X509_NAME_get_index_by_NID(name, nids[i], next)) >= 0;)
            at = next;
    if (at < 0)
        return;
    unsigned char *text = NULL;
    int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));

    if (n > 0)
        str_add_escaped(ret, span_make(text, (size_t)n), NAME_SHOWN, STR_UTF8);
    OPENSSL_free(text);
}

void tls_peer_fill(SSL *ssl, const EVP_MD *md, struct tls_peer *ret)
{
    X509 *cert = SSL_get0_peer_certificate(ssl);

    tls_peer_done(ret);
    if (!cert)
        return;
    ret->presented = true;
    ret->trusted = SSL_get_verify_result(ssl) == X509_V_OK;
    show_name(X509_get_subject_name(cert), &ret->subject_cn);
    show_name(X509_get_issuer_name(cert), &ret->issuer_cn);
    tls_fingerprints(cert, md, &ret->cert_fingerprint, &ret->key_fingerprint);
}

void tls_peer_done(struct tls_peer *peer)
{
    str_free(&peer->subject_cn);
    str_free(&peer->issuer_cn);
    str_free(&peer->cert_fingerprint);
    str_free(&peer->key_fingerprint);
    *peer = (struct tls_peer){0};
}
