/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - TLS with clients: the context, the handshake, reading everything again
 *
 * One SSL_CTX serves all sessions of a process. Sessions are resumed by tickets, so that none is kept in
 * memory. A client certificate that cannot be verified does not end a handshake: who requires one
 * looks at tls_trust() afterwards.
 *
 * Runs in: smtpd and the login fronts; peers are hostile.
 */
#include "tls/server.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "base/mem.h"
#include "tls/internal.h"

struct tls_server {
    struct tls_server_config cfg;
    SSL_CTX *ctx;
    struct tickets *tickets;    /* NULL: no resumption */
    struct sni *sni;            /* NULL: one certificate for all names */
    char **ca_files;            /* of ca_path, as it was at start */
    size_t n_ca_files;
};

static void (*problem_fn)(const char *text); /* once per process, at start */

void tls_server_on_problem(void (*fn)(const char *text))
{
    problem_fn = fn;
}

void tls_problem(const char *fmt, ...)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    va_list ap;

    if (!problem_fn)
        return;
    va_start(ap, fmt);
    str_vaddf(&text, fmt, ap);
    va_end(ap);
    problem_fn(str_cstr(&text));
}

/* ---- the certificate for a name ---- */

/* choose_chain - OpenSSL's callback where it needs the server's certificate: 1 go on, 0 fail, -1 call resolve */
static int choose_chain(SSL *ssl, void *arg)
{
    struct tls_handshake *h = SSL_get_app_data(ssl);

    (void)arg;
    if (!h || !h->sni || h->name == NAME_SETTLED || !SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))
        return 1;
    if (h->name == NAME_FAILED)
        return 0;
    h->name = NAME_WANTED;
    return -1;
}

static bool use_chains(SSL *ssl, const struct tls_chains *list)
{
    bool ok = true;

    SSL_certs_clear(ssl); /* no algorithm may fall back to the certificate of another name */
    for (size_t i = 0; ok && i < list->len; i++)
        ok = SSL_use_cert_and_key(ssl, list->items[i].leaf, list->items[i].key, list->items[i].above, 1) == 1;
    ERR_clear_error();
    return ok;
}

static int resolve(void *arg)
{
    struct tls_handshake *h = arg;
    const struct tls_chains *chains;

    if (h->name != NAME_WANTED)
        return -EPROTO;
    int r = sni_find(h->sni, span_of(SSL_get_servername(h->ssl, TLSEXT_NAMETYPE_host_name)), &chains);

    if (r > 0 && !use_chains(h->ssl, chains))
        r = -EINVAL;
    h->name = r < 0 ? NAME_FAILED : NAME_SETTLED;
    return 0; /* a failure becomes an alert */
}

/* ---- the context ---- */

/* accept_any - note what is wrong with a client's certificate, but go on */
static int accept_any(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    (void)store;
    return 1;
}

/* A session is resumed only where the same was asked of the client */
static void set_id_context(SSL_CTX *ctx, const struct tls_server_config *cfg)
{
    _cleanup_(str_free) struct str text = STR_INIT;
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    str_addf(&text, "%s\n%d\n%s\n%s\n%d\n%d", cfg->protocol ? cfg->protocol : "", cfg->ask,
             cfg->ca_file ? cfg->ca_file : "", cfg->ca_path ? cfg->ca_path : "", cfg->default_ca,
             cfg->verify_depth);
    EVP_Digest(text.data, text.len, hash, &n, EVP_sha256(), NULL);
    SSL_CTX_set_session_id_context(ctx, hash, n < SSL_MAX_SID_CTX_LENGTH ? n : SSL_MAX_SID_CTX_LENGTH);
}

static void set_resumption(SSL_CTX *ctx, const struct tls_server_config *cfg)
{
    SSL_CTX_set_session_cache_mode(ctx, cfg->always_session_id
                                            ? SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL
                                            : SSL_SESS_CACHE_OFF);
    set_id_context(ctx, cfg);
    if (cfg->session_timeout_ms == 0) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx, 0);
        return;
    }
    SSL_CTX_set_timeout(ctx, cfg->session_timeout_ms / 1000);
    SSL_CTX_set_num_tickets(ctx, 1);
    tickets_use(ctx);
}

static int load_certificates(SSL_CTX *ctx, const struct tls_server_config *cfg, struct str *err)
{
    int r = -ENOENT;

    if (tls_is_set(cfg->chain_files))
        return tls_load_chain_files(ctx, cfg->chain_files, err);
    if (tls_is_set(cfg->cert_file)) {
        r = tls_load_pair(ctx, cfg->cert_file, cfg->key_file, err);
        if (r < 0)
            return r;
    }
    if (tls_is_set(cfg->ec_cert_file))
        r = tls_load_pair(ctx, cfg->ec_cert_file, cfg->ec_key_file, err);
    return r == -ENOENT && err->len == 0 ? tls_fail(err, "certificate file", "(none is configured)") : r;
}

static int ask_client(SSL_CTX *ctx, const struct tls_server *srv, struct str *err)
{
    const struct tls_server_config *cfg = &srv->cfg;

    if (cfg->ask == TLS_ASK_NOTHING)
        return 0;
    int r = authorities_read(ctx, cfg, srv->ca_files, srv->n_ca_files, err);

    /* OpenSSL counts the authorities in between, Postfix those and the last one */
    SSL_CTX_set_verify_depth(ctx, cfg->verify_depth > 0 ? cfg->verify_depth - 1 : 0);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, accept_any);
    return r;
}

