/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate.c - keys and certificate chains from PEM files
 *
 * In chain files a private key is followed by its certificate and the
 * certificates above that; then the next key (of another algorithm) may follow,
 * in the same file or the next one.
 *
 * Runs in: smtpd and the login fronts, at start, before privileges are dropped, and
 * when a file has changed.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/file.h"
#include "base/mem.h"
#include "tls/internal.h"

int tls_fail(struct str *err, const char *what, const char *file)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;

    str_addf(err, "%s %s: %s", what, file, reason ? reason : "unusable");
    ERR_clear_error();
    return -EINVAL;
}

static void bio_drop(BIO **in)
{
    BIO_free(*in);
}

int tls_open_pem(const char *what, const char *file, BIO **ret, struct str *err)
{
    int fd = file_open(file);

    if (fd < 0) {
        str_addf(err, "%s %s: %s", what, file, strerror(-fd));
        return fd;
    }
    FILE *f = fdopen(fd, "r");
    assert(f);
    *ret = BIO_new_fp(f, BIO_CLOSE);
    assert(*ret);
    return 0;
}

/* no_passphrase - nobody is there to type one */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

/* ---- chains: a key, its certificate, those above ---- */

static void chain_done(struct tls_chain *c)
{
    EVP_PKEY_free(c->key);
    X509_free(c->leaf);
    sk_X509_pop_free(c->above, X509_free);
}

void tls_chains_done(struct tls_chains *list)
{
    for (size_t i = 0; i < list->len; i++)
        chain_done(&list->items[i]);
    free(list->items);
    *list = (struct tls_chains){0};
}

static struct tls_chain *last(struct tls_chains *list)
{
    return list->len > 0 ? &list->items[list->len - 1] : NULL;
}

/* complete - a chain has its leaf, and that belongs to the key */
static bool complete(struct tls_chain *c)
{
    return !c || (c->leaf && X509_check_private_key(c->leaf, c->key) == 1);
}

/* add_key - a new key begins a new chain */
static int add_key(struct tls_chains *list, EVP_PKEY *key)
{
    if (!complete(last(list))) {
        EVP_PKEY_free(key);
        return -EINVAL;
    }
    MEM_GROW(list->items, list->len, list->cap);
    list->items[list->len++] = (struct tls_chain){.key = key};
    return 0;
}

static int add_cert(struct tls_chains *list, X509 *cert)
{
    struct tls_chain *c = last(list);

    if (c && !c->leaf) {
        c->leaf = cert;
        return 0;
    }
    if (c && !c->above)
        c->above = sk_X509_new_null();
    if (c && c->above && sk_X509_push(c->above, cert) > 0)
        return 0;
    X509_free(cert); /* a certificate before its key */
    return -EINVAL;
}

/* add_block - one PEM block; those that are neither key nor certificate (parameters) are skipped */
static int add_block(struct tls_chains *list, const char *name, const unsigned char *der, long len)
{
    struct span type = span_of(name);

    if (span_ends_nocase(type, (struct span)SPAN("PRIVATE KEY"))) {
        EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &der, len);

        return key ? add_key(list, key) : -EINVAL;
    }
    if (span_ends_nocase(type, (struct span)SPAN("CERTIFICATE"))) {
        X509 *cert = d2i_X509(NULL, &der, len);

        return cert ? add_cert(list, cert) : -EINVAL;
    }
    return 0;
}

/* add_blocks - all of one source */
static int add_blocks(struct tls_chains *list, BIO *in)
{
    char *name, *header;
    unsigned char *der;
    long len;
    int r = 0;

    while (r == 0 && PEM_read_bio(in, &name, &header, &der, &len)) {
        r = header[0] ? -EINVAL : add_block(list, name, der, len); /* a header: encrypted */
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)len);
    }
    if (r == 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return -EINVAL; /* the end of a broken block is not the end of the text */
    if (r == 0)
        ERR_clear_error();
    return r;
}

int tls_chains_parse(struct span pem, struct tls_chains *ret)
{
    _cleanup_(tls_chains_done) struct tls_chains list = {0};

    if (pem.len == 0 || pem.len > INT_MAX)
        return -EINVAL;
    ERR_clear_error();
    _cleanup_(bio_drop) BIO *in = BIO_new_mem_buf(pem.ptr, (int)pem.len);

    if (add_blocks(&list, in) < 0 || list.len == 0 || !complete(last(&list))) {
        ERR_clear_error();
        return -EINVAL;
    }
    *ret = list;
    list = (struct tls_chains){0};
    return 0;
}

int tls_chains_read(const char *files, struct tls_chains *ret, struct str *err)
{
    _cleanup_(tls_chains_done) struct tls_chains list = {0};
    _cleanup_(str_free) struct str name = STR_INIT;
    struct span rest = span_of(files), file;

    ERR_clear_error();
    while (span_word(&rest, " \t\r\n,", &file)) {
        _cleanup_(bio_drop) BIO *in = NULL;

        str_set(&name, file);
        int r = tls_open_pem("chain file", str_cstr(&name), &in, err);

        if (r < 0)
            return r;
        if (add_blocks(&list, in) < 0)
            return tls_fail(err, "chain file", name.data);
    }
    if (list.len == 0 || !complete(last(&list)))
        return tls_fail(err, "chain file", str_cstr(&name));
    *ret = list;
    list = (struct tls_chains){0};
    return 0;
}

int tls_load_chain_files(SSL_CTX *ctx, const char *files, struct str *err)
{
    _cleanup_(tls_chains_done) struct tls_chains list = {0};
    int r = tls_chains_read(files, &list, err);

    for (size_t i = 0; r == 0 && i < list.len; i++) {
        const struct tls_chain *c = &list.items[i];

        if (SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->above, 1) != 1)
            return tls_fail(err, "chain files", files);
    }
    return r;
}

/* ---- certificate and key in files of their own ---- */

/* use_certificates - the server's own, then those above it */
static bool use_certificates(SSL_CTX *ctx, BIO *in)
{
    X509 *cert = PEM_read_bio_X509_AUX(in, NULL, no_passphrase, NULL);
    bool ok = cert && SSL_CTX_use_certificate(ctx, cert) == 1;

    X509_free(cert);
    while (ok && (cert = PEM_read_bio_X509(in, NULL, no_passphrase, NULL))) {
        ok = SSL_CTX_add0_chain_cert(ctx, cert) == 1;
        if (!ok)
            X509_free(cert);
    }
    if (ok)
        ERR_clear_error(); /* of the end of the file */
    return ok;
}

static bool use_key(SSL_CTX *ctx, BIO *in)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL);
    bool ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;

    EVP_PKEY_free(key);
    return ok;
}

int tls_load_pair(SSL_CTX *ctx, const char *cert_file, const char *key_file, struct str *err)
{
    if (!key_file || !key_file[0])
        key_file = cert_file;
    _cleanup_(bio_drop) BIO *certs = NULL, *key = NULL;
    int r = tls_open_pem("certificate file", cert_file, &certs, err);

    if (r == 0)
        r = tls_open_pem("key file", key_file, &key, err);
    if (r < 0)
        return r;
    if (!use_certificates(ctx, certs))
        return tls_fail(err, "certificate file", cert_file);
    if (!use_key(ctx, key))
        return tls_fail(err, "key file", key_file);
    return 0;
}
