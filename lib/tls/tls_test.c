/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_test.c - contexts, protocol lists, and handshakes over a socket pair
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/stream.h"
#include "tls/internal.h"

static char dir[] = "/tmp/tls_test.XXXXXX";
static char pem_file[64], key_file[64], cert_file[64], empty_file[64];

/* add_name - the certificate is mx.example.com's */
static void add_name(X509 *x)
{
    X509_NAME *name = X509_get_subject_name(x);
    X509_EXTENSION *alt =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:mx.example.com,IP:192.0.2.1");

    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"mx.example.com",
                               -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_add_ext(x, alt, -1);
    X509_EXTENSION_free(alt);
}

static void write_pem(const char *file, EVP_PKEY *key, X509 *x)
{
    FILE *f = fopen(file, "w");

    assert_non_null(f);
    if (key)
        PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    if (x)
        PEM_write_X509(f, x);
    fclose(f);
}

static int make_files(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(pem_file, sizeof pem_file, "%s/both.pem", dir);
    snprintf(key_file, sizeof key_file, "%s/key.pem", dir);
    snprintf(cert_file, sizeof cert_file, "%s/cert.pem", dir);
    snprintf(empty_file, sizeof empty_file, "%s/empty.pem", dir);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    add_name(x);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    write_pem(pem_file, key, x);
    write_pem(key_file, key, NULL);
    write_pem(cert_file, NULL, x);
    write_pem(empty_file, NULL, NULL);
    X509_free(x);
    EVP_PKEY_free(key);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(pem_file);
    unlink(key_file);
    unlink(cert_file);
    unlink(empty_file);
    return rmdir(dir);
}

static void test_protocol_lists_mean_what_they_mean_to_postfix(void **state)
{
    static const uint64_t tls1213 = SSL_OP_NO_SSLv3 | SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1;
    static const uint64_t all = tls1213 | SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3;
    static const struct {
        const char *text;
        int r;
        uint64_t off;
    } cases[] = {
        { "",                                         0,       tls1213                     },
        { NULL,                                       0,       tls1213                     },
        { ">=TLSv1.2",                                0,       tls1213                     },
        { ">=tlsv1.2, <=TLSv1.2",                     0,       tls1213 | SSL_OP_NO_TLSv1_3 },
        { "!SSLv2, !SSLv3",                           0,       SSL_OP_NO_SSLv3             },
        { "!SSLv2:!SSLv3:!TLSv1:!TLSv1.1",            0,       tls1213                     },
        { "TLSv1.3",                                  0,       tls1213 | SSL_OP_NO_TLSv1_2 },
        { "TLSv1.2 TLSv1.3",                          0,       tls1213                     },
        { "TLSv1.2, !TLSv1.2",                        -EINVAL, 0                           },
        { ">=TLSv1.4",                                -EINVAL, 0                           },
        { "!",                                        -EINVAL, 0                           },
        { "SSLv2",                                    -EINVAL, 0                           },
        { ">=TLSv1.3 <=TLSv1.2",                      -EINVAL, 0                           },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_method());
        int r = tls_set_protocols(ctx, cases[i].text);

        if (r != cases[i].r || (r == 0 && (SSL_CTX_get_options(ctx) & all) != cases[i].off))
            fail_msg("row %zu: \"%s\" gives %d", i, cases[i].text, r);
        SSL_CTX_free(ctx);
    }
}