static void ctx_free(SSL_CTX **ctx)
{
    SSL_CTX_free(*ctx);
}

static int make_context(const struct tls_server *srv, SSL_CTX **ret, struct str *err)
{
    const struct tls_server_config *cfg = &srv->cfg;
    _cleanup_(ctx_free) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    assert(ctx);
    int r = tls_setup(ctx, cfg->protocols, cfg->ciphers, err);

    if (r < 0)
        return r;
    SSL_CTX_set_options(ctx, cfg->options);
    SSL_CTX_set_dh_auto(ctx, 1);
    if (tls_is_set(cfg->groups) && SSL_CTX_set1_groups_list(ctx, cfg->groups) != 1)
        return tls_fail(err, "list of elliptic curves", cfg->groups);
    set_resumption(ctx, cfg);
    SSL_CTX_set_cert_cb(ctx, choose_chain, NULL);
    r = load_certificates(ctx, cfg, err);
    if (r == 0)
        r = ask_client(ctx, srv, err);
    if (r == 0)
        *ret = TAKE_PTR(ctx);
    return r;
}

/* ---- life ---- */

int tls_server_open(const struct tls_server_config *cfg, struct tls_server **ret, struct str *err)
{
    _cleanup_(tls_server_free_ptr_) struct tls_server *srv = mem_new(struct tls_server);
    int r = 0;

    srv->cfg = *cfg;
    srv->cfg.ciphers = srv->cfg.groups = NULL;
    if (cfg->ciphers)
        srv->cfg.ciphers = mem_strdup(cfg->ciphers);
    if (cfg->groups)
        srv->cfg.groups = mem_strdup(cfg->groups);
    if (cfg->ask != TLS_ASK_NOTHING && tls_is_set(cfg->ca_path))
        r = authorities_list(cfg->ca_path, &srv->ca_files, &srv->n_ca_files, err);
    if (r == 0)
        r = make_context(srv, &srv->ctx, err);
    if (r == 0 && tls_is_set(cfg->sni_maps))
        r = sni_open(cfg->sni_maps, &srv->sni, err);
    if (r < 0)
        return r;
    if (cfg->session_timeout_ms > 0)
        srv->tickets = tickets_new(cfg);
    *ret = TAKE_PTR(srv);
    return 0;
}

void tls_server_config_done(struct tls_server_config *cfg)
{
    free((char *)cfg->ciphers);
    free((char *)cfg->groups);
    cfg->ciphers = cfg->groups = NULL;
}

void tls_server_free(struct tls_server *srv)
{
    if (!srv)
        return;
    SSL_CTX_free(srv->ctx);
    tickets_free(srv->tickets);
    sni_free(srv->sni);
    for (size_t i = 0; i < srv->n_ca_files; i++)
        free(srv->ca_files[i]);
    free(srv->ca_files);
    tls_server_config_done(&srv->cfg);
    free(srv);
}

int tls_server_reread(struct tls_server *srv, struct str *err)
{
    SSL_CTX *ctx;
    int r = make_context(srv, &ctx, err);

    if (r < 0)
        return r;
    SSL_CTX_free(srv->ctx); /* sessions have their own hold on the old one */
    srv->ctx = ctx;
    return srv->sni ? sni_reread(srv->sni, err) : 0;
}

void tls_server_foreach_file(const struct tls_server *srv, void (*fn)(const char *path, void *arg), void *arg)
{
    const struct tls_server_config *cfg = &srv->cfg;
    const char *const single[] = {
        tls_is_set(cfg->chain_files) ? NULL : cfg->cert_file,
        tls_is_set(cfg->chain_files) ? NULL : cfg->key_file,
        tls_is_set(cfg->chain_files) ? NULL : cfg->ec_cert_file,
        tls_is_set(cfg->chain_files) ? NULL : cfg->ec_key_file,
        cfg->ask == TLS_ASK_NOTHING ? NULL : cfg->ca_file,
    };
    struct span list = span_of(cfg->chain_files), word;

    while (span_word(&list, ", \t\r\n", &word)) {
        _cleanup_free_ char *path = mem_dup_span(word);

        fn(path, arg);
    }
    for (size_t i = 0; i < ARRAY_LEN(single); i++)
        if (tls_is_set(single[i]))
            fn(single[i], arg);
    for (size_t i = 0; i < srv->n_ca_files; i++)
        fn(srv->ca_files[i], arg);
    sni_foreach_file(srv->sni, fn, arg);
}

/* ---- the handshake ---- */

int tls_server_handshake(struct tls_server *srv, struct stream *st)
{
    tickets_refresh(srv->tickets);

    struct tls_handshake h = {.tickets = srv->tickets, .sni = srv->sni, .ssl = SSL_new(srv->ctx)};

    assert(h.ssl);
    SSL_set_app_data(h.ssl, &h);
    SSL_set_accept_state(h.ssl);
    int r = stream_start_tls_resolving(st, h.ssl, resolve, &h);

    SSL_set_app_data(h.ssl, NULL); /* the stream has it until its end */
    return r;
}
