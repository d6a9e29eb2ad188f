/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dane.c - TLSA records and trust anchors, which are the same to OpenSSL
 *
 * RFC 6698 section 2, as RFC 7672 section 3.1 narrows it for SMTP: usages 0 and 1 need a public CA
 * that both sides know, which mail has not, and are unusable.
 *
 * Runs in: smtp; records come from DNS, if authenticated, anchors from the administrator.
 */
#include <errno.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/file.h"
#include "base/mem.h"
#include "tls/client.h"
#include "tls/internal.h"

enum { SELECTOR_CERT = 0, SELECTOR_KEY = 1, MATCHING_FULL = 0 };

int tls_tlsa_parse(const unsigned char *rdata, size_t len, struct tls_tlsa *ret)
{
    if (len <= 3)
        return -EINVAL;
    *ret = (struct tls_tlsa){ rdata[0], rdata[1], rdata[2], rdata + 3, len - 3 };
    return 0;
}

/* A whole certificate or key must be one, with nothing behind it. */
static bool parses(const struct tls_tlsa *t)
{
    const unsigned char *p = t->data;
    bool ok;

    if (t->selector == SELECTOR_CERT) {
        X509 *cert = d2i_X509(NULL, &p, (long)t->len);
        ok = cert && X509_get0_pubkey(cert);
        X509_free(cert);
    } else {
        EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)t->len);
        ok = key != NULL;
        EVP_PKEY_free(key);
    }
    ERR_clear_error();
    return ok && p == t->data + t->len;
}

bool tls_tlsa_usable(const struct tls_tlsa *t)
{
    static const size_t digest_len[] = { 0, 32, 64 };   /* by matching type: SHA-256, SHA-512 */

    if (t->usage != TLSA_DANE_TA && t->usage != TLSA_DANE_EE)
        return false;
    if (t->selector > SELECTOR_KEY || t->matching >= ARRAY_LEN(digest_len))
        return false;
    return t->matching == MATCHING_FULL ? parses(t) : t->len == digest_len[t->matching];
}

/* ---- trust anchors ---- */

static void add_anchor(struct tls_anchors *a, uint8_t selector, const unsigned char *der, size_t len)
{
    MEM_GROW(a->items, a->len, a->cap);
    a->items[a->len++] = (struct tls_tlsa){ TLSA_DANE_TA, selector, MATCHING_FULL,
                                            (unsigned char *)mem_dup_span(span_make(der, len)), len };
}

static int add_block(struct tls_anchors *a, struct span type, const unsigned char *der, size_t len)
{
    static const struct {
        struct span type;
        uint8_t selector;
    } known[] = { { SPAN("CERTIFICATE"), SELECTOR_CERT }, { SPAN("PUBLIC KEY"), SELECTOR_KEY } };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (span_eq(type, known[i].type)) {
            struct tls_tlsa t = { TLSA_DANE_TA, known[i].selector, MATCHING_FULL, der, len };
            if (!tls_tlsa_usable(&t))
                return -EINVAL;
            add_anchor(a, known[i].selector, der, len);
        }
    return 0;
}

static int read_blocks(BIO *in, struct tls_anchors *a)
{
    char *name, *header;
    unsigned char *der;
    long len;
    int r = 0;

    while (r == 0 && PEM_read_bio(in, &name, &header, &der, &len)) {
        r = add_block(a, span_of(name), der, (size_t)len);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    ERR_clear_error();  /* of the end of the file */
    return r;
}

int tls_anchors_load(const char *file, struct tls_anchors *ret, struct str *err)
{
    struct tls_anchors a = *ret;
    BIO *in;
    int r = tls_open_pem("trust anchor file", file, &in, err);

    if (r < 0)
        return r;
    r = read_blocks(in, &a);
    BIO_free(in);
    if (r == 0 && a.len == ret->len)
        r = -EINVAL;
    *ret = a;
    return r < 0 ? tls_fail(err, "trust anchor file", file) : 0;
}

void tls_anchors_done(struct tls_anchors *a)
{
    for (size_t i = 0; i < a->len; i++)
        free((void *)a->items[i].data);
    free(a->items);
    *a = (struct tls_anchors){ 0 };
}
