/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority.c - certificates of the authorities that those of clients, and of servers, are verified with
 *
 * All are read into memory at start: the sandbox lets nobody search a directory during a handshake. A
 * certificate that is put into smtpd_tls_CApath later is read after a reload, one that changes at once.
 *
 * Runs in: smtpd and the login fronts; smtp (the CA file only); the files are the administrator's.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/mem.h"
#include "tls/internal.h"

static void bio_drop(BIO **in)
{
    BIO_free(*in);
}

static void dir_drop(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

int authorities_list(const char *ca_path, char ***ret, size_t *ret_n, struct str *err)
{
    _cleanup_(dir_drop) DIR *dir = opendir(ca_path);
    char **files = NULL;
    size_t n = 0, cap = 0;
    const struct dirent *d;

    if (!dir) {
        int r = -errno;

        str_addf(err, "CA path %s: %s", ca_path, strerror(-r));
        return r;
    }
    while ((d = readdir(dir))) {
        struct str path = STR_INIT;

        if (d->d_name[0] == '.')
            continue;
        MEM_GROW(files, n, cap);
        str_addf(&path, "%s/%s", ca_path, d->d_name);
        files[n++] = str_take(&path);
    }
    *ret = files;
    *ret_n = n;
    return 0;
}

/* add_file - how many certificates of file were added; names, if not NULL, gets their subjects */
static size_t add_file(X509_STORE *store, BIO *in, STACK_OF(X509_NAME) * names)
{
    size_t n = 0;
    X509 *cert;

    while ((cert = PEM_read_bio_X509_AUX(in, NULL, NULL, NULL))) {
        X509_NAME *name = names ? X509_NAME_dup(X509_get_subject_name(cert)) : NULL;

        n += X509_STORE_add_cert(store, cert) == 1;
        if (name && sk_X509_NAME_push(names, name) <= 0)
            X509_NAME_free(name);
        X509_free(cert);
    }
    ERR_clear_error(); /* of the end of the file */
    return n;
}

int authorities_read_file(SSL_CTX *ctx, const char *ca_file, STACK_OF(X509_NAME) *names, struct str *err)
{
    _cleanup_(bio_drop) BIO *in = NULL;
    int r = tls_open_pem("CA file", ca_file, &in, err);

    if (r == 0 && add_file(SSL_CTX_get_cert_store(ctx), in, names) == 0) {
        str_addf(err, "CA file %s: no certificate in it", ca_file);
        r = -EINVAL;
    }
    return r;
}

/* Clients choose their certificate by the names of CAfile, so these are told */
static int read_told(SSL_CTX *ctx, const char *ca_file, struct str *err)
{
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    int r = authorities_read_file(ctx, ca_file, names, err);

    if (r == 0)
        SSL_CTX_set_client_CA_list(ctx, names);
    else
        sk_X509_NAME_pop_free(names, X509_NAME_free);
    return r;
}

int authorities_read(SSL_CTX *ctx, const struct tls_server_config *cfg, char *const *path_files, size_t n,
                     struct str *err)
{
    if (tls_is_set(cfg->ca_file)) {
        int r = read_told(ctx, cfg->ca_file, err);

        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < n; i++) {
        _cleanup_(bio_drop) BIO *in = NULL;
        _cleanup_(str_free) struct str ignored = STR_INIT;

        if (tls_open_pem("CA path", path_files[i], &in, &ignored) == 0)
            add_file(SSL_CTX_get_cert_store(ctx), in, NULL);
    }
    if (cfg->default_ca)
        SSL_CTX_set_default_verify_paths(ctx);
    return 0;
}
