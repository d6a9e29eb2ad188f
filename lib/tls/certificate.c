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
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/file.h"
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

/* What was read of the chain files and is not yet in the context. */
struct chain {
    EVP_PKEY *key;
    X509 *leaf;
    STACK_OF(X509) * above;
    int loaded;
};

static void chain_done(struct chain *c)
{
    EVP_PKEY_free(c->key);
    X509_free(c->leaf);
    sk_X509_pop_free(c->above, X509_free);
    *c = (struct chain){.loaded = c->loaded};
}

/* chain_use - put a complete chain into the context */
static int chain_use(struct chain *c, SSL_CTX *ctx)
{
    if (!c->key)
        return 0;
    if (!c->leaf || SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->above, 1) != 1)
        return -EINVAL;
    c->loaded++;
    chain_done(c);
    return 0;
}

/* add_key - a new key begins a new chain */
static int add_key(struct chain *c, SSL_CTX *ctx, EVP_PKEY *key)
{
    int r = chain_use(c, ctx);

    if (r < 0)
        EVP_PKEY_free(key);
    else
        c->key = key;
    return r;
}

static int add_cert(struct chain *c, X509 *cert)
{
    if (c->key && !c->leaf) {
        c->leaf = cert;
        return 0;
    }
    if (!c->above)
        c->above = sk_X509_new_null();
    if (c->key && c->above && sk_X509_push(c->above, cert) > 0)
        return 0;
    X509_free(cert); /* a certificate before its key */
    return -EINVAL;
}

/* add_block - one PEM block; those that are neither key nor certificate (parameters) are skipped */
static int add_block(struct chain *c, SSL_CTX *ctx, const char *name, const unsigned char *der,
                     long len)
{
    struct span type = span_of(name);

    if (span_ends_nocase(type, (struct span)SPAN("PRIVATE KEY"))) {
        EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &der, len);

        return key ? add_key(c, ctx, key) : -EINVAL;
    }
    if (span_ends_nocase(type, (struct span)SPAN("CERTIFICATE"))) {
        X509 *cert = d2i_X509(NULL, &der, len);

        return cert ? add_cert(c, cert) : -EINVAL;
    }
    return 0;
}

/* add_file - all blocks of one file */
static int add_file(struct chain *c, SSL_CTX *ctx, BIO *in)
{
    char *name, *header;
    unsigned char *der;
    long len;
    int r = 0;

    while (r == 0 && PEM_read_bio(in, &name, &header, &der, &len)) {
        r = header[0] ? -EINVAL : add_block(c, ctx, name, der, len); /* a header: encrypted */
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)len);
    }
    if (r == 0)
        ERR_clear_error(); /* of the end of the file */
    return r;
}

int tls_load_chain_files(SSL_CTX *ctx, const char *files, struct str *err)
{
    _cleanup_(chain_done) struct chain c = {0};
    _cleanup_(str_free) struct str name = STR_INIT;
    struct span list = span_of(files), file;

    while (span_word(&list, " \t\r\n,", &file)) {
        _cleanup_(bio_drop) BIO *in = NULL;

        str_set(&name, file);
        int r = tls_open_pem("chain file", str_cstr(&name), &in, err);
        if (r < 0)
            return r;
        if (add_file(&c, ctx, in) < 0)
            return tls_fail(err, "chain file", name.data);
    }
    if (chain_use(&c, ctx) < 0 || c.loaded == 0)
        return tls_fail(err, "chain file", str_cstr(&name));
    return 0;
}

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