static void test_unusable_files_are_named(void **state)
{
    const struct {
        struct tls_server_config cfg;
        const char *named;
    } cases[] = {
        { { .chain_files = "/nowhere/x.pem" },                           "/nowhere/x.pem" },
        { { .chain_files = empty_file },                                 empty_file       },
        { { .chain_files = cert_file },                                  cert_file        },
        { { .chain_files = key_file },                                   key_file         },
        { { .cert_file = cert_file },                                    cert_file        },
        { { .cert_file = cert_file, .key_file = "/nowhere/k" },          "/nowhere/k"     },
        { { .cert_file = pem_file, .ciphers = "NOSUCH" },                "NOSUCH"         },
        { { .cert_file = pem_file, .protocols = "SSLv9" },               "SSLv9"          },
        { { .cert_file = pem_file, .ca_file = key_file },                key_file         },
        { { 0 },                                                         "none"           },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(str_free) struct str err = STR_INIT;
        SSL_CTX *ctx = NULL;

        if (tls_server_context(&cases[i].cfg, &ctx, &err) >= 0 || ctx ||
            span_find(str_span(&err), span_of(cases[i].named)) < 0)
            fail_msg("row %zu: %s", i, str_cstr(&err));
    }
}

static void test_key_and_chain_may_be_in_one_file_or_in_two(void **state)
{
    _cleanup_(str_free) struct str two = STR_INIT, err = STR_INIT;
    struct tls_server_config cfgs[] = {
        { .chain_files = pem_file },
        { .cert_file = pem_file },
        { .cert_file = cert_file, .key_file = key_file },
        { 0 },
    };

    (void)state;
    str_addf(&two, "%s, %s", key_file, cert_file);
    cfgs[3].chain_files = two.data;
    for (size_t i = 0; i < ARRAY_LEN(cfgs); i++) {
        SSL_CTX *ctx = NULL;

        if (tls_server_context(&cfgs[i], &ctx, &err) != 0)
            fail_msg("row %zu: %s", i, str_cstr(&err));
        SSL_CTX_free(ctx);
    }
}

/* One side of a conversation, and what became of it. */
struct side {
    SSL_CTX *ctx;
    const char *host;           /* NULL: the server */
    enum tls_verify verify;
    int fd, result;
    char trust[16], description[192], error[128];
};

enum { BULK = 300 * 1000 };

/* talk - handshake; the client sends a line and gets BULK bytes; both close */
static void talk(void *arg)
{
    struct side *s = arg;
    _cleanup_(stream_free_ptr_) struct stream *st = stream_new(s->fd);
    _cleanup_(str_free) struct str text = STR_INIT;
    _cleanup_free_ char *bulk = mem_calloc(BULK, 1);
    struct span line;

    stream_set_timeout(st, 5000);
    s->result = stream_start_tls(st, s->host ? tls_connect(s->ctx, s->host, s->verify)
                                             : tls_accept(s->ctx));
    snprintf(s->error, sizeof s->error, "%s", stream_tls_error(st));
    if (s->result < 0)
        return;
    tls_describe(stream_ssl(st), &text);
    snprintf(s->description, sizeof s->description, "%s", text.data);
    snprintf(s->trust, sizeof s->trust, "%s", tls_trust(stream_ssl(st)));
    if (s->host) {
        stream_puts(st, "give\r\n");
        s->result = stream_read(st, bulk, BULK);
        assert_int_equal(bulk[BULK - 1], 'x');
        stream_close_write(st);
        return;
    }
    s->result = stream_getline(st, 100, &line);
    if (s->result < 0)
        return;
    memset(bulk, 'x', BULK);
    stream_write(st, span_make(bulk, BULK));
    assert_int_equal(stream_getline(st, 100, &line), -ENODATA);
}

static SSL_CTX *server_context(const char *protocols, const char *ca_file)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    SSL_CTX *ctx = NULL;

    assert_int_equal(tls_server_context(&(struct tls_server_config){ .chain_files = pem_file,
                                                                      .protocols = protocols,
                                                                      .ca_file = ca_file },
                                        &ctx, &err), 0);
    return ctx;
}

static SSL_CTX *client_context(const char *ca_file)
{
    _cleanup_(str_free) struct str err = STR_INIT;
    SSL_CTX *ctx = NULL;

    assert_int_equal(
        tls_client_context(&(struct tls_client_config){ .ca_file = ca_file }, &ctx, &err), 0);
    return ctx;
}

static void meet(struct side *server, struct side *client)
{
    int sv[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    server->fd = sv[0];
    client->fd = sv[1];
    fiber_start(talk, server);
    fiber_start(talk, client);
    assert_int_equal(loop_run(), 0);
    SSL_CTX_free(server->ctx);
    SSL_CTX_free(client->ctx);
}

static void test_handshakes_end_as_the_certificate_deserves(void **state)
{
    static const struct {
        const char *host;
        enum tls_verify verify;
        bool know_ca;
        int result;
        const char *trust;
    } cases[] = {
        { "mx.example.com",    TLS_VERIFY,    true,  0,       "Verified"  },
        { "192.0.2.1",         TLS_VERIFY,    true,  0,       "Verified"  },
        { "mx.example.com",    TLS_NO_VERIFY, true,  0,       "Trusted"   },
        { "other.example.com", TLS_NO_VERIFY, true,  0,       "Trusted"   },
        { "mx.example.com",    TLS_NO_VERIFY, false, 0,       "Untrusted" },
        { "other.example.com", TLS_VERIFY,    true,  -EPROTO, ""          },
        { "192.0.2.2",         TLS_VERIFY,    true,  -EPROTO, ""          },
        { "mx.example.com",    TLS_VERIFY,    false, -EPROTO, ""          },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct side server = { .ctx = server_context("", "") };
        struct side client = { .ctx = client_context(cases[i].know_ca ? cert_file : ""),
                               .host = cases[i].host,
                               .verify = cases[i].verify };

        meet(&server, &client);
        if (client.result != cases[i].result || strcmp(client.trust, cases[i].trust) != 0)
            fail_msg("row %zu: %d %s %s", i, client.result, client.trust, client.error);
        if (client.result == 0) {
            assert_string_equal(server.trust, "Anonymous");
            assert_string_equal(client.description,
                                "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 "
                                "server-signature ECDSA (P-256) server-digest SHA256");
        } else {
            assert_true(strlen(client.error) > 0);
            assert_true(server.result < 0);
        }
    }
}

static void test_an_older_protocol_is_spoken_when_only_that_is_allowed(void **state)
{
    struct side server = { .ctx = server_context("TLSv1.2", cert_file) };
    struct side client = { .ctx = client_context(cert_file), .host = "mx.example.com" };

    (void)state;
    meet(&server, &client);
    assert_int_equal(client.result, 0);
    assert_true(strncmp(server.description, "TLSv1.2 with cipher ", 20) == 0);
    assert_string_equal(server.trust, "Anonymous");
}

/* chatter - what a peer that speaks no TLS sends */
static void chatter(void *arg)
{
    _cleanup_(stream_free_ptr_) struct stream *st = stream_new(*(int *)arg);
    struct span answer;

    stream_set_timeout(st, 5000);
    stream_puts(st, "EHLO this is no handshake at all\r\n");
    while (stream_peek(st, &answer) == 0)
        stream_consume(st, answer.len);
}

static void test_a_peer_that_speaks_no_tls_fails_the_handshake_with_a_reason(void **state)
{
    struct side server = { .ctx = server_context("", "") };
    int sv[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    server.fd = sv[0];
    fiber_start(talk, &server);
    fiber_start(chatter, &sv[1]);
    assert_int_equal(loop_run(), 0);
    assert_int_equal(server.result, -EPROTO);
    assert_true(strlen(server.error) > 0);
    SSL_CTX_free(server.ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protocol_lists_mean_what_they_mean_to_postfix),
        cmocka_unit_test(test_unusable_files_are_named),
        cmocka_unit_test(test_key_and_chain_may_be_in_one_file_or_in_two),
        cmocka_unit_test(test_handshakes_end_as_the_certificate_deserves),
        cmocka_unit_test(test_an_older_protocol_is_spoken_when_only_that_is_allowed),
        cmocka_unit_test(test_a_peer_that_speaks_no_tls_fails_the_handshake_with_a_reason),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
